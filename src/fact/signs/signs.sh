## signs-begin
r=0; [ "$u" = 0 ] || r=201
sg_n='
'
# Whose tools answer late or never shall not blind the look: what hangs is told, and asked once.
sg_wait() { if command -v timeout >/dev/null; then timeout -k 1 "$@"; else shift; "$@"; fi; }
sg_hung=
sg_ask() { sg_out=; case $sg_hung in *" $1 "*) return 202;; esac
sg_out=$({ sg_wait 15 "$@"; printf '\n%s' "$?"; } | sg_wait 17 tail -c 2000000); x=${sg_out##*"$sg_n"}; sg_out=${sg_out%"$sg_n"*}
# What a tool began may go on talking behind its end, or hold its output open, and then no number stands there.
case $x in 124 | 137 | '' | *[!0-9]*) sg_hung="$sg_hung $1 "; return 202;; *) return "$x";; esac; }
sg_one() { sg_v=$1; while :; do case $sg_v in *"$sg_n"*) sg_v=${sg_v%%"$sg_n"*}'\n'${sg_v#*"$sg_n"};; *) break;; esac; done; }
date '+now %s'
x=$(sg_wait 15 getconf CLK_TCK | sg_wait 16 head -n 1); printf 'tick %s\n' "${x:-100}"
printf 'cpus %s\n' "$(grep -c '^cpu[0-9]' /proc/stat)"
# The earliest of all, for touch and chmod move the others. machine-id comes with the image, often empty, and only its last change is of this host.
for f in /etc/machine-id /etc/ssh/ssh_host_*_key; do [ -f "$f" ] || continue
case $f in */machine-id) x=%Z;; *) x='%W %Y %Z';; esac
for x in $(stat -c "$x" -- "$f"); do case $x in 0 | *[!0-9]*) ;; *) printf 'born %s\n' "$x";; esac; done; done
grep -as '^Mem' /proc/meminfo
[ -s /var/lib/dpkg/status ] && printf 'dpkg yes\n'
read -r sg_a sg_b sg_c sg_d sg_last x </proc/loadavg
case $sg_last in '' | *[!0-9]*) sg_last=0;; esac; [ "$sg_last" -le 65536 ] || sg_last=65536
sg_pids() { set -- /proc/[0-9]*; sg_v=" $* "; }
sg_ps() { command -v ps >/dev/null || return 200; sg_ask ps -e -o pid= || sg_ask ps -o pid; x=$?; printf '%s\n' "$sg_out"; [ "$x" != 202 ] || return 202; }
c $r
## signs-first
grep -aHs '' /proc/uptime /proc/[0-9]*/stat; grep -aHsE '^(read|write)_bytes' /proc/[0-9]*/io
c 0
## signs-ps-1
sg_ps
c $?
## signs-programs
sg_list=
for p in /proc/[0-9]*; do x=$(readlink "$p/exe") || continue; sg_one "$x"; printf '%s %s\n' "${p#/proc/}" "$sg_v"
sg_v=${sg_v% (deleted)}; case $sg_list in *"$sg_n$sg_v$sg_n"*) ;; *) sg_list="$sg_list$sg_n$sg_v$sg_n";; esac; done
c 0
## signs-users
grep -aHs '^Uid:' /proc/[0-9]*/status
c 0
## signs-words
grep -aHsz -m 8 '' /proc/[0-9]*/cmdline | head -c 1000000
c 0
## signs-preload
grep -aHsz '^LD_PRELOAD=' /proc/[0-9]*/environ | head -c 100000
[ ! -s /etc/ld.so.preload ] || { printf '/etc/ld.so.preload:'; head -c 1000 /etc/ld.so.preload | tr '\n' ' '; printf '\0'; }
c 0
## signs-net-1
sg_net() { [ -r /proc/net/tcp ] || return 200
grep -aHsE '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ (01|02|07|0A) ' /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 | head -n 20000; }
sg_ss() { command -v ss >/dev/null || return 200; sg_ask ss -Htuna; x=$?; printf '%s\n' "$sg_out" | sed '/./!d'; [ "$x" != 202 ] || return 202; }
sg_net
c $?
## signs-ss-1
sg_ss
c $?
## signs-net-2
sg_net
c $?
## signs-ss-2
sg_ss
c $?
## signs-holders
printf '%s\0' /proc/[0-9]*/fd/* | xargs -0 stat -c '%N' | grep -aoE '^.?/proc/[0-9]+/fd/[0-9]+.? -> .socket:\[[0-9]+\].$' | head -n 50000
c 0
## signs-files
sg_find() { set --; for d in /etc/cron* /var/spool/cron /etc/anacrontab /etc/systemd /usr/local/lib/systemd /usr/lib/systemd/system /lib/systemd/system /run/systemd/transient /run/systemd/system \
/etc/init.d /etc/rc?.d /etc/rc.local /etc/inittab /etc/profile /etc/profile.d /etc/bash.bashrc /etc/environment /etc/ld.so.preload /etc/ld.so.conf /etc/ld.so.conf.d /etc/pam.d /etc/udev/rules.d /usr/lib/udev/rules.d \
/etc/modules /etc/modules-load.d /etc/modprobe.d /etc/xdg/autostart /etc/update-motd.d /etc/apt/apt.conf.d /etc/network /etc/NetworkManager/dispatcher.d /etc/dhcp /etc/sudoers /etc/sudoers.d \
/usr/lib/systemd/*-generators /usr/lib/systemd/system-sleep /usr/lib/systemd/system-shutdown /usr/lib/systemd/user /etc/tmpfiles.d /etc/binfmt.d /etc/logrotate.d /etc/kernel /etc/ppp /etc/polkit-1/rules.d \
/usr/local/share/dbus-1 /etc/sudo.conf /etc/bash_completion.d /etc/zsh /etc/ssh/sshrc /root/.ssh/rc /root/.bash_logout /root/.zshrc /root/.zshenv /root/.pam_environment /home/*/.ssh/rc /home/*/.bash_logout /home/*/.zshrc /home/*/.zshenv \
/root/.bashrc /root/.profile /root/.bash_profile /root/.bash_login /root/.config/systemd /home/*/.bashrc /home/*/.profile /home/*/.bash_profile /home/*/.bash_login /home/*/.config/systemd /home/*/.config/autostart; do
[ -e "$d" ] || continue; case $d in /lib/*) [ ! -L /lib ] || continue;; esac; set -- "$@" "$d"; done
[ $# = 0 ] || find "$@" -xdev \( -type f -o -type l \) \( -mtime "-$D" -o -ctime "-$D" \) ! -path '/run/systemd/*.wants/*' ! -path '/run/systemd/transient/*.scope' ! -path '/run/systemd/transient/*.slice' -print0 | head -c 2000000; }
sg_find | xargs -0 stat -c '%Y %Z %a %u %s %F|%n//' --
c 0
## signs-links
sg_find | xargs -0 sh -c 'for f; do [ -L "$f" ] || continue; t=$(readlink -f -- "$f"); printf "%s//\n%s//\n" "$f" "$t"; done' sh
c 0
## signs-tools
sg_tools=
for t in ps ss ls netstat top lsof find stat readlink md5sum grep sed sshd login su sudo passwd bash dash sh cat journalctl systemctl crontab dpkg dpkg-query; do
for d in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do case $d in /sbin | /bin) [ ! -L "$d" ] || continue;; esac
[ -e "$d/$t" ] || continue; sg_tools="$sg_tools$d/$t$sg_n"; printf '%s %s\n' "$d/$t" "$(readlink -f "$d/$t")"; done; done
c 0
## signs-owners
sg_paths() { sg_find | tr '\0' '\n'; sg_find | xargs -0 sh -c 'for f; do [ ! -L "$f" ] || readlink -f -- "$f"; done' sh
printf '%s' "$sg_list$sg_tools"; printf '%s' "$sg_tools" | while IFS= read -r t; do readlink -f "$t"; done; }
sg_both() { sed -n -e '/^\//!d' -e p -e 's,^/usr/\(bin\|sbin\|lib\)\(.*\)$,/\1\2,p' -e t -e 's,^/\(bin\|sbin\|lib\)\(.*\)$,/usr/\1\2,p' | sort -u; }
sg_paths | sg_both | grep -aHsxF -f - /var/lib/dpkg/info/*.list
c 0
## signs-sums
sg_paths | sg_both | sed 's,^/,  ,' | grep -aHsF -f - /var/lib/dpkg/info/*.md5sums | head -n 20000
c 0
## signs-conffiles
sg_wait 30 dpkg-query -W -f '${Conffiles}\n' | sg_wait 32 head -c 2000000; sed 's/^/ucf /' /var/lib/ucf/hashfile
c 0
## signs-have
{ sg_find; printf '%s' "$sg_list$sg_tools" | grep -a '^/' | sort -u | tr '\n' '\0'; } | xargs -0 sh -c 'for f; do [ -f "$f" ] && [ -r "$f" ] && md5sum -- "$f"; done' sh
c 0
## signs-modules
sg_loaded() { cat /proc/modules | while read -r m x; do printf '%s %s\n' "$1" "$m"; done; }
sg_loaded a; for m in /sys/module/*/initstate; do [ -e "$m" ] || continue; m=${m%/initstate}; printf 's %s\n' "${m##*/}"; done; sg_loaded b
c 0
## signs-hidden
sg_pids; sg_seen=$sg_v; sg_found=; i=2
while [ "$i" -le "$sg_last" ]; do if [ -e "/proc/$i/status" ]; then case $sg_seen in *" /proc/$i "*) ;; *) while read -r a b x; do case $a in Tgid:) [ "$b" != "$i" ] || sg_found="$sg_found $i"; break;; esac; done <"/proc/$i/status";; esac; fi; i=$((i+1)); done
sg_pids; for i in $sg_found; do [ -e "/proc/$i/status" ] || continue; case $sg_v in *" /proc/$i "*) ;; *) printf '%s\n' "$i";; esac; done
c 0
## signs-names
sg_glob() { for f in "$1"/* "$1"/.[!.]* "$1"/..?*; do [ -e "$f" ] || [ -L "$f" ] || continue; sg_one "${f##*/}"; printf '%s %s\n' "$2" "$sg_v"; done; }
for d in /etc /etc/cron.d /etc/cron.daily /etc/systemd/system /etc/init.d /root /root/.ssh /tmp /var/tmp /dev/shm /usr/local/bin /usr/local/sbin; do [ -d "$d" ] || continue
printf 'd %s\n' "$d"; sg_glob "$d" g | head -n 2000; sg_ask ls -A "$d"; r=$?; [ "$r" != 202 ] || break; printf '%s\n' "$sg_out" | head -n 2000 | sed '/./!d; s/^/l /'; sg_glob "$d" h | head -n 2000; done
c "$r"
## signs-logins
{ sg_wait 30 journalctl -q --no-pager -o short-unix -S "-${D}d" -n 200000 _UID=0 SYSLOG_IDENTIFIER=sshd + _UID=0 SYSLOG_IDENTIFIER=sshd-session | sg_wait 32 grep -a ': Accepted ' | tail -n 2000
grep -ahs 'sshd.*: Accepted ' /var/log/auth.log /var/log/auth.log.1 /var/log/secure | tail -n 2000; }
c 0
## signs-changed
for f in /etc/passwd /etc/shadow /etc/group /root/.ssh/authorized_keys /root/.ssh/authorized_keys2 /home/*/.ssh/authorized_keys /home/*/.ssh/authorized_keys2; do [ -f "$f" ] || continue; sg_one "$f"; printf 'f %s %s\n' "$(stat -c '%Y %Z' -- "$f")" "$sg_v"; done
sed -n -E 's/^([^:]*):[^:]*:([0-9]+):.*/s \2 \1/p' /etc/shadow
c 0
## signs-earlier
find /var/lib/steadfast/runs -mindepth 1 -maxdepth 1 -type d -mtime "-$D" | sort | while IFS= read -r d; do case ${d##*/} in *[!0-9A-Za-z.-]*) continue;; esac
for f in "$d"/[0-9][0-9][0-9][0-9]; do [ -f "$f" ] || continue; printf 'run %s %s\n' "${d##*/}" "$(stat -c %Z -- "$f")"; grep -aE '^(step|at) ' "$f"; done; done | head -c 4000000
c 0
## signs-log
{ sg_wait 30 journalctl -q --no-pager -o short-unix -S -1d -n 200000; for f in /var/log/mysql/error.log /var/log/postgresql/*.log /var/log/redis/*.log; do [ ! -f "$f" ] || tail -n 5000 "$f"; done; } |
grep -aiE 'query\[[A-Z]+\]|query: |lock wait timeout|timeout reading|statement timeout|connection timed out|connection timeout|server closed the connection' | cut -c1-300 | tail -n 20000
c 0
## signs-second
sleep 1; grep -aHs '' /proc/uptime /proc/[0-9]*/stat; grep -aHsE '^(read|write)_bytes' /proc/[0-9]*/io
c 0
## signs-ps-2
sg_ps
c $?
