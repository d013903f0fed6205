N=0a1b2c3d4e5f
{
LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin; export PATH
unset GREP_OPTIONS GREP_COLOR SYSTEMD_COLORS SYSTEMD_PAGER POSIXLY_CORRECT DPKG_ROOT DPKG_ADMINDIR
set +e +u +f +x; cd /
ulimit -f 65536
o() { printf '%s %s\n' "$N" "$1"; }
c() { printf '\n%s/ %s\n' "$N" "$1"; }
u=; [ -r /proc/self/status ] && while read -r a b x y; do case $a in Uid:) u=$x; break;; esac; done </proc/self/status
[ -n "$u" ] || u=$(id -u)
o lines
set --
for f in '/etc/os-release' '/proc/self/mounts' '/proc/sys/fs/protected_hardlinks' '/proc/sys/fs/suid_dumpable' '/proc/sys/kernel/arch' '/proc/sys/kernel/core_pattern' '/proc/sys/kernel/dmesg_restrict' '/proc/sys/kernel/hostname' '/proc/sys/kernel/kptr_restrict' '/proc/sys/kernel/no_such' '/proc/sys/kernel/osrelease' '/proc/sys/kernel/printk' '/proc/sys/kernel/random/boot_id' '/proc/sys/net/ipv4/conf/all/accept_redirects' '/proc/sys/net/ipv4/ip_forward' '/proc/sys/net/ipv4/ip_local_reserved_ports' '/proc/sys/net/ipv4/tcp_syncookies' '/proc/sys/vm/drop_caches' '/proc/sys/vm/mmap_rnd_bits' '/run/systemd/container' '/sys/class/dmi/id/product_name' '/sys/class/dmi/id/sys_vendor' '/sys/hypervisor/type' '/usr/lib/os-release'; do if [ -f "$f" ] && [ -r "$f" ]; then set -- "$@" "$f"
elif [ -f "$f" ]; then [ "$u" = 0 ] && printf 'n %s\n' "$f" || printf 'd %s\n' "$f"; else printf 'a %s\n' "$f"; fi; done
r=0; [ $# -eq 0 ] || { grep -aHs '' "$@"; r=$?; }
c $r
o os
i=other; if [ -d /run/systemd/system ]; then i=systemd; elif [ -d /run/openrc ]; then i=openrc; fi
p=; if [ -s /var/lib/dpkg/status ]; then p=dpkg; elif [ -f /lib/apk/db/installed ] || [ -f /usr/lib/apk/db/installed ]; then p=apk; elif [ -d /var/lib/rpm ] || [ -d /usr/lib/sysimage/rpm ]; then p=rpm; fi
v=; [ -e /run/.containerenv ] && v=podman; [ -e /.dockerenv ] && v=docker
printf 'uid %s\ninit %s\npackages %s\ncontainer %s\n' "$u" "$i" "$p" "$v"
[ -r /proc/sys/kernel/arch ] || { printf 'arch '; uname -m; }
c 0
o due
h=; for d in /var/lib/steadfast /var/lib/steadfast/due; do [ -d "$d" ] && ! [ -x "$d" ] && h=1; done
for f in '/var/lib/steadfast/due/never' '/var/lib/steadfast/due/reload%20ssh.service'; do if [ -n "$h" ]; then printf 'd\n'; elif [ -e "$f" ]; then printf '1\n'; else printf '0\n'; fi; done
c 0
o units
if [ -d /run/systemd/system ]; then
set -- '-.mount' 'cron.service' 'debug-shell.service' 'getty@tty1.service' 'ssh.service' 'sshd.service' 'systemd-tmpfiles-clean.service' 'telnet.socket'; s=
for n in 'ssh.socket'; do
k=; for d in /etc/systemd/system /run/systemd/system /usr/lib/systemd/system /lib/systemd/system /usr/local/lib/systemd/system /run/systemd/generator /run/systemd/generator.early /run/systemd/generator.late /run/systemd/transient /etc/systemd/system.control /run/systemd/system.control /etc/systemd/system.attached /run/systemd/system.attached; do [ -e "$d/$n" ] || [ -L "$d/$n" ] || continue; k=1; break; done
if [ -n "$k" ]; then set -- "$@" "$n"; else s="$s$n
"; fi; done
a=$(systemctl show -p Id,Names,LoadState,ActiveState,SubState,UnitFileState,TriggeredBy,NeedDaemonReload -- "$@"); r=$?; printf '%s
' "$a"
set --; while IFS= read -r n; do case $n in '') ;; *) case $a in *"$n"*) set -- "$@" "$n";; *) printf '
Id=%s
LoadState=not-found
ActiveState=inactive
SubState=dead
' "$n";; esac;; esac; done <<EOS
$s
EOS
[ $# = 0 ] || [ $r != 0 ] || { printf '
'; systemctl show -p Id,Names,LoadState,ActiveState,SubState,UnitFileState,TriggeredBy,NeedDaemonReload -- "$@"; r=$?; }
elif [ -d /run/openrc ]; then r=200; else r=201; fi
c $r
o packages
p=; if [ -s /var/lib/dpkg/status ]; then p=dpkg; elif [ -f /lib/apk/db/installed ] || [ -f /usr/lib/apk/db/installed ]; then p=apk; elif [ -d /var/lib/rpm ] || [ -d /usr/lib/sysimage/rpm ]; then p=rpm; fi
case $p in
dpkg) dpkg-query -W -f 'dpkg ${Package} ${Architecture} ${db:Status-Abbrev}|${Version}\n' dpkg 'dpkg' 'libc6:amd64' 'mail-transport-agent' 'openssh-server' 'telnetd'; r=$?;;
rpm) rpm -q --qf 'rpm %{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' rpm 'dpkg' 'libc6:amd64' 'mail-transport-agent' 'openssh-server' 'telnetd'; r=$?;;
apk) r=2; for f in /usr/lib/apk/db/installed /lib/apk/db/installed; do [ -f "$f" ] && { grep -a '^[PV]:' "$f"; r=$?; break; }; done;;
*) r=200;; esac
c $r
o modules
for m in cramfs dummy ext4 no_such usb_storage; do [ -d "/sys/module/$m" ] && printf 'm %s\n' "$m"; done
k=; [ -r /proc/sys/kernel/osrelease ] && read -r k </proc/sys/kernel/osrelease
[ -n "$k" ] && [ -r "/lib/modules/$k/modules.dep" ] || printf 'u\n'
set --
for f in /etc/modprobe.d/*.conf /run/modprobe.d/*.conf /usr/local/lib/modprobe.d/*.conf /usr/lib/modprobe.d/*.conf /lib/modprobe.d/*.conf; do if [ -r "$f" ]; then printf 'f %s\n' "$f"; set -- "$@" "$f"; elif [ -e "$f" ]; then printf 'd %s\n' "$f"; fi; done
grep -aHsE -e '^(cramfs|dummy|ext4|no[-_]such|usb[-_]storage) ' -e '^([^: ]*/)?(cramfs|dummy|ext4|no[-_]such|usb[-_]storage)[.]ko([.][a-z0-9]+)?(:|$)' -e '^[[:space:]]*(blacklist|install)[[:space:]]' -e 'blacklist=' \
/proc/modules /proc/cmdline "/lib/modules/$k/modules.dep" "/lib/modules/$k/modules.builtin" "$@"
r=$?; [ $r -le 2 ] && r=0; c $r
o accounts
f=; if [ ! -e /etc/shadow ]; then printf 'a\n'; elif [ -r /etc/shadow ]; then f=/etc/shadow; else printf 'd\n'; fi
sed -n -E -e 's/^([^:]+):x:(([^:]*:){4}[^:]*)$/pX\1:\2/p' -e t -e 's/^([^:]+):x:([^:]*:){5}([^:]*):[^:]*$/sX\1:\3/p' -e t -e 's/^([^:]+)::(([^:]*:){4}[^:]*)$/pE\1:\2/p' -e t -e 's/^([^:]+)::([^:]*:){5}([^:]*):[^:]*$/sE\1:\3/p' -e t -e 's/^([^:]+):![^:]*:(([^:]*:){4}[^:]*)$/pL\1:\2/p' -e t -e 's/^([^:]+):![^:]*:([^:]*:){5}([^:]*):[^:]*$/sL\1:\3/p' -e t -e 's/^([^:]+):(\$[^:]*|_[./0-9A-Za-z]{19}|[./0-9A-Za-z]{13}):(([^:]*:){4}[^:]*)$/pS\1:\3/p' -e t -e 's/^([^:]+):(\$[^:]*|_[./0-9A-Za-z]{19}|[./0-9A-Za-z]{13}):([^:]*:){5}([^:]*):[^:]*$/sS\1:\4/p' -e t -e 's/^([^:]+):[^:]*:(([^:]*:){4}[^:]*)$/pN\1:\2/p' -e t -e 's/^([^:]+):[^:]*:([^:]*:){5}([^:]*):[^:]*$/sN\1:\3/p' -e t -e 's/^([^:]+):[^:]*:([^:]*:[^:]*)$/g\1:\2/p' /etc/passwd /etc/group $f
c $?
o sockets
r=1; if command -v ss >/dev/null; then ss -Hltnup; r=$?; [ $r -eq 0 ] && printf 'ss\n'; fi
if [ $r -ne 0 ]; then b=little; [ -r /sys/kernel/cpu_byteorder ] && read -r b </sys/kernel/cpu_byteorder
if [ "$b" != little ]; then r=200; elif [ ! -r /proc/net/tcp ]; then r=201; else printf '\nproc\n'
grep -aHsE '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ 0[7A] ' /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6
[ $? -le 2 ] && r=0; fi; fi
c $r
o sshd-0
s=; for x in /usr/sbin/sshd /usr/local/sbin/sshd /sbin/sshd /usr/bin/sshd; do [ -x "$x" ] && { s=$x; break; }; done
if [ -z "$s" ]; then r=200; elif [ "$u" != 0 ]; then r=201; else "$s" -T; r=$?
[ $r -eq 0 ] || { printf '\n? '; "$s" -T 2>&1 >/dev/null; }; fi
c $r
o sshd-1
s=; for x in /usr/sbin/sshd /usr/local/sbin/sshd /sbin/sshd /usr/bin/sshd; do [ -x "$x" ] && { s=$x; break; }; done
if [ -z "$s" ]; then r=200; elif [ "$u" != 0 ]; then r=201; else "$s" -T -C 'user=nobody,host=unknown.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22'; r=$?
[ $r -eq 0 ] || { printf '\n? '; "$s" -T -C 'user=nobody,host=unknown.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22' 2>&1 >/dev/null; }; fi
c $r
o sshd-2
s=; for x in /usr/sbin/sshd /usr/local/sbin/sshd /sbin/sshd /usr/bin/sshd; do [ -x "$x" ] && { s=$x; break; }; done
if [ -z "$s" ]; then r=200; elif [ "$u" != 0 ]; then r=201; else "$s" -T -C 'user=root,host=unknown.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22'; r=$?
[ $r -eq 0 ] || { printf '\n? '; "$s" -T -C 'user=root,host=unknown.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22' 2>&1 >/dev/null; }; fi
c $r
o stat
k() { i=$1 r=$2; shift 2; for d; do [ ! -L "$d" ] || l "$d"; [ "$u" != 0 ] && [ -d "$d" ] || continue; [ -x "$d" ] && { [ $r = 0 ] || [ -r "$d" ]; } || printf 'b %s %s//\n' "$i" "$d"; done; }
l() { case $(stat -c %u:00%a -- "$1" "${1%/*}/." | tr '\n' ' ') in 0:*" 0:"*[0145][0145]" "|0:*" $u:"*[0145][0145]" "|"$u:"*" 0:"*[0145][0145]" "|"$u:"*" $u:"*[0145][0145]" ") printf 't %s//\n%s//\n' "$1" "$(readlink -f -- "$1")";; *) printf 'l %s//\n' "$1";; esac; }
k 0 0 /
k 1 0 /'dev'
k 2 0 /'etc'
k 3 0 /dev
k 4 0 /etc
k 5 1 /etc
k 6 1 /etc/ssh
k 7 1 /home
k 8 0 /home/*
k 9 0 /home/*/.ssh
k 10 0 /no
k 11 0 /root
k 12 0 /root/.ssh
k 13 0 /usr
k 14 0 /usr/bin
case '[x]nothing' in [x]nothing) ;; *) printf 'n %s//\n' 0;; esac
set -- '/dev/null' '/etc' '/etc/hostname' '/etc/login.defs' '/etc/os-release' '/etc/passwd' '/etc/shadow' '/etc/shadow.no' '/no/such' '/root' '/root/.ssh/authorized_keys' '/tmp' '/usr/bin/passwd' /. /etc/[x]nothing /. /etc/cron.* /. /etc/ssh/ssh_host_*_key /. /home/*/.ssh/authorized_keys
if [ $# -gt 100000 ]; then r=200; elif [ $# -gt 400 ]; then printf '%s\0' "$@" | xargs -0 stat -c '%f %h %s %Y %u %g %U/%G%n//' --; r=$?
else stat -c '%f %h %s %Y %u %g %U/%G%n//' -- "$@"; r=$?; fi
c $r
o files
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

swappable() { [ "$u" = 0 ] || return 1; d=${1%/*}; while [ -n "$d" ]; do [ -O "$d" ] && [ ! -k "$d" ] && [ ! -g "$d" ] || return 0; d=${d%/*}; done; return 1; }
held() { exec 3<"$1" && [ -f /proc/self/fd/3 ] && { [ "$(readlink /proc/self/fd/3; echo .)" = "$1
." ] || { pin "$1" && exec 3<"./$f" && [ "$(readlink /proc/self/fd/3; echo .)" = "$r/$f
." ]; }; } \
&& set -- "$1" $(stat -L -c '%h %s %F' /proc/self/fd/3) && [ "$3" -lt 1048577 ] && [ "$4" = regular ] && { [ "$2" = 1 ] || { pin "$1" && ours; }; } && printf '\n==> %s <==\n' "$1" && exec head -c 1048577 <&3; }
set --
for f in '/dev/null' '/etc' '/etc/hostname' '/etc/login.defs' '/etc/os-release' '/etc/shadow.no'; do
[ -f "$f" ] && [ ! -L "$f" ] || continue
if swappable "$f"; then (held "$f"); else set -- "$@" "$f"; fi; done
[ $# = 0 ] || head -v -c 1048577 -- "$@"
[ "$u" = 0 ]; c $?
} </dev/null 2>/dev/null
