N=0a1b2c3d4e5f
{
LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin; export PATH
unset GREP_OPTIONS GREP_COLOR SYSTEMD_COLORS SYSTEMD_PAGER POSIXLY_CORRECT DPKG_ROOT DPKG_ADMINDIR
set +e +u +f +x; cd /
ulimit -f 65536
o() { printf '%s %s\n' "$N" "$1"; }
c() { printf '\n%s/ %s\n' "$N" "$1"; }
u=; [ -r /proc/self/status ] && while read -r a b x y; do case $a in Uid:) u=$x; break;; esac; done </proc/self/status
[ -n "$u" ] || u=$(id -u)
o redis-0
alive() { for f in $(grep -lsxE "$1" /proc/[0-9]*/comm); do [ "$u" != 0 ] || [ "$(readlink "${f%comm}ns/pid")" = "$(readlink /proc/self/ns/pid)" ] && return 0; done; return 1; }
if ! command -v redis-server >/dev/null; then r=200; ! alive 'redis-server|valkey-server' || r=202; elif [ "$u" != 0 ]; then r=201; else
r=0; k=; for f in '/etc/redis/redis.conf' '/etc/redis.conf'; do [ -f "$f" ] && { k=$f; break; }; done
v=$(redis-server --version); v=${v#*v=}; printf 'server\tredis\t%s\n' "${v%% *}"
p=6379 a=- s=-
if [ -n "$k" ]; then printf 'config\t%s\n' "$k"
set -f; set -- $(awk '{k=tolower($1); v=$2; gsub(/["\047]/,"",v)} k=="port"{p=v} k=="unixsocket"{s=v} k=="bind"{a=v; sub(/^-/,"",a)}
END{print p!=""?p:6379, a!=""?a:"-", s!=""?s:"-"}' "$k"); set +f; p=$1 a=$2 s=$3; fi
case $a in - | '*' | 0.0.0.0) a=127.0.0.1 ;; :: | '::*') a=::1 ;; *[!0-9A-Za-z.:-]*) a=127.0.0.1 ;; esac
case $p in *[!0-9]* | '') p=6379 ;; esac
if [ "$p" = 0 ] && [ "$s" != - ]; then set -- -s "$s"; w=$s; else set -- -h "$a" -p "$p"; w="$a port $p"; fi
printf 'at\t%s\n' "$w"
if ! command -v redis-cli >/dev/null; then printf 'ping\tredis-cli is not installed\n'; else
t=; command -v timeout >/dev/null && t='timeout 5'
printf 'ping\t%s\n' "$(printf 'PING\n' | $t redis-cli "$@" 2>&1 | head -n 1 | tr -d '\t')"
A=''
[ -z "$A" ] || printf 'auth\t%s\n' "$(printf '%s\n' "$A" | $t redis-cli "$@" 2>&1 | head -n 1 | tr -d '\t')"
for f in bind protected-mode save appendonly; do printf '%s\nCONFIG GET %s\n' "$A" "$f" | $t redis-cli "$@" 2>&1 | awk -v f=$f 'x{print "set\t" f "\t" $0; exit} $0==f{x=1}'; done
printf '%s\nINFO keyspace\n' "$A" | $t redis-cli "$@" 2>&1 | awk '/^# Keyspace/{k=1} /^db/{d=1} END{if(k) print "data\t" (d?"yes":"no")}'
printf '%s\n%s' "$A" 'ECHO =FLUSHALL
COMMAND INFO FLUSHALL
ECHO =DEBUG
COMMAND INFO DEBUG
ECHO =NOSUCH
COMMAND INFO NOSUCH
' | $t redis-cli "$@" 2>&1 | awk '/^=/{n=substr($0,2); next} n!=""{if($0==tolower(n)) print "command\t" n "\tyes"; else if($0=="") print "command\t" n "\tno"; n=""}'
fi; fi
c $r
o mysql-1
alive() { for f in $(grep -lsxE "$1" /proc/[0-9]*/comm); do [ "$u" != 0 ] || [ "$(readlink "${f%comm}ns/pid")" = "$(readlink /proc/self/ns/pid)" ] && return 0; done; return 1; }
d=; for f in mariadbd mysqld; do command -v "$f" >/dev/null && { d=$f; break; }; done
if [ -z "$d" ]; then r=200; ! alive 'mariadbd|mysqld' || r=202; elif [ "$u" != 0 ]; then r=201; else
r=0; v=$("$d" --version | sed -n 's/.*Ver \([^ ]*\).*/\1/p'); printf 'server\tmysql\t%s\n' "$v"
"$d" --print-defaults | tr ' ' '\n' | sed -n 's/^--\(loose[-_]\)\{0,1\}//p' | grep -E '^(skip[-_])?(bind[-_]address|networking|local[-_]infile|symbolic[-_]links|secure[-_]file[-_]priv)(=|$)' \
  | awk '{n=index($0,"="); k=n?substr($0,1,n-1):$0; gsub("-","_",k); print "disk\t" k "\t" (n?substr($0,n+1):"")}'
