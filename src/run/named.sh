# What sshd reads and is led to: `include PATTERN` for each file that its configuration includes, at any depth, and `real PATH`
# where a link leads it from what it names to somewhere else.
real() { set -- "$1" "$(readlink -f -- "$1" 2>/dev/null)"; [ -z "$2" ] || [ "$1" = "$2" ] || printf 'real %s\n' "$2"; }
seen=' '
walk() {
  case "$seen" in *" $1 "*) return 0 ;; esac
  seen="$seen$1 "
  real "$1"
  [ -f "$1" ] && [ -r "$1" ] || return 0
  set -f
  set -- $(awk 'tolower($0) ~ /^[ \t]*include[ \t=]/ { sub(/^[ \t]*[^ \t=]+[ \t=]+/, ""); gsub(/"/, ""); print }' "$1")
  set +f
  for pattern; do
    case "$pattern" in /*) ;; *) pattern=/etc/ssh/$pattern ;; esac
    printf 'include %s\n' "$pattern"
    set -- $pattern
    for file; do walk "$file"; done
  done
}
walk /etc/ssh/sshd_config
sshd=$(command -v sshd || echo /usr/sbin/sshd)
"$sshd" -T 2>/dev/null | awk '
  $1 == "banner" || $1 == "pidfile" { next }
  { home = $1 == "authorizedkeysfile" || $1 == "authorizedprincipalsfile"
    for (n = 2; n <= NF; n++) {
      word = $n; gsub(/"/, "", word); sub(/^%h\//, "", word); gsub(/%[A-Za-z]/, "*", word)
      if (word ~ /^\/./ || (home && word != "none" && word !~ /^\//)) print word } }' |
while read -r word; do
  case "$word" in
  /*) set -- $word; for file; do real "$file"; done ;;
  # Of homes so many as nobody waits for: a directory of thousands is not gone through.
  *) { cat /etc/passwd; getent passwd "${SUDO_USER:-root}"; } 2>/dev/null | awk -F: '($3 == 0 || $3 >= 1000) && $6 ~ /^\/./ { print $6 }' | sort -u | head -n 200 |
    while read -r home; do [ ! -e "$home/$word" ] || real "$home/$word"; done ;;
  esac
done
exit 0
