# Acts on paths, safe from users who swap names meanwhile. POSIX: dash, busybox ash, bash.
# A directory that we stand in cannot be swapped, only its names can; so each act goes into the directory first, lets
# the kernel say where it is, and uses bare names from there. In a directory where others can change names, a file is
# given a second name in a directory of our own (`stage`), and what is done is done to that.
# Each act is a subshell: where it stands, and what it leaves, ends with it.
durable() { sync "$@" 2>/dev/null || sync; }
# The former file, by a second name in the stage.
WAS=.steadfast-was
# stage: a directory of our own beside the name, `s`; it goes away with the act. What a killed act left of the same name
# goes away too, once it is an hour old. No daemon reads a directory, nor a name with a dot before it.
stage() {
  for s in .steadfast.??????; do
    [ ! -d "$s" ] || [ -L "$s" ] || {
      (cd -P -- "$s" && here "$r/$s" && [ -O . ] && [ -n "$(find . -maxdepth 0 -mmin +60)" ] && rm -f -- "./$f" "$WAS") && rmdir -- "$s"
    } 2>/dev/null
  done
  ours && o=1 || o=
  s=$(mktemp -d ./.steadfast.XXXXXX) || { say "cannot make anything in $r"; return 1; }
  s=${s#./} live=
  trap leave EXIT
  trap 'exit 143' HUP INT TERM
  cd -P -- "$s" && here "$r/$s" && [ -O . ] || { live=lost; say "$r/$s was taken away"; return 1; }
}
# An act that ends before its check has said yes takes back what is in place.
leave() {
  [ "$live" != yes ] || restore
  [ -n "$live" ] || { rm -f -- "./$f" "$WAS"; rmdir -- "../$s"; } 2>/dev/null
}
# hold: from here on, $WAS is the very file that has the name.
hold() {
  if ln -- "../$f" "$WAS" 2>/dev/null; then :
  elif [ -n "$o" ] && [ -f "../$f" ] && [ ! -L "../$f" ]; then cp -pP -- "../$f" "$WAS" || return 1
  elif [ -L "../$f" ] || [ ! -e "../$f" ] || [ -f "../$f" ]; then say "$r/$f cannot be held (immutable, a mount of its own, or gone)"; return 1
  else say "$r/$f is no regular file"; return 1; fi
  [ ! -L "$WAS" ] || { say "$r/$f is a symbolic link, which is not followed"; return 1; }
  [ -f "$WAS" ] || { say "$r/$f is no regular file"; return 1; }
  [ -n "$o" ] || [ "$(stat -c %h "$WAS")" = 2 ] || { say "$r/$f has other names (hard links) and is in a directory that others than root can change"; return 1; }
}
# upon PATH COMMAND…: the command, for the very file or directory that has this name.
upon() (
  pin "$1" || exit
  shift
  if [ -L "./$f" ]; then say "$r/$f is a symbolic link, which is not followed"
  elif [ -d "./$f" ]; then
    cd -P -- "./$f" && here "$r/$f" || { say "$r/$f was swapped meanwhile"; exit 1; }
    "$@" .
  elif ours; then "$@" "./$f"
  else stage && hold && "$@" "$WAS"; fi
)
own() { upon "$2" chown -h -- "$1"; }
# needed PATH: whether nothing can run without it, no way back either.
needed() {
  for x in /lib/ld-* /lib64/ld-* /lib/*/ld-* /bin/sh /bin /sbin /lib /lib64; do [ ! "$1" -ef "$x" ] || return 0; done
  set -- "$1" systemctl base64 cat chmod chown cp cut ln mkdir mktemp mv readlink rm sed sha256sum stat sync
  x=$1; shift
  for y; do [ ! "$x" -ef "/bin/$y" ] || return 0; done
  case $x in *.so | *.so.*) ;; *) return 1 ;; esac
  # The libraries of these.
  for y in $(cd /bin && ldd ./sh "$@" 2>/dev/null | sed -n 's/^[^/]*\(\/[^ ]*\) (.*/\1/p' | sort -u); do [ ! "$x" -ef "$y" ] || return 0; done
  return 1
}
# More than four digits also take the set-group-ID of a directory away.
mode() {
  case 00$1 in *[1357]?[1357]) ;; *) [ ! -f "$2" ] || ! needed "$2" || { say "with mode $1 nobody could run $2, without which nothing runs and no way back does"; return 1; } ;; esac
  upon "$2" chmod -- "00$1"
}
# put: what was made in the stage takes the place, whatever is there but a directory.
put() { mv -f -- "./$f" .. 2>/dev/null || { say "cannot replace $r/$f (immutable, a mount of its own, or a directory?)"; return 1; }; }
# keep: mode, owner, access lists, labels and attributes of the former file for the new one.
keep() {
  cp --attributes-only --preserve=all -- "$WAS" "./$f" 2>/dev/null && return 0
  chown "$(stat -c %u:%g "$WAS")" "./$f" && chmod "$(stat -c %a "$WAS")" "./$f"
}
restore() {
  live=
  if [ -e "$WAS" ]; then mv -f -- "$WAS" "./$f" && put || { live=kept; return 1; }
  else rm -f -- "../$f" 2>/dev/null || return 1; fi
  durable ..
}
# write PATH MODE OWNER GROUP CHECK, the content on stdin; `-` is: as it was. A check that speaks of $1 is asked about
# the new file first, before it is in place; in place it is asked without.
write() (
  pin "$1" || exit 1
  [ ! -e "./$f" ] || ! needed "./$f" || { say "$1 is what nothing runs without, and no way back does: it is not written over"; exit 1; }
  stage || exit 1
  cat >"./$f" || { say "cannot write into $r"; exit 1; }
  chmod 600 "./$f"
  if [ -e "../$f" ] || [ -L "../$f" ]; then hold && keep || exit 1; fi
  if [ "$3$4" != -- ]; then
    o=; [ "$3" = - ] || o=$3; [ "$4" = - ] || o=$o:$4
    chown "$o" "./$f" || exit 1
  fi
  [ "$2" = - ] || chmod "$2" "./$f" || exit 1
  durable "./$f"
  case $5 in *'$1'* | *'${1'*) w=$(cd / && sh -c "$5" check "$r/$s/$f" 2>&1) || { say "refused by \`$5\`, and not put in place: $w"; exit 1; } ;; esac
  [ -z "$5" ] || live=yes
  put || { live=; exit 1; }
  ! command -v restorecon >/dev/null 2>&1 || restorecon "$1" 2>/dev/null
  durable ..
  [ -n "$5" ] || exit 0
  if w=$(cd / && sh -c "$5" check 2>&1); then live=; exit 0; fi
  if restore; then say "refused by \`$5\`, the former file is back: $w"
  elif [ -n "$live" ]; then say "refused by \`$5\`, and the former file could NOT be put back, it is in $r/$s: $w"
  else say "refused by \`$5\`, and the new file could NOT be taken away: $w"; fi
)
remove() (
  [ -d "${1%/*}/" ] || exit 0
  pin "$1" || exit
  [ ! -d "./$f" ] || [ -L "./$f" ] || { say "$1 is a directory"; exit 1; }
  ! needed "./$f" || { say "without $1 nothing runs, and no way back does"; exit 1; }
  rm -f -- "./$f" && durable .
)
remove_dir() ( pin "$1" && rmdir -- "./$f" )
# make_dir PATH MODE OWNERSHIP, where `:` is nobody in particular.
make_dir() (
  pin "$1" || exit
  [ -d "./$f" ] && [ ! -L "./$f" ] || mkdir -m "$2" -- "./$f" || exit
  cd -P -- "./$f" && here "$r/$f" || { say "$1 is a symbolic link, which is not followed"; exit 1; }
  chmod -- "00$2" . && { [ "$3" = : ] || chown -- "$3" .; }
)