b=$(command -v mariadb || command -v mysql); m='-u root'; t=; command -v timeout >/dev/null && t='timeout 20'
sq() { HOME=/root $t "$b" $m --batch --skip-column-names --local-infile=0 --connect-timeout=5 "$@"; }
[ -z "$b" ] || printf 'SELECT 1;\n' | sq >/dev/null 2>&1 || { [ ! -f /etc/mysql/debian.cnf ] || { m=--defaults-file=/etc/mysql/debian.cnf; printf 'SELECT 1;\n' | sq >/dev/null 2>&1; } || m='-u root'; }
if [ -z "$b" ]; then printf 'silent\tits client is not installed\n'
elif w=$(printf 'SELECT 1;\n' | sq 2>&1); then
printf '%s' 'SET SESSION sql_mode='\'''\'';
SELECT '\''me'\'', CURRENT_USER();
SELECT '\''live'\'', '\''bind_address'\'', @@GLOBAL.bind_address;
SELECT '\''live'\'', '\''port'\'', @@GLOBAL.port;
SELECT '\''live'\'', '\''skip_networking'\'', @@GLOBAL.skip_networking;
SELECT '\''live'\'', '\''local_infile'\'', @@GLOBAL.local_infile;
SELECT '\''live'\'', '\''symbolic_links'\'', @@GLOBAL.have_symlink;
SELECT '\''live'\'', '\''secure_file_priv'\'', @@GLOBAL.secure_file_priv;
SELECT '\''live'\'', '\''datadir'\'', @@GLOBAL.datadir;
SELECT '\''account'\'', User, Host FROM mysql.user WHERE User IN ('\'''\'', '\''root'\'') AND Host <> '\'''\'';
SELECT '\''remote'\'', User, Host, IF(authentication_string <> '\'''\'' OR plugin NOT IN ('\'''\'', '\''mysql_native_password'\'', '\''mysql_old_password'\'', '\''caching_sha2_password'\'', '\''sha256_password'\''), '\''proven'\'', '\''open'\'') FROM mysql.user WHERE User NOT IN ('\'''\'', '\''root'\'') AND Host NOT IN ('\'''\'', '\''localhost'\'', '\''127.0.0.1'\'', '\''::1'\'', @@GLOBAL.hostname);
SELECT '\''schema'\'', SCHEMA_NAME, (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '\''test'\'') + (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '\''test'\'') + (SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '\''test'\''), DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '\''test'\'';
SELECT '\''open'\'', Host, Db FROM mysql.db WHERE User = '\'''\'' AND Db LIKE '\''test%'\'';
' | sq --force
printf '%s' 'SET SESSION sql_mode='\'''\'';
SELECT CONCAT('\''SELECT '\'''\''create'\'''\'', '\'', QUOTE(User), '\'', '\'', QUOTE(Host), '\'';\nSHOW CREATE USER '\'', QUOTE(User), '\''@'\'', QUOTE(Host), '\'';\nSELECT '\'''\''grants'\'''\'', '\'', QUOTE(User), '\'', '\'', QUOTE(Host), '\'';\nSHOW GRANTS FOR '\'', QUOTE(User), '\''@'\'', QUOTE(Host), '\'';'\'') FROM mysql.user WHERE User IN ('\'''\'', '\''root'\'') AND Host <> '\'''\'';
' | sq --raw | { printf "SET SESSION sql_mode='', SESSION print_identified_with_as_hex=ON;\nSET SESSION sql_mode='';\n"; cat; } | sq --force \
  | awk -F '\t' '$1=="create"||$1=="grants"{w=$1 FS $2 FS $3; next} {print w FS $0}'
x=$(command -v mariadb-dump || command -v mysqldump)
[ -z "$x" ] || HOME=/root $t "$x" $m --no-create-info --compact --complete-insert --skip-extended-insert --skip-lock-tables --where="User = '' AND Db LIKE 'test%'" mysql db | sed -n 's/^INSERT/open_sql\tINSERT/p'
else printf 'silent\t%s\n' "$(printf '%s' "$w" | tail -n 1 | tr '\t' ' ')"; fi; fi
c $r
o postgresql-2
alive() { for f in $(grep -lsxE "$1" /proc/[0-9]*/comm); do [ "$u" != 0 ] || [ "$(readlink "${f%comm}ns/pid")" = "$(readlink /proc/self/ns/pid)" ] && return 0; done; return 1; }
r=200; t=; command -v timeout >/dev/null && t='timeout 20'
told() { sed -n "s/^[[:space:]]*$2[[:space:]]*=\{0,1\}[[:space:]]*'\([^']*\)'.*/\1/p" "$1" | tail -n 1; }
text() { [ -f "$1" ] && [ "$(wc -c <"$1")" -lt 1048576 ] && base64 <"$1" | tr -d '\n'; }
for k in /etc/postgresql/*/*/postgresql.conf /var/lib/pgsql/data/postgresql.conf /var/lib/pgsql/*/data/postgresql.conf /var/lib/postgresql/*/data/postgresql.conf; do
if [ "$u" != 0 ]; then [ ! -d /var/lib/pgsql ] && [ ! -f "$k" ] || r=201; continue; fi
[ -f "$k" ] || continue
r=0; d=${k%/*}; f=$(told "$k" data_directory); f=${f:-$d}; h=$(told "$k" hba_file); h=${h:-$d/pg_hba.conf}
v=; read -r v <"$f/PG_VERSION"; case $v in *[!0-9.]*) v= ;; esac
printf 'server\t%s\t%s\nconfig\t%s\nhba\t%s\t%s\n' "$d" "$v" "$k" "$h" "$(text "$h")"
[ ! -d "$d/conf.d" ] || ! grep -Eq "^[[:space:]]*include_dir[[:space:]]*=?[[:space:]]*'($d/)?conf\.d/?'" "$k" || printf 'include\tyes\n'
[ ! -f "$d/conf.d/99-steadfast.conf" ] || printf 'drop_in\t%s\n' "$(text "$d/conf.d/99-steadfast.conf")"
x=${d#/etc/postgresql/}
case $d in /etc/postgresql/*) printf 'unit\tpostgresql@%s-%s.service\n' "${x%%/*}" "${x#*/}" ;; */pgsql/data) printf 'unit\tpostgresql.service\n' ;; *) x=${d%/data}; printf 'unit\tpostgresql-%s.service\n' "${x##*/}" ;; esac
[ -f "$f/postmaster.pid" ] || { printf 'stopped\tyes\n'; continue; }
w=$(stat -c %U "$f"); p=$(sed -n 4p "$f/postmaster.pid"); s=$(sed -n 5p "$f/postmaster.pid")
case $p in *[!0-9]* | '') s= ;; esac
case $w in root | *[!a-z0-9_-]*) s= ;; esac
set --
if command -v setpriv >/dev/null; then set -- setpriv --reuid="$w" --regid="$(id -g "$w")" --init-groups --
elif command -v runuser >/dev/null; then set -- runuser -u "$w" --; fi
if [ -z "$s" ]; then printf 'silent\tits socket is not known\n'
elif ! command -v psql >/dev/null; then printf 'silent\tpsql is not installed\n'
elif [ $# = 0 ]; then printf 'silent\tneither setpriv nor runuser is here to ask as %s\n' "$w"
elif x=$(printf 'SELECT 1;\n' | PGCONNECT_TIMEOUT=5 $t "$@" psql -XAtqw -h "$s" -p "$p" -d postgres 2>&1); then
printf '%s' 'SET search_path = pg_catalog;
COPY (SELECT '\''live'\'', name, setting FROM pg_settings WHERE name IN ('\''listen_addresses'\'', '\''password_encryption'\'', '\''ssl'\'', '\''log_connections'\'', '\''log_disconnections'\'') ORDER BY name) TO STDOUT;
COPY (SELECT '\''source'\'', name, sourcefile FROM pg_settings WHERE name IN ('\''listen_addresses'\'', '\''password_encryption'\'', '\''ssl'\'', '\''log_connections'\'', '\''log_disconnections'\'') AND sourcefile IS NOT NULL ORDER BY name) TO STDOUT;
COPY (SELECT DISTINCT ON (name) '\''disk'\'', name, setting FROM pg_file_settings WHERE name IN ('\''listen_addresses'\'', '\''password_encryption'\'', '\''ssl'\'', '\''log_connections'\'', '\''log_disconnections'\'') ORDER BY name, seqno DESC) TO STDOUT;
COPY (SELECT '\''md5'\'', rolname FROM pg_authid WHERE rolcanlogin AND rolpassword LIKE '\''md5%'\'' ORDER BY 2) TO STDOUT;
COPY (SELECT '\''rule'\'', coalesce(to_jsonb(r)->>'\''file_name'\'', current_setting('\''hba_file'\'')), line_number, type, auth_method FROM pg_hba_file_rules r WHERE auth_method IN ('\''trust'\'', '\''password'\'', '\''md5'\'') ORDER BY 2, 3) TO STDOUT;
COPY (SELECT '\''stale'\'', modification > pg_conf_load_time() FROM pg_stat_file(current_setting('\''hba_file'\''))) TO STDOUT;
COPY (SELECT '\''certificate'\'', length(pg_read_binary_file(current_setting('\''ssl_key_file'\''), 0, 1)) = 1 AND length(pg_read_binary_file(current_setting('\''ssl_cert_file'\''), 0, 1)) = 1) TO STDOUT;
' | PGCONNECT_TIMEOUT=5 $t "$@" psql -XAtqw -h "$s" -p "$p" -d postgres
else printf 'silent\t%s\n' "$(printf '%s' "$x" | tail -n 1 | tr '\t' ' ')"; fi
done
[ $r != 200 ] || ! alive postgres || r=202
c $r
} </dev/null 2>/dev/null
