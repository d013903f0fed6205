# The one sh of a host: requests in by lines, answers out in frames. POSIX: dash, busybox ash, bash.
# Packed into a single line before it is sent: each line here must stand behind a `;` or end with do, then, else, {, (, in, ;; or |.
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
IFS=' ' read -r N T CAP
a=new
for b in /run /dev/shm /tmp; do
d=$b/.steadfast-$T
[ -w "$b" ] && mkdir -m 700 "$d" 2>/dev/null && break
# An earlier line of the same run left its results here: they are ours if the directory is.
[ -O "$d" ] && [ -d "$d" ] && [ ! -L "$d" ] && a=old && break
d=
done
[ -n "$d" ] || { echo "$N X nodir"; exit 1; }
# Who came last owns the directory, and alone may take it away.
echo "$N" >"$d/owner"
owner() {
o=
read -r o <"$d/owner"
[ "$o" = "$N" ]
}
command -v setsid >/dev/null 2>&1 && SS=setsid || SS=
# Whoever makes this file decides what becomes of a request: it is run, or it never will be.
claim() {
set -C
{ true >"$d/$1.b"; } 2>/dev/null
c=$?
set +C
return $c
}
# A job: its script is a file, so nothing of it is on a command line; its output goes to files, so a daemon that it
# leaves behind cannot hold the line.
job() {
$SS sh "$d/$1.s" >"$d/$1.o" 2>"$d/$1.e" </dev/null &
p=$!
echo "$p" >"$d/$1.p"
wait "$p"
r=$?
true >"$d/$1.s"
echo "$r ." >"$d/$1.r"
echo "D $1 $r"
}
M=0
# Caught and not ignored: what is ignored would stay so in every script. A broken line must not end us.
trap : PIPE
{
trap : PIPE
echo "H $a"
while IFS=' ' read -r k id t a b; do
case $k in
R)
true >"$d/$id.s" || break
[ "$t" -gt "$M" ] && M=$t
x=0
n=$a
# One process reads a long script at once; where its dd is too old to be exact it refuses before it reads.
if [ "$b" -gt 0 ] && dd bs="$b" count=1 iflag=fullblock >"$d/$id.s" 2>/dev/null; then
IFS= read -r l || break
else
IFS= read -r l || break
if [ "$b" -gt 0 ] && [ "$l" = . ]; then
x=1
else
while :; do
printf '%s\n' "$l" || x=1
n=$((n-1))
[ "$n" -gt 0 ] || break
IFS= read -r l || break 2
done >"$d/$id.s" 2>/dev/null
IFS= read -r l || break
fi
fi
if [ "$l" != . ]; then
echo "X badscript"
break
elif [ "$x" = 1 ]; then
true >"$d/$id.s"
echo "E $id"
elif claim "$id"; then
job "$id" &
echo "$!" >"$d/$id.j"
else
echo "G $id"
fi
;;
K)
[ -s "$d/$id.r" ] || { read -r p <"$d/$id.p" && { kill -"$t" "-$p" || kill -"$t" "$p"; }; } 2>/dev/null
;;
C)
if claim "$id"; then
echo "G $id"
else
( n=0; j=; while :; do r=; m=; IFS=' ' read -r r m <"$d/$id.r"; [ "$m" = . ] && break; r=lost; [ -n "$j" ] || read -r j <"$d/$id.j"; kill -0 "${j:-x}" || n=$((n+1)); [ "$n" -gt 3 ] && break; sleep 1; done 2>/dev/null; echo "D $id $r" ) &
fi
;;
A)
true >"$d/$id.o"
true >"$d/$id.e"
echo a >"$d/$id.b"
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
done 2>/dev/null
# What runs may run on, but not for ever: nobody is there to end it.
n=0
while [ "$n" -le "$((M+60))" ]; do
k=
for f in "$d"/*.j; do
f=${f%.j}
[ -e "$f.j" ] && [ ! -s "$f.r" ] || continue
k=1
[ "$n" -gt "$M" ] && read -r p <"$f.p" && kill -KILL "-$p"
done
[ -n "$k" ] || break
sleep 1
n=$((n+1))
done 2>/dev/null
wait
echo "Q ${q:-0}"
} | {
trap : PIPE
while IFS=' ' read -r k id r; do
case $k in
D)
o=0
e=0
if [ -s "$d/$id.o" ] || [ -s "$d/$id.e" ]; then
set -- $(wc -c "$d/$id.o" "$d/$id.e")
o=$1
e=$3
fi
O=$o
E=$e
[ "$o" -gt "$CAP" ] && o=$CAP
[ "$e" -gt "$CAP" ] && e=$CAP
echo "$N D $id $r $o $e $O $E"
# Exactly what was announced: a daemon that was left behind may be writing still.
[ "$o" -gt 0 ] && head -c "$o" "$d/$id.o"
[ "$e" -gt 0 ] && head -c "$e" "$d/$id.e"
;;
H)
echo "$N H 2 $id"
;;
Q)
# Nobody need wait for the tidying up; it is of this pipe, so the end of the channel still is the end of it.
echo "$N Q"
[ "$id" = 1 ] && owner && rm -rf "$d"
;;
*)
echo "$N $k $id"
;;
esac
done 2>/dev/null
}
# The line broke: what nobody has received yet is kept for a while.
if [ -d "$d" ] && owner; then
k=
for f in "$d"/*.b; do
r=a
[ -e "$f" ] && read -r r <"$f"
[ "$r" = a ] || k=1
done 2>/dev/null
if [ -z "$k" ]; then
rm -rf "$d"
else
{ sleep 900; owner && rm -rf "$d"; } >/dev/null 2>&1 </dev/null &
fi
fi
