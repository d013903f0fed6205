//! Redis, asked by `redis-cli`.
//!
//! | line | says |
//! |---|---|
//! | `config PATH` | the configuration file; none where it is in no usual place |
//! | `at ADDRESS` | where it was asked |
//! | `ping TEXT` | the answer to `PING` without authentication, or why there was none |
//! | `auth TEXT` | the answer to the password of a step |
//! | `set KEY VALUE` | a setting that it runs with, where it may be asked |
//! | `data yes` or `no` | whether anything is in it, where it may be asked |
//! | `command NAME yes` or `no` | whether it knows a command, where it may be asked |

use super::{ALIVE, ELSEWHERE, NEEDS_ROOT, NOT_INSTALLED};
use crate::host::quote;
use std::fmt::Write;

/// Where its configuration usually lies.
pub const CONFIGS: [&str; 2] = ["/etc/redis/redis.conf", "/etc/redis.conf"];

/// A text as a word of a line for the client or of the configuration, whatever it holds; what can be read stays as it is, so that it is known
/// as a secret wherever this text may turn up.
pub fn word(text: &str) -> String {
    let word = text.bytes().fold(String::from("\""), |mut word, byte| {
        match byte {
            b'"' | b'\\' => word.extend(['\\', char::from(byte)]),
            b' '..=b'~' => word.push(char::from(byte)),
            other => {
                let _ = write!(word, "\\x{other:02x}");
            }
        }
        word
    });
    word + "\""
}

pub fn script(password: Option<&str>, commands: &[String]) -> String {
    let auth = password.map_or_else(String::new, |password| format!("AUTH {}", word(password)));
    let configs = CONFIGS.map(quote).join(" ");
    let known: String = commands.iter().map(|name| format!("ECHO ={name}\nCOMMAND INFO {name}\n")).collect();
    format!(
        r#"{ALIVE}if ! command -v redis-server >/dev/null; then r={NOT_INSTALLED}; ! alive 'redis-server|valkey-server' || r={ELSEWHERE}; elif [ "$u" != 0 ]; then r={NEEDS_ROOT}; else
r=0; k=; for f in {configs}; do [ -f "$f" ] && {{ k=$f; break; }}; done
v=$(redis-server --version); v=${{v#*v=}}; printf 'server\tredis\t%s\n' "${{v%% *}}"
p=6379 a=- s=-
if [ -n "$k" ]; then printf 'config\t%s\n' "$k"
set -f; set -- $(awk '{{k=tolower($1); v=$2; gsub(/["\047]/,"",v)}} k=="port"{{p=v}} k=="unixsocket"{{s=v}} k=="bind"{{a=v; sub(/^-/,"",a)}}
END{{print p!=""?p:6379, a!=""?a:"-", s!=""?s:"-"}}' "$k"); set +f; p=$1 a=$2 s=$3; fi
case $a in - | '*' | 0.0.0.0) a=127.0.0.1 ;; :: | '::*') a=::1 ;; *[!0-9A-Za-z.:-]*) a=127.0.0.1 ;; esac
case $p in *[!0-9]* | '') p=6379 ;; esac
if [ "$p" = 0 ] && [ "$s" != - ]; then set -- -s "$s"; w=$s; else set -- -h "$a" -p "$p"; w="$a port $p"; fi
printf 'at\t%s\n' "$w"
if ! command -v redis-cli >/dev/null; then printf 'ping\tredis-cli is not installed\n'; else
t=; command -v timeout >/dev/null && t='timeout 5'
printf 'ping\t%s\n' "$(printf 'PING\n' | $t redis-cli "$@" 2>&1 | head -n 1 | tr -d '\t')"
A={auth}
[ -z "$A" ] || printf 'auth\t%s\n' "$(printf '%s\n' "$A" | $t redis-cli "$@" 2>&1 | head -n 1 | tr -d '\t')"
for f in bind protected-mode save appendonly; do printf '%s\nCONFIG GET %s\n' "$A" "$f" | $t redis-cli "$@" 2>&1 | awk -v f=$f 'x{{print "set\t" f "\t" $0; exit}} $0==f{{x=1}}'; done
printf '%s\nINFO keyspace\n' "$A" | $t redis-cli "$@" 2>&1 | awk '/^# Keyspace/{{k=1}} /^db/{{d=1}} END{{if(k) print "data\t" (d?"yes":"no")}}'
printf '%s\n%s' "$A" {known} | $t redis-cli "$@" 2>&1 | awk '/^=/{{n=substr($0,2); next}} n!=""{{if($0==tolower(n)) print "command\t" n "\tyes"; else if($0=="") print "command\t" n "\tno"; n=""}}'
fi; fi
c $r"#,
        auth = quote(&auth),
        known = quote(&known),
    )
}
