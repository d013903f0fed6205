# The journal of a change and the way back from it. Needs prelude.sh and state.sh. POSIX: dash, busybox ash, bash.
# begin RUN SEQ HEAD: writes down what will be touched and what it is now, before anything is touched.
# `copies` keeps the contents, `before` says the states, `ages` how old files are, `tokens` the states afterwards; all are made
# for the task.
begin() {
  D=$B/runs/$1; T=$D/$2
  [ -d "$D" ] || mkdir -p -m 700 "$B" "$B/runs" "$D" || { say "cannot keep a journal in $B"; return 1; }
  [ ! -L "$B" ] && [ -O "$B" ] || { say "$B is not ours"; return 1; }
  [ ! -e "$T" ] || { say "the journal has this change already"; return 1; }
  copies && S=$(before) || { rm -rf "$T".*; say "cannot read or keep what is there now"; return 1; }
  { printf '%s\n' "$3"; [ -z "$S" ] || printf '%s\n' "$S" | sed 's/^/was /'; ages; echo begun; } >"$T.new" && durable "$T".* \
    && mv "$T.new" "$T" && durable "$D" "$B/runs" || { rm -rf "$T" "$T".*; say "cannot write the journal in $D"; return 1; }
}
# dated PATH NAME: when it was last changed, by mtime and ctime, before what comes now moves them; 0 where nothing was.
dated() {
  a=$(stat -c '%Y %Z' -- "$1" 2>/dev/null) || { [ ! -e "$1" ] && [ ! -L "$1" ] && a='0 0'; } || return 0
  printf 'at %s %s\n' "$a" "$2"
}
# redated RUN/SEQ: the same for all that an earlier change wrote down so: its script is taken back, and says nowhere what by.
redated() { ! [ -f "$B/runs/$1" ] || sed -n 's/^at [0-9]* [0-9]* //p' "$B/runs/$1" | while read -r a; do dated "$(printf %b "$a")" "$a"; done; }
# begins N, ends N: a script of the playbook's. What was broken off, or failed, may have done what its way back takes back.
begins() { : >"$T.s$1.begun" && durable "$T.s$1.begun" "$D"; }
ends() { mv "$T.s$1.begun" "$T.s$1.done"; }
# plain PATH: it is a file, or nothing yet.
plain() { if [ -L "$1" ] || { [ -e "$1" ] && [ ! -f "$1" ]; }; then say "$1 is a link or no file, and would not come back: name the file itself"; fi; }
# fits N FILE NAME: whether the journal has room for a file. What it holds counts, not how long it says it is, while cp keeps
# what is empty empty; but all of it must be read on the way back, within a minute.
fits() {
  set -- "$1" $(stat -c '%s %b %B' -- "$2") "$3"; [ $# = 5 ] || return 0
  set -- "$1" $(($2 / 1048576)) $(($3 * $4 / 1048576)) "$5"
  w="move $4 away yourself, then there is nothing of it to take back"
  [ "$2" -gt 8 ] || return 0
  [ "$3" -lt 1024 ] || { say "$4 holds $3 MiB, and the journal keeps 1024 MiB of a file at most: $w"; return 1; }
  [ "$2" -le 4096 ] || { say "$4 is $2 MiB long, though it holds $3 MiB, and the journal reads 4096 MiB of a file at most: $w"; return 1; }
  if cp --help 2>&1 | grep -q sparse; then set -- "$1" "$3" "$4"; else set -- "$1" "$2" "$4"; fi
  l=$(stat -f -c '%a %S' -- "$D" 2>/dev/null) && l=$((${l% *} * ${l#* } / 2097152)) || return 0
  [ "$2" -le "$l" ] || { say "$3 takes $2 MiB of the journal, which is more than half of what is free in $B: $w"; return 1; }
}
# copy N PATH: the file as it is, with all that belongs to it; from the directory where it stands, and never a link's
# target, because a user may swap names meanwhile.
copy() (
  [ ! -L "$2" ] || exit 0
  if [ -d "$2" ]; then pin "$2" && empty "./$f" && { cp -dR --preserve=all -T -- "./$f" "$T.$1" 2>/dev/null || rm -rf "$T.$1"; }; exit 0; fi
  [ -f "$2" ] || exit 0
  pin "$2" && fits "$1" "./$f" "$2" || exit 1
  cp -P --sparse=always --preserve=all -- "./$f" "$T.$1" 2>/dev/null || cp -pP -- "./$f" "$T.$1" || exit 1
  [ -f "$T.$1" ] && [ ! -L "$T.$1" ] || { rm -rf "$T.$1"; say "$2 was swapped meanwhile"; exit 1; }
  # A file with several names is to come back as that file, and not as another one with its content.
  [ "$(stat -c %h -- "./$f")" = 1 ] || { ln -- "./$f" "$T.$1.same" 2>/dev/null && [ ! -L "$T.$1.same" ]; } || rm -f "$T.$1.same"
)
# empty DIRECTORY: only such a one can be taken away, so what is kept of it is all that belongs to it.
empty() { for e in "$1"/* "$1"/.[!.]* "$1"/..?*; do [ ! -e "$e" ] && [ ! -L "$e" ] || return 1; done; }
# marks N PATH: what belongs to a file beside its content, owner and mode: access lists and capabilities, which a chown
# takes away. On an empty file, which is root's and has no more rights than that; where cp knows none of that, nothing is
# kept.
marks() (
  [ -f "$2" ] && [ ! -L "$2" ] || exit 0
  pin "$2" || exit 1
  cp -P --attributes-only --preserve=mode,xattr -- "./$f" "$T.$1" 2>/dev/null && [ -f "$T.$1" ] && [ ! -L "$T.$1" ] && chmod a-st,o-w "$T.$1" || rm -f "$T.$1"
)
# marked COPY FILE: the same, the other way; the mode itself is set afterwards.
marked() { [ ! -f "$2" ] || cp -T --attributes-only --preserve=mode,xattr -- "$1" "$2" 2>/dev/null || :; }
# kept N PATH: the state of a path, of the copy where there is one: what will be put back is what was looked at.
kept() {
  if [ -f "$T.$1" ]; then h=$(sha256sum <"$T.$1") && printf 'file:%s:%s\n' "$(stat -c %a:%u:%g -- "$T.$1")" "${h%% *}"
  else states path "$2"; fi
}
# finish HOW: what became of it; and of the whole entry a digest, which the controller keeps.
finish() {
  { printf 'end %s\n' "$1"; S=$(tokens); [ -z "$S" ] || printf '%s\n' "$S" | sed 's/^/now /'; } >>"$T" && durable "$T" \
    && printf '\nsteadfast-kept %s\n' "$(entry "$T" | sha256sum)" >&2
}
# same FILE STATE: the very file that had this name, where it is as it was under its other names.
same() { [ -f "$1" ] && [ "$(states path "$1")" = "$2" ] && ln -- "$1" "./$f" 2>/dev/null; }
# back FAMILY NAME STATE COPY…: makes it what it was; of packages there is a list for each change that goes back.
back() {
  [ "$(states "$1" "$2")" != "$3" ] || { [ "$1" = table ] && [ -s "$4.all" ] && ! elements "$2" | cmp -s - "$4.all"; } || return 0
  case $1 in
  path) back_path "$2" "$3" "$4" ;;
  meta) [ "$3" != absent ] || { say "$2 was not there"; return 1; }
    own "${3#*:}" "$2" && { [ ! -f "$4" ] || [ ! -f "$2" ] || upon "$2" marked "$4"; } && mode "${3%%:*}" "$2" ;;
  live) [ "$3" != absent ] || { say "the kernel had no parameter $2"; return 1; }
    live "$2" "$(printf %s "${3#=}" | base64 -d)" ;;
  boot) back_boot "$2" "${3#=}" ;;
  runs) case $BOOT:$3 in :on) unit start "$2" ;; :off) unit stop "$2" ;; esac ;;
  mount) [ "$3" != absent ] || { say "$2 was not mounted"; return 1; }
    remount "$2" "$(printf %s "${3#=}" | base64 -d)" ;;
  module) if [ "$3" = loaded ]; then modprobe -- "$2"; else modprobe -r -- "$2"; fi ;;
  table) if [ "$3" = absent ]; then ruleset "$2" </dev/null; else back_table "$2" "$3" "$4"; fi ;;
  packages) shift 2; back_packages "$@" ;;
  script) [ "$3" != done ] || { say "a rollback cannot run the step's script again"; return 1; }; p=$B/runs/$2; [ -s "$p" ] || { say "the playbook gives no way back"; return 1; }
    # Of a script that did not come to its end there may be nothing to take back, or half.
    (umask 022; exec sh "$p") || [ ! -e "$p.done" ] || return 1
    rm -f "$p.done" "$p.begun" ;;
  esac
}
back_path() (
  p=$1
  case $2 in
  absent) if [ -d "$p" ] && [ ! -L "$p" ]; then remove_dir "$p"; else remove "$p"; fi ;;
  file:*)
    s=${2#file:}; h=$(sha256sum <"$3") && [ "${h%% *}" = "${s##*:}" ] || { say "the copy of $p in the journal is damaged"; exit 1; }
    m=${s%%:*}; u=${s#*:}; u=${u%:*}
    pin "$p" && stage && { same "$3.same" "$2" || cp --sparse=always --preserve=all -- "$3" "./$f" 2>/dev/null || cp -p -- "$3" "./$f"; } \
      && chown "$u" "./$f" && chmod "$m" "./$f" && durable "./$f" && put && durable .. || { say "cannot put back $p"; exit 1; } ;;
  dir:*) [ ! -d "$3" ] || empty "$3" || { say "the copy of $p in the journal is not empty, as it was: damaged"; exit 1; }
    s=${2#dir:}; [ -e "$p" ] || [ ! -d "$3" ] || { pin "$p" && cp -dR --preserve=all -T -- "$3" "./$f" 2>/dev/null; }; make_dir "$p" "${s%%:*}" "${s#*:}" ;;
  link:*) w=${2#link:}; t=$(printf %s "${w#*:*:}" | base64 -d)
    pin "$p" && stage && ln -s -- "$t" "./$f" && chown -h -- "${w%:*}" "./$f" && put && durable .. || { say "cannot put back the link $p"; exit 1; } ;;
  *) say "what $p was is not known"; exit 1 ;;
  esac
)
# While the host starts (`BOOT`), only what will hold after the start is put back: nothing is told to run or to stop.
back_boot() {
  q=; [ -z "$BOOT" ] || q=--no-reload
  sc() { w=$(systemctl --no-ask-password --quiet $q "$@" 2>&1) || say "systemctl $*: $w"; }
  is=$(states boot "$1")
  case $is in =masked*) sc unmask -- "$1" || return 1; is=$(states boot "$1") ;; esac
  case $2 in
  "${is#=}") ;;
  masked*) sc mask -- "$1" ;;
  enabled) sc enable -- "$1" ;;
  disabled) sc disable -- "$1" ;;
  esac
}
back_table() {
  h=$(sha256sum <"$3") && [ "table:${h%% *}" = "$2" ] || { say "the copy of the table $1 in the journal is damaged"; return 1; }
  # What its sets held comes with it, where that is a whole copy and nft takes its own words for it.
  { [ -s "$3.all" ] && ruleset "$1" <"$3.all" 2>/dev/null && [ "$(states table "$1")" = "$2" ]; } || ruleset "$1" <"$3"
}
back_packages() {
  s=$1; shift
  h=$(sha256sum <"$1") && [ "${h%% *}" = "$s" ] || { say "the list of packages in the journal is damaged"; return 1; }
  LC_ALL=C; export LC_ALL
  n=$(mktemp "$D/.now.XXXXXX") && packages >"$n" || return 1
  new=$(comm -13 "$1" "$n" | grep -v ^-); gone=$(comm -23 "$1" "$n" | grep -v ^-); rm -f "$n"
  new=$(for l; do printf '%s\n' "$new" | ours_of "$l"; done | sort -u)
  [ -z "$gone" ] || install $gone || return 1
  # What had left its settings and data here before keeps them.
  kept=$(for p in $new; do ! grep -qxF -- "-$p" "$1" || echo "$p"; done)
  new=$(for p in $new; do grep -qxF -- "-$p" "$1" || echo "$p"; done)
  [ -z "$kept" ] || uninstall $kept || return 1
  [ -z "$new" ] || purge $new
}
# ours_of LIST: of new packages those that the change itself brought, which the list made after it tells; where the host
# died meanwhile, those that came within an hour of its beginning.
ours_of() {
  if [ -s "$1.after" ]; then comm -12 - "$1.after" | comm -23 - "$1"
  elif [ -d /var/lib/dpkg/info ]; then
    b=$(stat -c %Y -- "$1")
    while read -r p; do
      for i in "/var/lib/dpkg/info/$p.list" "/var/lib/dpkg/info/$p":*.list; do
        [ ! -e "$i" ] || { e=$(($(stat -c %Y -- "$i") - b)); [ "$e" -lt -2 ] || [ "$e" -gt 3600 ] || printf '%s\n' "$p"; break; }
      done
    done
  else cat; fi
}
purge() {
  if command -v apt-get >/dev/null 2>&1; then w=$(DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=60 purge -- "$@" 2>&1) || say "apt-get purge: $(printf %s "$w" | tail -n 5)"
  else uninstall "$@"; fi
}
# poke VERB NAME: after a way back, what runs reads what is there again.
poke() {
  [ -z "$BOOT" ] || return 0
  case $1 in
  daemon-reload) systemctl --no-ask-password daemon-reload ;;
  audit-rules) audit_rules --load ;;
  *) unit "$1" "$2" ;;
  esac
}
# pokes FILE…: tells again, once each, what these changes had told to read again.
pokes() {
  bad=0; told=' '
  for j; do
    while read -r w a b; do
      [ "$w" = poke ] && [ "$a" != daemon-reload ] || continue
      case $told in *" $a:$b "*) continue ;; esac
      told="$told$a:$b "; poke "$a" "$(printf %b "$b")" </dev/null || bad=1
    done <"$j"
  done
  [ "$bad" = 0 ]
}
# undo FILE: goes back through the whole of one task's journal, from its end to its beginning. Units are read again at once:
# what came before it may have stopped one of them.
undo() {
  D=${1%/*}; n=0; k=0; z=0; bad=0
  while read -r w a b; do
    case $w in
    thing) n=$((n+1)); eval "f$n=\$a; n$n=\$b" ;;
    was) k=$((k+1)); eval "w$k=\$a" ;;
    poke) [ "$a" != daemon-reload ] || z=1 ;;
    esac
  done <"$1"
  while [ "$k" -gt 0 ]; do
    eval "fam=\$f$k; nam=\$n$k; old=\$w$k"
    # A name may end with the end of a line, which is of another file without it.
    nam=$(printf '%bx' "$nam")
    back "$fam" "${nam%x}" "$old" "$1.$k" || bad=1
    k=$((k-1))
  done
  [ "$z" = 0 ] || poke daemon-reload || bad=1
  [ "$bad" = 0 ]
}
