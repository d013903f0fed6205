# One run at a time holds a host. The lease lies where a restart forgets it, and runs out on the kernel's own clock.
# POSIX: dash, busybox ash, bash.
R=/run/steadfast
# age PID: when it began, in the kernel's ticks. runs PID:AGE: whether this very process is there.
age() { read -r l <"/proc/$1/stat" && set -- ${l##*) } && shift 19 && echo "$1"; } 2>/dev/null
runs() { [ "$1" != 0 ] && [ -n "$1" ] && [ "$(age "${1%%:*}")" = "${1#*:}" ]; }
# lease RUN ALSO WHO SECONDS: takes or keeps the host for RUN; a lease of one of ALSO, runs that are over, is taken over.
# Says `ours`, or `held RUN WHO SINCE SECONDS` of the other, or `busy …` while what the other began still runs.
lease() {
  [ -w /run ] || { echo ours; return 0; }
  { [ -d "$R" ] || mkdir -p -m 700 "$R"; } && [ ! -L "$R" ] && [ -O "$R" ] || { say "$R is not ours"; return 1; }
  y=${W:-$$:$(age $$)}
  until ln -s "$y" "$R/lock" 2>/dev/null; do
    l=$(readlink "$R/lock"); [ -z "$l" ] || runs "$l" || rm -f "$R/lock"
    sleep 0.1 2>/dev/null || sleep 1
  done
  read -r u _ </proc/uptime; u=${u%.*}; read -r b </proc/sys/kernel/random/boot_id
  run=; [ ! -s "$R/lease" ] || read -r run who since end boot pid <"$R/lease"
  word=ours
  if [ -n "$run" ] && [ "$run" != "$1" ] && [ "$boot" = "$b" ]; then
    if runs "$pid"; then word=busy
    else case " $2 " in *" $run "*) ;; *) [ "$end" -le "$u" ] || word=held ;; esac; fi
  fi
  if [ "$word" = ours ]; then
    [ "$run" = "$1" ] || since=$(date +%s)
    printf '%s %s %s %s %s %s\n' "$1" "$3" "$since" "$((u + $4))" "$b" "${W:-0}" >"$R/lease.new" && mv "$R/lease.new" "$R/lease" || word=
  fi
  rm -f "$R/lock"
  case $word in ours) echo ours ;; '') return 1 ;; *) printf '%s\n' "$word $run $who $since $((end - u))" ;; esac
}
# stay RUN WHO SECONDS: before acts; the host is still ours, and stays so for long enough. `W` is who acts.
stay() {
  W=$$:$(age $$)
  l=$(lease "$1" - "$2" "$3") || return 1
  [ "$l" = ours ] || { say "another run holds the host: $l"; return 1; }
}
# rest RUN: nobody acts any more.
rest() { [ ! -s "$R/lease" ] || { read -r run who since end boot pid <"$R/lease" && [ "$run" = "$1" ] && printf '%s %s %s %s %s 0\n' "$run" "$who" "$since" "$end" "$boot" >"$R/lease.new" && mv "$R/lease.new" "$R/lease"; }; }
release() {
  run=; [ ! -s "$R/lease" ] || read -r run who since end boot pid <"$R/lease"
  [ "$run" != "$1" ] || rm -f "$R/lease"
  echo none
}
held() {
  run=; [ ! -s "$R/lease" ] || read -r run who since end boot pid <"$R/lease"
  read -r u _ </proc/uptime
  w=held; ! runs "${pid:-0}" || w=busy
  if [ -n "$run" ]; then printf '%s\n' "$w $run $who $since $((end - ${u%.*}))"; else echo none; fi
}
