# Where a path really leads, safe from users who swap names meanwhile. POSIX: dash, busybox ash, bash.
here() { [ "$(readlink /proc/self/cwd)" = "$1" ]; }
# ours: nobody but root or we can change the names in this directory.
ours() { case $(stat -c %u:000%a .) in 0:*[0145][0145]) ;; *[0145][0145]) [ -O . ] ;; *) false ;; esac; }
# pin PATH: goes into its directory, which is `r`; the name there is `f`. A link on the way is followed only where root
# or we made it, and nobody else could have put it there.
pin() {
  f=${1##*/} r=${1%/*} q=${1#/} l=0
  cd -P -- "${r:-/}" 2>/dev/null && here "${r:-/}" && return
  r=
  while case $q in */*) ;; *) false ;; esac; do
    cd -P -- "${r:-/}" 2>/dev/null || { say "the directory $r does not exist"; return 1; }
    here "${r:-/}" || { say "$r leads elsewhere now"; return 1; }
    c=${q%%/*} q=${q#*/}
    case $c in '' | .) ;; ..) r=${r%/*} ;; *)
      if [ -L "./$c" ]; then
        l=$((l+1))
        case $(stat -c %u -- "./$c") in 0 | "$(id -u)") ours && [ "$l" -lt 40 ] ;; *) false ;; esac \
          || { say "$r/$c is a symbolic link that others than root can change, which is not followed"; return 1; }
        t=$(readlink -- "./$c"); q=$t/$q
        case $t in /*) r= ;; esac
      else r=$r/$c; fi ;;
    esac
  done
  cd -P -- "${r:-/}" 2>/dev/null && here "${r:-/}" || { say "the directory $r does not exist"; return 1; }
}
