# What something is now, in one word that can be compared and gone back to. POSIX: dash, busybox ash, bash.
# states FAMILY NAME…: one line for each, in order. `B` is where the journal is.
states() {
  f=$1; shift
  [ $# -gt 0 ] || return 0
  case $f in
  path) for p; do
    if [ -L "$p" ]; then printf 'link:%s:%s\n' "$(stat -c %u:%g -- "$p")" "$(readlink -- "$p" | base64 | tr -d '\n')"
    elif [ -f "$p" ]; then h=$(sha256sum <"$p") && printf 'file:%s:%s\n' "$(stat -c %a:%u:%g -- "$p")" "${h%% *}" || echo unreadable
    elif [ -d "$p" ]; then printf 'dir:%s\n' "$(stat -c %a:%u:%g -- "$p")"
    elif [ -e "$p" ]; then echo other
    else echo absent; fi; done ;;
  meta) for p; do if [ -e "$p" ] || [ -L "$p" ]; then stat -c %a:%u:%g -- "$p"; else echo absent; fi; done ;;
  live) for p; do p=/proc/sys/$(printf %s "$p" | tr ./ /.)
    if [ -r "$p" ]; then printf '=%s\n' "$(base64 <"$p" | tr -d '\n')"; else echo absent; fi; done ;;
  runs | boot)
    if command -v systemctl >/dev/null 2>&1; then
      a=ActiveState; [ "$f" = runs ] || a=UnitFileState
      systemctl --no-pager show -p "$a" -- "$@" | while IFS= read -r l; do
        case ${l#*=} in
        active | activating | reloading | refreshing) echo on ;;
        inactive | deactivating | failed | maintenance) echo off ;;
        *) [ -z "$l" ] || echo "=${l#*=}" ;;
        esac
      done
    else for p; do echo absent; done; fi ;;
  mount) for p; do s=absent
    while read -r d t y o x; do
      [ "$t" != "$p" ] || s==$(printf %s "$o" | tr , '\n' | grep -xE 'rw|ro|nosuid|nodev|noexec|noatime|nodiratime|relatime' | tr '\n' , | sed 's/,$//' | base64 | tr -d '\n')
    done </proc/self/mounts
    echo "$s"; done ;;
  module) for p; do if [ -d "/sys/module/$(printf %s "$p" | tr - _)" ]; then echo loaded; else echo absent; fi; done ;;
  table) for p; do
    if ! command -v nft >/dev/null 2>&1; then echo absent
    elif h=$(table "$p"); then h=$(printf '%s\n' "$h" | sha256sum); echo "table:${h%% *}"
    elif nft list tables >/dev/null 2>&1; then echo absent; else echo unreadable; fi; done ;;
  packages) for p; do h=$(packages | sha256sum); echo "${h%% *}"; done ;;
  script) for p; do p=$B/runs/$p; if [ -e "$p.done" ] || { [ -e "$p.begun" ] && [ -s "$p" ]; }; then echo done; else echo undone; fi; done ;;
  esac
}
# The table as text that can be loaded again, without what goes on by itself.
table() { nft -s -t list table inet "$1" 2>/dev/null; }
# The same with what its sets hold, but for when that runs out: no state, for much of it comes and goes by itself.
elements() { nft -s list table inet "$1" 2>/dev/null; }
# The names of all installed packages, sorted; with a `-` before it, of one that went and left its settings here.
packages() {
  if command -v dpkg-query >/dev/null 2>&1; then dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n -e 's/^installed //p' -e 's/^config-files /-/p'
  elif command -v rpm >/dev/null 2>&1; then rpm -qa --qf '%{NAME}\n'
  elif command -v apk >/dev/null 2>&1; then apk info -q
  fi | sort -u
}
# entry FILE: an entry of the journal, with digests of what belongs to it and no state tells.
entry() {
  cat "$1"
  for e in "$1".s[0-9]* "$1".*.after "$1".*.all; do
    case $e in *.done | *.begun) ;; *) [ ! -f "$e" ] || printf 'beside %s %s\n' "${e##*/}" "$(sha256sum <"$e")" ;; esac
  done
}
# moves FILE: the packages that came and went with an entry, by the lists of before and after.
moves() {
  for e in "$1".*.after; do
    [ -f "$e" ] || continue
    echo --
    LC_ALL=C comm -13 "${e%.after}" "$e" | sed -n 's/^[^-]/came &/p'
    LC_ALL=C comm -23 "${e%.after}" "$e" | sed -n 's/^[^-]/went &/p'
  done
}
