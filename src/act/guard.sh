# The dead-man switch: a change to the way in goes back by itself unless a new login confirms it. Needs journal.sh.
# Confirming and firing are the renaming of one file, so never both happen. POSIX: dash, busybox ash, bash.
# `list` holds the journals of all changes that one guard is for, in their order.
# arm TOKEN SECONDS LONGEST CHANGE…: before the change, which may take so many seconds; `T` is its journal, `WAY` these functions as text, the others are changes
# of the run that go back with it. `room` is space for the way back on a disk that is full by then.
arm() {
  G=$B/guard/$1
  mkdir -p -m 700 "$B/guard" && mkdir -m 700 "$G" || { say "cannot arm the guard in $B/guard"; return 1; }
  { printf '%s\n' "$WAY" "B=\${0%/guard/*}; BOOT=; KEEP=; case \$1 in boot) BOOT=boot ;; keep) KEEP=keep ;; esac; fire $1"; } >"$G/undo.sh" \
    && (shift 3; together "$@") >"$G/list" && busy "$3" >"$G/act" && { fallocate -l 262144 "$G/room" 2>/dev/null || dd if=/dev/zero of="$G/room" bs=64k count=4 2>/dev/null; } && echo "$2" >"$G/armed" \
    && durable "$G/undo.sh" "$G/list" "$G/room" "$G/armed" "$G" "$B/guard" || { rm -rf "$G"; say "cannot write the guard in $G"; return 1; }
  if [ -d /run/systemd/system ] && [ -w /etc/systemd/system ]; then
    boot_unit && w=$(systemd-run --quiet --collect --unit="steadfast-guard-$1" --on-active="$2" --timer-property=AccuracySec=1s /bin/sh "$G/undo.sh" keep 2>&1) && return 0
    rm -rf "$G"; tidy "$1"; say "cannot start the guard: $w"; return 1
  fi
  # Without systemd a loop on the kernel's own clock; its session is its own, so no logout ends it.
  setsid sh -c 'trap "" HUP TERM INT; read -r u _ </proc/uptime; e=$((${u%.*} + $2))
    while [ -e "$1/armed" ]; do read -r u _ </proc/uptime; [ "${u%.*}" -lt "$e" ] || exec sh "$1/undo.sh" keep; sleep 1; done' \
    guard "$G" "$2" </dev/null >/dev/null 2>&1 &
}
# join TOKEN LONGEST CHANGE…: one more change for a guard that is armed.
join() {
  G=$B/guard/$1
  (shift 2; together "$@") >"$G/list.new" && durable "$G/list.new" && mv "$G/list.new" "$G/list" && busy "$2" >"$G/act" && durable "$G" && [ -e "$G/armed" ] || { say "the guard fired before this began"; return 1; }
}
# together CHANGE…: the journals of one guard with these and `T`, in the order in which they were made.
together() {
  { cat "$G/list" 2>/dev/null; for s; do [ ! -e "$D/$s" ] || echo "$s"; done; echo "$T"; } | sed 's|.*/||' | sort -nu | while read -r s; do printf '%s\n' "$D/$s"; done
}
U=/etc/systemd/system/steadfast-guard.service
L=/etc/systemd/system/sysinit.target.wants/steadfast-guard.service
# A restart ends the timer, and whoever was going back: what is not proven then goes back before anybody is let in.
boot_unit() {
  t=$(cat <<EOF
[Unit]
Description=Takes back changes to the way in that nobody confirmed
DefaultDependencies=no
RequiresMountsFor=$B /etc /usr
After=local-fs.target systemd-remount-fs.service
Before=sysinit.target network-pre.target ssh.service sshd.service ssh.socket nftables.service
[Service]
Type=oneshot
TimeoutStartSec=900
ExecStart=/bin/sh -c 'for g in $B/guard/*/; do [ ! -e "\$\$g/undo.sh" ] || /bin/sh "\$\$g/undo.sh" boot; done'
EOF
)
  # A crash may have left half of it.
  [ "$(cat "$U" 2>/dev/null)" != "$t" ] || [ "$(readlink "$L")" != ../steadfast-guard.service ] || return 0
  mkdir -p "${L%/*}" && (umask 022; printf '%s\n' "$t" >"$U.new") && durable "$U.new" && mv "$U.new" "$U" \
    && ln -sfn ../steadfast-guard.service "$L" && durable "${U%/*}" "${L%/*}"
}
# waits DIR: whether this guard may still have to go back.
waits() { [ -e "$1/armed" ] || { [ -e "$1/fired" ] && [ "$(cat "$1/end" 2>/dev/null)" != reverted ]; }; }
# tidy TOKEN: the timer, and the unit when nobody needs it any more.
tidy() {
  ! command -v systemctl >/dev/null 2>&1 || systemctl --quiet --no-block stop "steadfast-guard-$1.timer" 2>/dev/null
  for y in "$B"/guard/*/; do ! waits "$y" || return 0; done
  rm -f "$L" "$U"
}
# confirm TOKEN: what a power cut would take from the disk again, it would take back at the next start.
confirm() {
  G=$B/guard/$1
  if mv "$G/armed" "$G/confirmed" 2>/dev/null; then durable "$G"; rm -rf "$G"; tidy "$1"; echo confirmed; else guard_state "$1"; fi
}
# self: this process, in words that no later process shares.
self() { echo "$$:$(age $$) $(cat /proc/sys/kernel/random/boot_id)"; }
# lives FILE: whether the process that it names is there.
lives() { read -r p b <"$1" && [ "$b" = "$(cat /proc/sys/kernel/random/boot_id)" ] && runs "$p"; } 2>/dev/null
# busy LONGEST: this process, and until when it may act, on the kernel's own clock.
busy() { self; read -r u _ </proc/uptime; echo $((${u%.*} + $1)); }
# acting: whether a change that this guard is for is still being made. What went back beside it would be overtaken by it; and
# what does not end, after all that it may take, is ended here: it may be what keeps everybody out.
acting() {
  [ -s "$G/act" ] && lives "$G/act" || return 1
  { read -r p; read -r q; } <"$G/act"; read -r u _ </proc/uptime
  [ "${u%.*}" -ge "${q:-0}" ] || return 0
  kill_all "${p%%:*}"
  # A script that was broken off may have done what its way back takes back.
  while read -r w a b; do
    b=$B/runs/$(printf %b "$b"); [ "$w $a" != "thing script" ] || [ ! -e "$b.begun" ] || mv "$b.begun" "$b.done"
  done <"$(tail -n 1 "$G/list")"
  return 1
} 2>/dev/null
# kill_all PID: the process and all that it began; none of them begins another meanwhile.
kill_all() {
  kill -STOP "$1"
  for c in $(cat "/proc/$1/task/"*/children); do kill_all "$c"; done
  kill -KILL "$1"
} 2>/dev/null
# patience: a change that takes longer than the guard is waited for, and from its end on the whole time counts once more:
# only now can anybody prove the way in.
patience() {
  acting || return 0
  while acting; do sleep 1; done
  n=0; read -r z <"$G/armed" || return 0
  while [ -e "$G/armed" ] && [ "$n" -lt "$z" ]; do sleep 1; n=$((n+1)); done
} 2>/dev/null
# begin_back TOKEN: takes the way back upon this process: one that fired now, failed before, or was broken off.
begin_back() {
  if mv "$G/armed" "$G/fired" 2>/dev/null; then :
  elif [ -e "$G/fired" ] && [ "$(cat "$G/end" 2>/dev/null)" != reverted ]; then
    [ -e "$G/by" ] || sleep 1
    ! lives "$G/by" || return 1
  else return 1; fi
  rm -f "$G/room"
  self >"$G/by" 2>/dev/null; return 0
}
# fire TOKEN: goes back, the last change first; three times if it must. What then still fails is tried on in the
# background until it succeeds, for a full disk may be cleaned.
fire() {
  G=$B/guard/$1
  if [ -n "$KEEP" ]; then patience; else while acting; do sleep 1; done; fi
  begin_back || return 0
  z=1
  until go_back; do
    [ "$z" -lt 3 ] || [ -n "$KEEP" ] || { keep_on "$1"; return 0; }
    z=$((z+1)); if [ "$z" -le 3 ]; then sleep 1; else sleep 15; fi
  done
  tidy "$1"
}
# Its `log` is that of the last try.
go_back() {
  set --; e=reverted; : >"$G/log"
  while read -r j; do set -- "$@" "$j"; done <"$G/list"
  # What hangs must not keep the others from going back, nor the host from starting.
  n=$#; bad=; s=600; [ -z "$BOOT" ] || s=120
  while [ "$n" -gt 0 ]; do
    eval "j=\${$n}"; logged limited "$s" undo "$j" || bad="$bad $n "
    n=$((n-1))
  done
  # Whoever reads again does so once, when all is back; whose word that is, nobody can tell.
  logged pokes "$@" || e=failed
  for j; do
    n=$((n+1)); x=$e
    case $bad in *" $n "*) x=failed ;; esac
    [ "$(tail -n 1 "$j")" = "end $x" ] || echo "end $x" >>"$j" || e=failed
  done
  [ -z "$bad" ] || e=failed
  echo "$e" >"$G/end.new" && durable "$G/end.new" "$@" && mv "$G/end.new" "$G/end" && durable "$G" && [ "$e" = reverted ]
}
# limited SECONDS COMMAND…: ended, with all that it began, where it takes longer.
limited() {
  m=$1; shift; "$@" & l=$!
  (while [ "$m" -gt 0 ] && kill -0 "$l"; do sleep 1; m=$((m-1)); done; ! kill -0 "$l" || kill_all "$l") >/dev/null 2>&1 &
  wait "$l"
}
# logged COMMAND…: by itself, and in the log; where not even this can be written, the way back is gone without it.
logged() { if : >>"$G/log"; then ("$@") >>"$G/log" 2>&1; else ("$@") >/dev/null 2>&1; fi; }
keep_on() {
  if [ -d /run/systemd/system ] && systemd-run --quiet --collect --no-block /bin/sh "$G/undo.sh" keep 2>/dev/null; then :
  else setsid sh -c 'trap "" HUP TERM INT; exec sh "$1/undo.sh" keep' guard "$G" </dev/null >/dev/null 2>&1 & fi
}
# apart DIR N: the way back by a process that no line's end takes along, waited for N tenths of a second at most: who asks is
# cut off after a minute.
apart() {
  ! waits "$1" || {
    setsid sh "$1/undo.sh" now </dev/null >/dev/null 2>&1 &
    c=$!; n=0
    while [ "$n" -lt "$2" ] && { kill -0 "$c" || { [ ! -e "$1/end" ] && lives "$1/by"; }; } 2>/dev/null; do
      sleep 0.1 2>/dev/null || { sleep 1; n=$((n+9)); }; n=$((n+1))
    done
  }
}
fire_now() { apart "$B/guard/$1" 400; guard_state "$1"; }
guard_state() {
  G=$B/guard/$1
  if [ -e "$G/end" ]; then cat "$G/end" && tail -n 20 "$G/log"
  elif [ -e "$G/fired" ]; then echo fired
  elif [ -e "$G/armed" ]; then echo armed
  else echo none; fi
}
# settle: what a run that is no more left armed goes back; says which changes went back, could not, or (`fired`) still are on
# their way, a line each. What could not stays, is tried on, and is told again to the next run.
settle() {
  q=400
  for g in "$B"/guard/*/; do
    g=${g%/}; [ -d "$g" ] || continue
    waits "$g" || [ -e "$g/end" ] || { rm -rf "$g"; continue; }
    apart "$g" "$q"
    e=fired; read -r e <"$g/end" || q=5
    while read -r j; do s=$(sed -n 's/^step //p' "$j"); j=${j%/*}; printf '%s\n' "$e ${j##*/} ${s:-unknown}"; done <"$g/list"
    [ "$e" != reverted ] || rm -rf "$g"
  done 2>/dev/null
}
forget() { [ "$(cat "$B/guard/$1/end" 2>/dev/null)" != reverted ] || rm -rf "$B/guard/$1"; echo none; }
