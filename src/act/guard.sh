# The dead-man switch: a change to the way in goes back by itself unless a new login confirms it. Needs journal.sh.
# Confirming and firing are the renaming of one file, so never both happen. POSIX: dash, busybox ash, bash.
# arm TOKEN SECONDS: before the change; `T` is its journal, `WAY` these functions as text.
arm() {
  G=$B/guard/$1
  mkdir -p -m 700 "$B/guard" && mkdir -m 700 "$G" || { say "cannot arm the guard in $B/guard"; return 1; }
  { printf '%s\n' "$WAY" "B=$B; BOOT=\$1; fire $1 $T"; } >"$G/undo.sh" && printf '%s\n' "$T" >"$G/armed" \
    && durable "$G/undo.sh" "$G/armed" "$G" "$B/guard" || { rm -rf "$G"; say "cannot write the guard in $G"; return 1; }
  if [ -d /run/systemd/system ] && [ -w /etc/systemd/system ]; then
    boot_unit && w=$(systemd-run --quiet --collect --unit="steadfast-guard-$1" --on-active="$2" --timer-property=AccuracySec=1s /bin/sh "$G/undo.sh" 2>&1) && return 0
    rm -rf "$G"; tidy "$1"; say "cannot start the guard: $w"; return 1
  fi
  # Without systemd a loop on the kernel's own clock; its session is its own, so no logout ends it.
  setsid sh -c 'trap "" HUP TERM INT; read -r u _ </proc/uptime; e=$((${u%.*} + $2))
    while [ -e "$1/armed" ]; do read -r u _ </proc/uptime; [ "${u%.*}" -lt "$e" ] || exec sh "$1/undo.sh"; sleep 1; done' \
    guard "$G" "$2" </dev/null >/dev/null 2>&1 &
}
U=/etc/systemd/system/steadfast-guard.service
L=/etc/systemd/system/sysinit.target.wants/steadfast-guard.service
# A restart ends the timer: whatever is armed then goes back before anybody is let in.
boot_unit() {
  [ ! -e "$U" ] || return 0
  mkdir -p "${L%/*}" && cat >"$U" <<EOF && ln -sf ../steadfast-guard.service "$L" && durable "$U" "${U%/*}" "${L%/*}"
[Unit]
Description=Takes back changes to the way in that nobody confirmed
DefaultDependencies=no
RequiresMountsFor=$B /etc /usr
After=local-fs.target systemd-remount-fs.service
Before=sysinit.target network-pre.target ssh.service sshd.service ssh.socket nftables.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for g in $B/guard/*/; do [ ! -e "\$\$g/armed" ] || /bin/sh "\$\$g/undo.sh" boot; done'
EOF
}
# tidy TOKEN: the timer, and the unit when nobody needs it any more.
tidy() {
  ! command -v systemctl >/dev/null 2>&1 || systemctl --quiet --no-block stop "steadfast-guard-$1.timer" 2>/dev/null
  for g in "$B"/guard/*/; do [ ! -e "$g/armed" ] || return 0; done
  rm -f "$L" "$U"
}
confirm() {
  G=$B/guard/$1
  if mv "$G/armed" "$G/confirmed" 2>/dev/null; then rm -rf "$G"; tidy "$1"; echo confirmed; else guard_state "$1"; fi
}
# fire TOKEN JOURNAL: goes back; three times if it must.
fire() {
  G=$B/guard/$1
  mv "$G/armed" "$G/fired" 2>/dev/null || return 0
  e=failed
  for n in 1 2 3; do
    if undo "$2" >>"$G/log" 2>&1; then e=reverted; break; fi
    sleep 1
  done
  echo "end $e" >>"$2"
  echo "$e" >"$G/end.new" && durable "$G/end.new" "$2" && mv "$G/end.new" "$G/end" && durable "$G"
  tidy "$1"
}
fire_now() {
  G=$B/guard/$1
  read -r j <"$G/armed" && fire "$1" "$j"
  guard_state "$1"
}
guard_state() {
  G=$B/guard/$1
  if [ -e "$G/end" ]; then cat "$G/end" && tail -n 20 "$G/log"
  elif [ -e "$G/fired" ]; then echo fired
  elif [ -e "$G/armed" ]; then echo armed
  else echo none; fi
}
# settle: what a run that is no more left armed goes back; says which changes went back, a line each.
settle() {
  for g in "$B"/guard/*/; do
    g=${g%/}; [ -d "$g" ] || continue
    ! read -r j <"$g/armed" || fire "${g##*/}" "$j"
    n=0; while [ ! -e "$g/end" ] && [ "$n" -lt 60 ]; do sleep 1; n=$((n+1)); done
    [ ! -e "$g/end" ] || { read -r j <"$g/fired"; read -r e <"$g/end"; s=$(sed -n 's/^step //p' "$j"); j=${j%/*}; printf '%s\n' "$e ${j##*/} ${s:-unknown}"; rm -rf "$g"; }
  done 2>/dev/null
}
forget() { [ ! -e "$B/guard/$1/end" ] || rm -rf "$B/guard/$1"; echo none; }
