# What scanners say, for a reading and for the timer's report alike. Nothing is written but below a directory in memory.
# `tool NAME` begins; `o` and `e` are lines of its two outputs, `code` is how it ended; another word says why it did not run.
# L is how long each may take, in seconds, D the directory of ClamAV's signatures.
# sc_memory DIR…: sets t to a new directory in the first that is memory.
sc_memory() {
  for m; do
    [ "$(stat -f -c %T "$m" 2>/dev/null)" = tmpfs ] && t=$(mktemp -d "$m/steadfast-scan.XXXXXX" 2>/dev/null) && return 0
  done
  echo no-memory; return 1
}
# No line of a tool can pass for one of ours: each has a letter before it, and the line of its code a word that it cannot know.
sc_run() {
  k=$(cat /proc/sys/kernel/random/uuid)
  i=; ! command -v ionice >/dev/null 2>&1 || i='ionice -c 3'
  { e=$( { { { timeout "$L" $i nice -n 19 "$@"; printf '\n%s %s\n' "$k" "$?" >&2; } 2>&3 3>&- 4>&- </dev/null |
    head -c 200000 | sed 's/^/o /' >&4; } 3>&1 | head -c 60000; } ); } 4>&1
  printf '\n'; printf '%s\n' "$e" | sed -e "s/^$k /code /" -e t -e 's/^/e /'
}
sc_debsums() {
  echo 'tool debsums'
  command -v debsums >/dev/null 2>&1 || { echo absent; return; }
  sc_run debsums -c
}
# Its signatures are unpacked in memory: a host that has too little would end others instead.
sc_clamav() {
  echo 'tool clamav'
  command -v clamscan >/dev/null 2>&1 || { echo absent; return; }
  n=0; v=
  for f in "$D"/*; do
    case $f in *.cvd | *.cld | *.cud) b=6 ;; *.[hmlpcn]db | *.[hm]sb | *.[hm]du | *.[hm]su | *.ndu | *.ldu | *.ldb | *.yar | *.yara | *.cdb | *.db) b=3 ;; *) continue ;; esac
    [ -f "$f" ] || continue
    a=; [ "$b" = 3 ] || a=$(head -c 512 -- "$f" | tr -d '\0' | head -n 1 | cut -d : -f 9 | cut -d ' ' -f 1)
    case $a in '' | *[!0-9]* | ???????????*) a=$(stat -L -c %Y -- "$f") ;; esac
    n=$((n + b * ($(stat -L -c %s -- "$f") / 1024))); v=1; echo "base $a"
  done
  [ -n "$v" ] || { echo no-base; return; }
  a=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo); n=$((n + 65536))
  [ "${a:-0}" -gt "$n" ] || { echo "memory $n ${a:-0}"; return; }
  sc_memory /dev/shm /run || return
  (trap 'rm -rf -- "$t"' EXIT; trap 'exit 1' HUP INT TERM
  sc_run clamscan --infected --recursive --no-summary --database="$D" --tempdir="$t" --exclude-dir='^/(proc|sys)(/|$)' --exclude-dir="^$t" -- "$@")
}
# It would keep copies of passwd and group for the next time, a log, and lists among its own files: here all of it is a copy in memory.
sc_rkhunter() {
  echo 'tool rkhunter'
  command -v rkhunter >/dev/null 2>&1 || { echo absent; return; }
  if [ -s /var/lib/rkhunter/db/rkhunter.dat ]; then echo "base $(stat -c %Y /var/lib/rkhunter/db/rkhunter.dat)"; else echo no-base; return; fi
  # Below /dev it would warn of its own files; the timer's unit may write in its own place below /run alone.
  sc_memory /run /run/steadfast-scan /dev/shm || return
  (trap 'rm -rf -- "$t"' EXIT; trap 'exit 1' HUP INT TERM
  cp -R /var/lib/rkhunter/db "$t/db" && sc_run rkhunter --check --skip-keypress --nocolors --report-warnings-only --logfile "$t/log" --no-mail-on-warning --syslog none --tmpdir "$t" --dbdir "$t/db" --disable group_changes,passwd_changes)
}
