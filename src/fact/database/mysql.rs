//! MySQL and MariaDB, asked by their client over the local socket as root, or as Debian's own account for maintenance.
//!
//! | line | says |
//! |---|---|
//! | `disk KEY VALUE` | a setting that the option files give it at its next start; the last one counts |
//! | `silent WHY` | it cannot be asked |
//! | `me NAME@HOST` | the account that we are |
//! | `live KEY VALUE` | a setting that it runs with |
//! | `remote NAME HOST HOW` | another account that may come from elsewhere: `proven` where it proves who it is, else `open` |
//! | `account NAME HOST` | an account without a name, or one of the name root |
//! | `create NAME HOST SQL`, `grants NAME HOST SQL` | what would make such an account |
//! | `schema NAME COUNT CHARSET COLLATION` | the database `test` and how many things are in it |
//! | `open HOST DATABASE` | what anybody may do in databases of the name test… |
//! | `open_sql SQL` | what would make one of these |

use super::{ALIVE, ELSEWHERE, NEEDS_ROOT, NOT_INSTALLED};

/// The client: `sq` runs the SQL on its standard input. What a server says is never a command for the client, and a
/// server that asks for a file of ours gets none.
pub const CLIENT: &str = r#"b=$(command -v mariadb || command -v mysql); m='-u root'; t=; command -v timeout >/dev/null && t='timeout 20'
sq() { HOME=/root $t "$b" $m --batch --skip-column-names --local-infile=0 --connect-timeout=5 "$@"; }
[ -z "$b" ] || printf 'SELECT 1;\n' | sq >/dev/null 2>&1 || { [ ! -f /etc/mysql/debian.cnf ] || { m=--defaults-file=/etc/mysql/debian.cnf; printf 'SELECT 1;\n' | sq >/dev/null 2>&1; } || m='-u root'; }
"#;

/// Each line by itself: a server that does not know one of them still answers the others.
const QUESTIONS: &str = r"SET SESSION sql_mode='';
SELECT 'me', CURRENT_USER();
SELECT 'live', 'bind_address', @@GLOBAL.bind_address;
SELECT 'live', 'port', @@GLOBAL.port;
SELECT 'live', 'skip_networking', @@GLOBAL.skip_networking;
SELECT 'live', 'local_infile', @@GLOBAL.local_infile;
SELECT 'live', 'symbolic_links', @@GLOBAL.have_symlink;
SELECT 'live', 'secure_file_priv', @@GLOBAL.secure_file_priv;
SELECT 'live', 'datadir', @@GLOBAL.datadir;
SELECT 'account', User, Host FROM mysql.user WHERE User IN ('', 'root') AND Host <> '';
SELECT 'remote', User, Host, IF(authentication_string <> '' OR plugin NOT IN ('', 'mysql_native_password', 'mysql_old_password', 'caching_sha2_password', 'sha256_password'), 'proven', 'open') FROM mysql.user WHERE User NOT IN ('', 'root') AND Host NOT IN ('', 'localhost', '127.0.0.1', '::1', @@GLOBAL.hostname);
SELECT 'schema', SCHEMA_NAME, (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'test') + (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'test') + (SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'test'), DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'test';
SELECT 'open', Host, Db FROM mysql.db WHERE User = '' AND Db LIKE 'test%';
";

/// Writes the questions about each account, for the names are only known to the server.
const ACCOUNTS: &str = r"SET SESSION sql_mode='';
SELECT CONCAT('SELECT ''create'', ', QUOTE(User), ', ', QUOTE(Host), ';\nSHOW CREATE USER ', QUOTE(User), '@', QUOTE(Host), ';\nSELECT ''grants'', ', QUOTE(User), ', ', QUOTE(Host), ';\nSHOW GRANTS FOR ', QUOTE(User), '@', QUOTE(Host), ';') FROM mysql.user WHERE User IN ('', 'root') AND Host <> '';
";

pub fn script() -> String {
    let (questions, accounts) = (crate::host::quote(QUESTIONS), crate::host::quote(ACCOUNTS));
    format!(
        r#"{ALIVE}d=; for f in mariadbd mysqld; do command -v "$f" >/dev/null && {{ d=$f; break; }}; done
if [ -z "$d" ]; then r={NOT_INSTALLED}; ! alive 'mariadbd|mysqld' || r={ELSEWHERE}; elif [ "$u" != 0 ]; then r={NEEDS_ROOT}; else
r=0; v=$("$d" --version | sed -n 's/.*Ver \([^ ]*\).*/\1/p'); printf 'server\tmysql\t%s\n' "$v"
"$d" --print-defaults | tr ' ' '\n' | sed -n 's/^--\(loose[-_]\)\{{0,1\}}//p' | grep -E '^(skip[-_])?(bind[-_]address|networking|local[-_]infile|symbolic[-_]links|secure[-_]file[-_]priv)(=|$)' \
  | awk '{{n=index($0,"="); k=n?substr($0,1,n-1):$0; gsub("-","_",k); print "disk\t" k "\t" (n?substr($0,n+1):"")}}'
{CLIENT}if [ -z "$b" ]; then printf 'silent\tits client is not installed\n'
elif w=$(printf 'SELECT 1;\n' | sq 2>&1); then
printf '%s' {questions} | sq --force
printf '%s' {accounts} | sq --raw | {{ printf "SET SESSION sql_mode='', SESSION print_identified_with_as_hex=ON;\nSET SESSION sql_mode='';\n"; cat; }} | sq --force \
  | awk -F '\t' '$1=="create"||$1=="grants"{{w=$1 FS $2 FS $3; next}} {{print w FS $0}}'
x=$(command -v mariadb-dump || command -v mysqldump)
[ -z "$x" ] || HOME=/root $t "$x" $m --no-create-info --compact --complete-insert --skip-extended-insert --skip-lock-tables --where="User = '' AND Db LIKE 'test%'" mysql db | sed -n 's/^INSERT/open_sql\tINSERT/p'
else printf 'silent\t%s\n' "$(printf '%s' "$w" | tail -n 1 | tr '\t' ' ')"; fi; fi
c $r"#
    )
}
