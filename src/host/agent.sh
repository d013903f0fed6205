# The one sh of a host: requests in by lines, answers out in frames. POSIX: dash, busybox ash, bash.
# Packed into a single line before it is sent: each line here must stand behind a `;` or end with do, then, else, {, in, ;; or |.
umask 077
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
IFS=' ' read -r N T CAP
for b in /run /dev/shm /tmp; do
d=$b/.steadfast-$T
mkdir -m 700 "$d" 2>/dev/null && break
# An earlier line of the same run left its results here: they are ours if the directory is.
[ -O "$d" ] && [ -d "$d" ] && [ ! -L "$d" ] && break
d=
done
[ -n "$d" ] || { echo "$N X nodir"; exit 1; }
command -v setsid >/dev/null 2>&1 && SS=setsid || SS=
# A job: its script is a file, so nothing of it is on a command line; its output goes to files, so a daemon that it
# leaves behind cannot hold the line.
job() {
$SS sh "$d/$1.s" >"$d/$1.o" 2>"$d/$1.e" </dev/null &
p=$!
echo "$p" >"$d/$1.p"
wait "$p"
r=$?
echo "$r" >"$d/$1.t"
mv "$d/$1.t" "$d/$1.r"
echo "D $1 $r"
}
trap '' PIPE HUP
{
echo H
while IFS=' ' read -r k id a; do
case $k in
R)
: >"$d/$id.s"
n=$a
while [ "$n" -gt 0 ]; do
IFS= read -r l || break 2
printf '%s\n' "$l"
n=$((n-1))
done >>"$d/$id.s"
job "$id" &
;;
K)
p=
read -r p <"$d/$id.p" && { kill -"$a" "-$p" || kill -"$a" "$p"; } 2>/dev/null
;;
C)
if [ -f "$d/$id.s" ]; then
( while [ ! -f "$d/$id.r" ] && read -r p <"$d/$id.p" && kill -0 "$p"; do sleep 1; done 2>/dev/null; r=; [ -f "$d/$id.r" ] && read -r r <"$d/$id.r"; echo "D $id ${r:-lost}" ) &
else
echo "G $id"
fi
;;
P)
echo "P $id"
;;
Q)
q=1
break
;;
*)
echo "X badrequest"
break
;;
esac
done
wait
echo "Q ${q:-0}"
} | while IFS=' ' read -r k id r; do
case $k in
D)
set -- $(wc -c "$d/$id.o" "$d/$id.e" 2>/dev/null)
o=${1:-0}
e=${3:-0}
if [ "$o" -le "$CAP" ] && [ "$e" -le "$CAP" ]; then
echo "$N D $id $r $o $e $o $e"
cat "$d/$id.o" "$d/$id.e"
else
O=$o
E=$e
[ "$o" -gt "$CAP" ] && o=$CAP
[ "$e" -gt "$CAP" ] && e=$CAP
echo "$N D $id $r $o $e $O $E"
head -c "$o" "$d/$id.o"
head -c "$e" "$d/$id.e"
fi
[ "$(($o+$e))" -gt 65536 ] && : >"$d/$id.o" && : >"$d/$id.e"
;;
H)
echo "$N H 2 $$"
;;
Q)
[ "$id" = 1 ] && rm -rf "$d"
echo "$N Q"
;;
*)
echo "$N $k $id"
;;
esac
done
if [ -d "$d" ]; then
{ sleep 900; rm -rf "$d"; } >/dev/null 2>&1 </dev/null &
fi
