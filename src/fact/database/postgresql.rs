//! PostgreSQL: every cluster that has a configuration, asked by `psql` as its owner over its socket.
//!
//! | line | says |
//! |---|---|
//! | `config PATH` | its postgresql.conf |
//! | `include yes` | that one reads the directory `conf.d` beside it, which is there |
//! | `hba PATH BASE64` | its pg_hba.conf with what it holds |
//! | `drop_in BASE64` | what our file in `conf.d` holds, where it is there |
//! | `unit NAME` | the unit that runs it |
//! | `silent WHY` | it cannot be asked |
//! | `stopped` | it does not run |
//! | `live KEY VALUE`, `source KEY FILE` | a setting that it runs with, and where that comes from |
//! | `disk KEY VALUE` | a setting as its files give it now |
//! | `md5 ROLE` | who may log in and has a password that is kept as MD5 |
//! | `rule FILE LINE TYPE METHOD` | a line of access by a weak method, as the server reads its files |
//! | `stale t` | pg_hba.conf was changed after it was last read |
//! | `certificate t` | the files for TLS are there and can be read by the server |

use super::{ALIVE, ELSEWHERE, NEEDS_ROOT, NOT_INSTALLED};
use crate::host::quote;

/// Our file beside postgresql.conf.
pub const DROP_IN: &str = "conf.d/99-steadfast.conf";
/// The settings that are asked about.
const SETTINGS: &str = "'listen_addresses', 'password_encryption', 'ssl', 'log_connections', 'log_disconnections'";

fn questions() -> String {
    let copy = |query: &str| format!("COPY ({query}) TO STDOUT;\n");
    let all = [
        format!("SELECT 'live', name, setting FROM pg_settings WHERE name IN ({SETTINGS}) ORDER BY name"),
        format!("SELECT 'source', name, sourcefile FROM pg_settings WHERE name IN ({SETTINGS}) AND sourcefile IS NOT NULL ORDER BY name"),
        format!("SELECT DISTINCT ON (name) 'disk', name, setting FROM pg_file_settings WHERE name IN ({SETTINGS}) ORDER BY name, seqno DESC"),
        "SELECT 'md5', rolname FROM pg_authid WHERE rolcanlogin AND rolpassword LIKE 'md5%' ORDER BY 2".into(),
        "SELECT 'rule', coalesce(to_jsonb(r)->>'file_name', current_setting('hba_file')), line_number, type, auth_method FROM pg_hba_file_rules r WHERE auth_method IN ('trust', 'password', 'md5') ORDER BY 2, 3".into(),
        "SELECT 'stale', modification > pg_conf_load_time() FROM pg_stat_file(current_setting('hba_file'))".into(),
        "SELECT 'certificate', length(pg_read_binary_file(current_setting('ssl_key_file'), 0, 1)) = 1 AND length(pg_read_binary_file(current_setting('ssl_cert_file'), 0, 1)) = 1".into(),
    ];
    "SET search_path = pg_catalog;\n".to_owned() + &all.iter().map(|query| copy(query)).collect::<String>()
}

pub fn script() -> String {
    let questions = quote(&questions());
    format!(
        r#"{ALIVE}r={NOT_INSTALLED}; t=; command -v timeout >/dev/null && t='timeout 20'
told() {{ sed -n "s/^[[:space:]]*$2[[:space:]]*=\{{0,1\}}[[:space:]]*'\([^']*\)'.*/\1/p" "$1" | tail -n 1; }}
text() {{ [ -f "$1" ] && [ "$(wc -c <"$1")" -lt 1048576 ] && base64 <"$1" | tr -d '\n'; }}
for k in /etc/postgresql/*/*/postgresql.conf /var/lib/pgsql/data/postgresql.conf /var/lib/pgsql/*/data/postgresql.conf /var/lib/postgresql/*/data/postgresql.conf; do
if [ "$u" != 0 ]; then [ ! -d /var/lib/pgsql ] && [ ! -f "$k" ] || r={NEEDS_ROOT}; continue; fi
[ -f "$k" ] || continue
r=0; d=${{k%/*}}; f=$(told "$k" data_directory); f=${{f:-$d}}; h=$(told "$k" hba_file); h=${{h:-$d/pg_hba.conf}}
v=; read -r v <"$f/PG_VERSION"; case $v in *[!0-9.]*) v= ;; esac
printf 'server\t%s\t%s\nconfig\t%s\nhba\t%s\t%s\n' "$d" "$v" "$k" "$h" "$(text "$h")"
[ ! -d "$d/conf.d" ] || ! grep -Eq "^[[:space:]]*include_dir[[:space:]]*=?[[:space:]]*'($d/)?conf\.d/?'" "$k" || printf 'include\tyes\n'
[ ! -f "$d/{DROP_IN}" ] || printf 'drop_in\t%s\n' "$(text "$d/{DROP_IN}")"
x=${{d#/etc/postgresql/}}
case $d in /etc/postgresql/*) printf 'unit\tpostgresql@%s-%s.service\n' "${{x%%/*}}" "${{x#*/}}" ;; */pgsql/data) printf 'unit\tpostgresql.service\n' ;; *) x=${{d%/data}}; printf 'unit\tpostgresql-%s.service\n' "${{x##*/}}" ;; esac
[ -f "$f/postmaster.pid" ] || {{ printf 'stopped\tyes\n'; continue; }}
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
printf '%s' {questions} | PGCONNECT_TIMEOUT=5 $t "$@" psql -XAtqw -h "$s" -p "$p" -d postgres
else printf 'silent\t%s\n' "$(printf '%s' "$x" | tail -n 1 | tr '\t' ' ')"; fi
done
[ $r != {NOT_INSTALLED} ] || ! alive postgres || r={ELSEWHERE}
c $r"#
    )
}
