# Functions behind acts. POSIX: dash, busybox ash, bash. Each says on stderr why it failed and gives a code over 0.
umask 077
say() { printf '%s\n' "$1" >&2; return 1; }
# safe PATH: no directory on the way is a link that somebody else than root made; it could lead into /etc.
safe() {
  p=$1
  while p=${p%/*} && [ -n "$p" ]; do
    [ ! -L "$p" ] || [ "$(stat -c %u "$p")" = 0 ] || { say "$p is a symbolic link that is not root's, which is not followed"; return 1; }
  done
}
own() { safe "$2" && chown -h -- "$1" "$2"; }
# plain PATH: nothing there, or a regular file. A link is never followed: it may lead anywhere.
plain() {
  safe "$1" || return 1
  [ ! -L "$1" ] || { say "$1 is a symbolic link, which is not followed"; return 1; }
  [ ! -e "$1" ] || [ -f "$1" ] || { say "$1 is no regular file"; return 1; }
}
# keep OLD NEW: mode, owner, access lists, labels and attributes of the one for the other.
keep() {
  cp --attributes-only --preserve=all -- "$1" "$2" 2>/dev/null && return 0
  chown "$(stat -c %u:%g "$1")" "$2" && chmod "$(stat -c %a "$1")" "$2"
}
# write PATH MODE OWNER GROUP CHECK, the content on stdin; `-` is: as it was.
write() {
  plain "$1" || return 1
  d=${1%/*}; d=${d:-/}
  [ -d "$d" ] || { say "the directory $d does not exist"; return 1; }
  n=$(mktemp "$d/.steadfast-new.XXXXXX") || { say "cannot make a file in $d"; return 1; }
  if ! cat >"$n"; then rm -f "$n"; say "cannot write into $d"; return 1; fi
  if [ -e "$1" ]; then keep "$1" "$n" || { rm -f "$n"; return 1; }
  else chmod 600 "$n"; fi
  if [ "$3$4" != -- ]; then
    o=; [ "$3" = - ] || o=$3; [ "$4" = - ] || o=$o:$4
    chown "$o" "$n" || { rm -f "$n"; return 1; }
  fi
  [ "$2" = - ] || chmod "$2" "$n" || { rm -f "$n"; return 1; }
  sync "$n" 2>/dev/null || sync
  b=
  if [ -n "$5" ] && [ -e "$1" ]; then
    b=$n.was
    ln "$1" "$b" 2>/dev/null || cp -p "$1" "$b" || { rm -f "$n"; return 1; }
  fi
  mv -f "$n" "$1" || { rm -f "$n" "$b"; say "cannot replace $1 (immutable, or a mount of its own?)"; return 1; }
  ! command -v restorecon >/dev/null 2>&1 || restorecon "$1" 2>/dev/null
  sync "$d" 2>/dev/null || sync
  if [ -n "$5" ]; then
    if w=$(sh -c "$5" 2>&1); then rm -f "$b"; return 0; fi
    if [ -n "$b" ]; then mv -f "$b" "$1"; else rm -f "$1"; fi || { say "refused by \`$5\`, and the former file could NOT be put back: $w"; return 1; }
    sync "$d" 2>/dev/null || sync
    say "refused by \`$5\`, the former file is back: $w"
    return 1
  fi
}
remove() {
  safe "$1" || return 1
  [ ! -d "$1" ] || [ -L "$1" ] || { say "$1 is a directory"; return 1; }
  rm -f -- "$1" && { sync "${1%/*}/" 2>/dev/null || sync; }
}
make_dir() {
  safe "$1" || return 1
  if [ -d "$1" ] && [ ! -L "$1" ]; then :; else mkdir -m "$2" -- "$1" || return 1; fi
  chmod "$2" -- "$1" && { [ "$3" = : ] || chown -h -- "$3" "$1"; }
}
mode() {
  safe "$2" || return 1
  [ ! -L "$2" ] || { say "$2 is a symbolic link, which is not followed"; return 1; }
  chmod -- "$1" "$2"
}
live() {
  p=/proc/sys/$(printf %s "$1" | tr ./ /.)
  [ -e "$p" ] || { say "the kernel has no parameter $1"; return 1; }
  { printf '%s\n' "$2" >"$p"; } 2>/dev/null || say "the kernel does not take $2 for $1"
}
unit() {
  [ -d /run/systemd/system ] || { say "systemd does not run here"; return 1; }
  w=$(systemctl --no-ask-password --quiet "$1" -- "$2" 2>&1) || {
    r=$?
    [ "$1" = start ] || [ "$1" = restart ] || [ "$1" = reload ] && w="$w $(journalctl --no-pager -q -n 5 -o cat -u "$2" 2>/dev/null)"
    say "systemctl $1 $2: $w"; return $r; }
}
install() {
  if command -v apt-get >/dev/null 2>&1; then
    g() { DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=60 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o APT::Install-Recommends=false install -- "$@" 2>&1; }
    w=$(g "$@") && return 0
    # Perhaps only the lists are old.
    apt-get -q update >/dev/null 2>&1 && w=$(g "$@") && return 0
    say "apt-get install: $(printf %s "$w" | tail -n 5)"
  elif command -v dnf >/dev/null 2>&1; then w=$(dnf -q -y install "$@" 2>&1) || say "dnf install: $w"
  elif command -v apk >/dev/null 2>&1; then w=$(apk add -q "$@" 2>&1) || say "apk add: $w"
  else say "no package manager that is known"; fi
}
uninstall() {
  if command -v apt-get >/dev/null 2>&1; then w=$(DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=60 remove -- "$@" 2>&1) || say "apt-get remove: $(printf %s "$w" | tail -n 5)"
  elif command -v dnf >/dev/null 2>&1; then w=$(dnf -q -y remove "$@" 2>&1) || say "dnf remove: $w"
  elif command -v apk >/dev/null 2>&1; then w=$(apk del -q "$@" 2>&1) || say "apk del: $w"
  else say "no package manager that is known"; fi
}
due() {
  mkdir -p -m 700 /var/lib/steadfast "${1%/*}" && : >"$1" && { sync "${1%/*}" 2>/dev/null || sync; }
}
