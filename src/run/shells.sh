# Whether an interactive shell of whoever logs in begins and stays: 0 it does, 1 its start files end it or never do.
shell=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f7)
[ -x "$shell" ] || exit 0
# It leaves no history of itself.
HISTFILE='' fish_history=''
export HISTFILE fish_history
# Some ask for an Enter or two before they let on: each takes a line.
said=$(cd / && printf 'unset HISTFILE\nunset HISTFILE\nunset HISTFILE\necho in""side\nexit\n' | timeout -k 1 10 "$shell" -l -i 2>/dev/null)
case $said in *inside*) exit 0 ;; esac
exit 1
