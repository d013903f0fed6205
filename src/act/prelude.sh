# Functions behind acts. POSIX: dash, busybox ash, bash. Each says on stderr why it failed and gives a code over 0.
umask 077
say() { printf '%s\n' "$1" >&2; return 1; }
live() {
  p=/proc/sys/$(printf %s "$1" | tr ./ /.)
  [ -e "$p" ] || { say "the kernel has no parameter $1"; return 1; }
  { printf '%s\n' "$2" >"$p"; } 2>/dev/null || say "the kernel does not take $2 for $1"
}
# remount PATH FLAGS: the flags of the mount alone, not those of the file system behind it. What is not among them is
# said as well, for mount(8) adds what the mount has now.
remount() {
  m=remount,bind,$2
  for w in suid dev exec; do case ,$2, in *",no$w,"*) ;; *) m=$m,$w ;; esac; done
  case ,$2, in *,noatime,*) ;; *,relatime,*) m=$m,atime ;; *) m=$m,atime,strictatime ;; esac
  w=$(mount -o "$m" "$1" 2>&1) || say "mount: $w"
}
# ruleset NAME: the table of the packet filter becomes what is on stdin, in one go; nothing is no table.
ruleset() {
  command -v nft >/dev/null 2>&1 || { say "nftables is not installed"; return 1; }
  t=$(printf 'table inet %s\ndelete table inet %s\n' "$1" "$1"; cat)
  w=$(printf '%s\n' "$t" | nft -c -f - 2>&1) && w=$(printf '%s\n' "$t" | nft -f - 2>&1) || say "nft: $(printf %s "$w" | head -n 5)"
}
# sshd_behind UNIT: the unit of an sshd that runs and that systemd would stop, or not start, together with this one.
sshd_behind() {
  for n in 1 2 3; do
    set -- $(systemctl show -p RequiredBy,BoundBy,ConsistsOf --value -- "$@" 2>/dev/null)
    [ $# -gt 0 ] || return 0
    for w; do case $w in ssh.service | sshd.service | ssh.socket | sshd.socket) ! systemctl --quiet is-active -- "$w" || { printf %s "$w"; return 0; } ;; esac; done
  done
}
# sshd_runs: the unit of an sshd that runs.
sshd_runs() { for w in ssh.service sshd.service ssh.socket sshd.socket; do ! systemctl --quiet is-active -- "$w" || { echo "$w"; return 0; }; done; }
# dropped UNIT: whether its unit is another on disk than systemd has read: of the first file in a new directory it says itself that
# nothing is to be read.
dropped() (
  b=${1%%@*} l=$(systemctl show -p NeedDaemonReload -p DropInPaths -- "$1" 2>/dev/null | sed 's/^DropInPaths=/ /; s/$/ /')
  case $l in *NeedDaemonReload=yes*) exit 0 ;; esac
  for f in $l; do case $f in /*) [ -e "$f" ] || exit 0 ;; esac; done
  [ "$b" = "$1" ] || b=$b@.${1##*.}
  for d in /etc /run /usr/local/lib; do for u in "$1" "$b" "${1##*.}"; do for f in "$d/systemd/system/$u.d"/*.conf; do
    [ ! -f "$f" ] || case $l in *" $f "*) ;; *) exit 0 ;; esac
  done; done; done
  exit 1
)
unit() {
  [ -d /run/systemd/system ] || { say "systemd does not run here"; return 1; }
  case $1 in stop | mask) w=$(sshd_behind "$2"); [ -z "$w" ] || { say "$w requires $2, and nobody would get in without it: change that first"; return 1; } ;; esac
  case $BOOT$1 in start | restart | reload) ! dropped "$2" || systemctl --no-ask-password --quiet daemon-reload ;; esac
  # What began too often within seconds, by us or by who came in, may begin all the same.
  case $1 in start | *restart) systemctl --no-ask-password --quiet reset-failed -- "$2" 2>/dev/null ;; esac
  # A socket cannot listen anew while its service holds it.
  held=
  case $1:$2 in restart:*.socket) held=${2%.socket}.service; systemctl --quiet is-active -- "$held" || held=; [ -z "$held" ] || systemctl --no-ask-password --quiet stop -- "$held" ;; esac
  # What systemd stops along with others, by whatever is between them, is not stopped unasked.
  case $1:$2 in *:ssh.* | *:sshd.* | reload:* | enable:* | disable:* | unmask:*) sshd= ;; *) sshd=$(sshd_runs) ;; esac
  w=$(systemctl --no-ask-password --quiet "$1" -- "$2" 2>&1); r=$?
  [ -z "$sshd" ] || [ -n "$(sshd_runs)" ] || { systemctl --no-ask-password --quiet start -- "$sshd"; say "$1 $2 stopped $sshd as well, by which one gets in: it runs again"; return 1; }
  [ -z "$held" ] || unit start "$held" || r=1
  # Nor can it be started while its service runs: systemd refuses that. The service stops for that moment.
  case $r:$1:$2 in 0:*) ;; *:start:*.socket) ! systemctl --quiet is-active -- "${2%.socket}.service" || { unit restart "$2"; return; } ;; esac
  [ "$r" = 0 ] || {
    [ "$1" = start ] || [ "$1" = restart ] || [ "$1" = reload ] && w="$w $(journalctl --no-pager -q -n 5 -o cat -u "$2" 2>/dev/null)"
    say "systemctl $1 $2: $w"; return $r; }
}
# audit_rules --load: makes one file of all in rules.d, and gives it to the kernel; without a word the file alone, as
# for a kernel that is locked and would refuse.
audit_rules() {
  command -v augenrules >/dev/null 2>&1 || { say "augenrules is not installed"; return 1; }
  case $(auditctl -s 2>/dev/null) in *'enabled 2'*) set -- ;; esac
  w=$(augenrules $1 2>&1) || say "augenrules: $(printf %s "$w" | head -n 5)"
}
# make_key PATH: made apart and moved, so that half a pair is never found.
make_key() {
  command -v ssh-keygen >/dev/null 2>&1 || { say "ssh-keygen is not installed"; return 1; }
  [ ! -e "$1" ] && [ ! -L "$1" ] || { say "$1 is there already"; return 1; }
  d=$(mktemp -d "${1%/*}/.steadfast-XXXXXX") || { say "cannot write in ${1%/*}"; return 1; }
  w=$(ssh-keygen -q -t ed25519 -N '' -C "$(uname -n)" -f "$d/key" 2>&1 </dev/null) && chmod 644 "$d/key.pub" && sync "$d/key" "$d/key.pub" && mv "$d/key.pub" "$1.pub" && mv "$d/key" "$1" && rmdir "$d" ||
    { rm -rf "$d"; say "ssh-keygen: $w"; }
}
# at_door NAME: whether it is one of `DOORS`. In a subshell: its patterns are no names of files.
at_door() (set -f; for d in $DOORS; do case $1 in $d) exit 0 ;; esac; done; exit 1)
# What apt asks before it unpacks, with the files on stdin: nothing that is at the door comes along with others unasked, for
# nothing would prove it.
COMES='set -f; while read -r p; do p=$(dpkg-deb -f "$p" Package) || exit 1; for d in $DOORS; do case $p in $d) dpkg-query -W -f "\${db:Status-Status}" "$p" 2>/dev/null | grep -qx installed || { echo "steadfast-door $p"; exit 1; } ;; esac; done; done'
install() {
  if command -v apt-get >/dev/null 2>&1; then
    h=$COMES; for p; do ! at_door "$p" || h=; done
    g() { DOORS=$DOORS LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get ${h:+-o "DPkg::Pre-Install-Pkgs::=$h"} -q -y -o DPkg::Lock::Timeout=60 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o APT::Install-Recommends=false install "$@" 2>&1; }
    # 2: it must not be.
    once() {
      w=$(g --no-remove -- "$@") && return 0
      case $w in *'remove is disabled'*) keeps install "$@" || return 2; w=$(g -- "$@") && return 0 ;; esac
      p=$(printf '%s\n' "$w" | sed -n 's/^steadfast-door //p' | head -n 1)
      [ -z "$p" ] || { say "with $* would come $p, by which one gets in or not: name it in the step, so that it is proven"; return 2; }
      return 1
    }
    once "$@"; r=$?; [ "$r" = 1 ] || return "$r"
    # Perhaps only the lists are old.
    if apt-get -q update >/dev/null 2>&1; then once "$@"; r=$?; [ "$r" = 1 ] || return "$r"; fi
    say "apt-get install: $(printf %s "$w" | tail -n 5)"
  elif command -v dnf >/dev/null 2>&1; then w=$(dnf -q -y install "$@" 2>&1) || say "dnf install: $w"
  elif command -v apk >/dev/null 2>&1; then w=$(apk add -q "$@" 2>&1) || say "apk add: $w"
  else say "no package manager that is known"; fi
}
# keeps VERB NAME…: nothing that is at the door, by `DOORS`, would go with these unless somebody asked for it.
keeps() {
  w=$(along "$@"); [ -z "$w" ] || { v=$1; shift; say "to $v $* would take away $(echo $w), by which one gets in: name it in the step if it is meant to"; return 1; }
}
# along VERB NAME…: what would.
along() {
  v=$1; shift
  for p in $(LC_ALL=C apt-get -q -s -o Debug::NoLocking=1 "$v" -- "$@" 2>/dev/null | sed -n 's/^Remv \([^ :]*\).*/\1/p'); do
    case " $* " in *" $p "*) continue ;; esac
    ! at_door "$p" || printf '%s\n' "$p"
  done
}
uninstall() {
  if command -v apt-get >/dev/null 2>&1; then
    keeps remove "$@" || return 1
    w=$(DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=60 remove -- "$@" 2>&1) || say "apt-get remove: $(printf %s "$w" | tail -n 5)"
  elif command -v dnf >/dev/null 2>&1; then w=$(dnf -q -y remove "$@" 2>&1) || say "dnf remove: $w"
  elif command -v apk >/dev/null 2>&1; then w=$(apk del -q "$@" 2>&1) || say "apk del: $w"
  else say "no package manager that is known"; fi || return
  # Units that went with them are told as they were until systemd looks again.
  [ -n "$BOOT" ] || [ ! -d /run/systemd/system ] || systemctl --no-ask-password --quiet daemon-reload
}
due() {
  mkdir -p -m 700 /var/lib/steadfast "${1%/*}" && : >"$1" && { sync "${1%/*}" 2>/dev/null || sync; }
}
