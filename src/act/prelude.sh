# Functions behind acts. POSIX: dash, busybox ash, bash. Each says on stderr why it failed and gives a code over 0.
umask 077
say() { printf '%s\n' "$1" >&2; return 1; }
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
