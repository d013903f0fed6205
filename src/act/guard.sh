# The dead-man switch: a change to the way in goes back by itself unless a new login confirms it. Needs journal.sh.
# Confirming and firing are the renaming of one file, so never both happen. POSIX: dash, busybox ash, bash.
# `list` holds the journals of all changes that one guard is for, in their order.
# arm TOKEN SECONDS: before the change; `T` is its journal, `WAY` these functions as text.
arm() {
  G=$B/guard/$1
  mkdir -p -m 700 "$B/guard" && mkdir -m 700 "$G" || { say "cannot arm the guard in $B/guard"; return 1; }
  { printf '%s\n' "$WAY" "B=$B; BOOT=\$1; fire $1"; } >"$G/undo.sh" && printf '%s\n' "$T" >"$G/list" && echo "$2" >"$G/armed" \
    && durable "$G/undo.sh" "$G/list" "$G/armed" "$G" "$B/guard" || { rm -rf "$G"; say "cannot write the guard in $G"; return 1; }
  if [ -d /run/systemd/system ] && [ -w /etc/systemd/system ]; then
    boot_unit && w=$(systemd-run --quiet --collect --unit="steadfast-guard-$1" --on-active="$2" --timer-property=AccuracySec=1s /bin/sh "$G/undo.sh" 2>&1) && return 0
    rm -rf "$G"; tidy "$1"; say "cannot start the guard: $w"; return 1
  fi
  # Without systemd a loop on the kernel's own clock; its session is its own, so no logout ends it.
  setsid sh -c 'trap "" HUP TERM INT; read -r u _ </proc/uptime; e=$((${u%.*} + $2))
    while [ -e "$1/armed" ]; do read -r u _ </proc/uptime; [ "${u%.*}" -lt "$e" ] || exec sh "$1/undo.sh"; sleep 1; done' \
    guard "$G" "$2" </dev/null >/dev/null 2>&1 &
}
# join TOKEN: one more change for a guard that is armed.
join() {
  G=$B/guard/$1
  printf '%s\n' "$T" >>"$G/list" && durable "$G/list" && [ -e "$G/armed" ] || { say "the guard fired before this began"; return 1; }
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
# fire TOKEN: goes back, the last change first; each three times if it must.
fire() {
  G=$B/guard/$1
  mv "$G/armed" "$G/fired" 2>/dev/null || return 0
  set -- "$1"; e=reverted
  while read -r j; do set -- "$@" "$j"; done <"$G/list"
  token=$1; shift
  n=$#
  while [ "$n" -gt 0 ]; do
    eval "j=\${$n}"; n=$((n-1)); x=failed
    for z in 1 2 3; do
      if (undo "$j") >>"$G/log" 2>&1; then x=reverted; break; fi
      sleep 1
    done
    [ "$x" = reverted ] || e=failed
    echo "end $x" >>"$j"
  done
  echo "$e" >"$G/end.new" && durable "$G/end.new" "$@" && mv "$G/end.new" "$G/end" && durable "$G"
  tidy "$token"
}
fire_now() { fire "$1"; guard_state "$1"; }
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
    fire "${g##*/}"
    n=0; while [ ! -e "$g/end" ] && [ "$n" -lt 60 ]; do sleep 1; n=$((n+1)); done
    read -r e <"$g/end" || continue
    while read -r j; do s=$(sed -n 's/^step //p' "$j"); j=${j%/*}; printf '%s\n' "$e ${j##*/} ${s:-unknown}"; done <"$g/list"
    rm -rf "$g"
  done 2>/dev/null
}
forget() { [ ! -e "$B/guard/$1/end" ] || rm -rf "$B/guard/$1"; echo none; }
