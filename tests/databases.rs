//! A neglected server of databases, whole: open to everybody before, to its own applications alone after, silent the
//! second time, and as it was after the way back.

use crate::common::Fleet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use steadfast::fact::{self, Answer, Engine, Facts, Query};
use steadfast::host::Reply;

const STEPS: &str = "
  - {id: redis, redis: {password: correct-horse-9}}
  - {id: mysql, mysql: {}}
  - {id: postgresql, postgresql: {}}
";

const NEGLECT: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -q -y --no-install-recommends install redis-server mariadb-server postgresql >/dev/null
sed -i 's/^bind .*/bind 0.0.0.0/; s/^protected-mode .*/protected-mode no/' /etc/redis/redis.conf
sed -i 's/^bind-address.*/bind-address = 0.0.0.0/' /etc/mysql/mariadb.conf.d/50-server.cnf
cd /etc/postgresql/15/main
sed -i "s/^#*listen_addresses.*/listen_addresses = '*'/" postgresql.conf
echo 'host all all 0.0.0.0/0 trust' >>pg_hba.conf
systemctl restart redis-server mariadb postgresql@15-main
mariadb -e "CREATE DATABASE app; CREATE USER app@localhost IDENTIFIED BY 'app-word'; GRANT ALL ON app.* TO app@localhost;
  CREATE USER ''@'localhost'; GRANT ALL ON test.* TO ''@'localhost'; CREATE USER 'root'@'%' IDENTIFIED BY 'root-word'; GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION; CREATE DATABASE test"
cd /; runuser -u postgres -- psql -q -c "CREATE ROLE app LOGIN PASSWORD 'app-word'" -c 'CREATE DATABASE app OWNER app'
"#;

/// What the host's own applications do.
const APPLICATION: &str = r#"
set -e
printf 'SET greeting hello\nGET greeting\n' | { [ -z "$1" ] || printf 'AUTH %s\n' "$1"; cat; } | redis-cli | tail -n 1
mariadb -u app -papp-word -h 127.0.0.1 -N -e "CREATE OR REPLACE TABLE t (n INT); INSERT INTO t VALUES (7); SELECT n FROM t" app
cd /; PGPASSWORD=app-word psql -XAtq -h 127.0.0.1 -U app -c 'CREATE TABLE IF NOT EXISTS t (n int); SELECT 8' app
"#;

/// What the way back must bring back.
const LOOK: &str = r#"
sha256sum /etc/redis/redis.conf /etc/postgresql/15/main/pg_hba.conf /etc/postgresql/15/main/postgresql.conf
stat -c '%n %a %U:%G' /etc/redis/redis.conf /etc/postgresql/15/main/pg_hba.conf /var/lib/mysql
ls /etc/mysql/mariadb.conf.d /etc/postgresql/15/main/conf.d
ss -Hltn 'sport = :6379 or sport = :3306 or sport = :5432' | awk '{print $4}' | sort
mariadb -N -e "SELECT User, Host, authentication_string FROM mysql.user ORDER BY 1, 2; SHOW DATABASES; SHOW CREATE DATABASE test; SHOW GRANTS FOR root@'%'; SHOW GRANTS FOR ''@localhost"
redis-cli ping
"#;

/// What a stranger on the network gets; nothing where nobody listens.
fn from_outside(fleet: &Fleet, port: u16, say: &[u8]) -> Option<Vec<u8>> {
    let address: SocketAddr = format!("{}:{port}", fleet.0.hosts[0].address).parse().unwrap();
    let mut line = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    line.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    line.write_all(say).unwrap();
    let mut answer = [0u8; 64];
    let length = line.read(&mut answer).unwrap_or(0);
    Some(answer[..length].to_vec())
}

/// A first message of PostgreSQL: protocol 3.0, the role `app`.
const HELLO: &[u8] = b"\0\0\0\x1f\0\x03\0\0user\0app\0database\0app\0\0";

#[test]
fn open_databases_are_closed_and_opened_again() {
    let fleet = Fleet::up(1);
    let scene = fleet.inside("h1", NEGLECT);
    assert_eq!(scene.code, 0, "{}{}", scene.out, scene.err);
    let application = |password: &str| {
        let done = fleet.inside("h1", &format!("set -- '{password}'\n{APPLICATION}"));
        assert_eq!((done.code, done.out.as_str()), (0, "hello\n7\n8\n"), "{}", done.err);
    };
    let look = || fleet.inside("h1", LOOK).out;
    application("");
    assert_eq!(from_outside(&fleet, 6379, b"PING\r\n").as_deref(), Some(&b"+PONG\r\n"[..]));
    // Its first word may wait for the name of who comes, which no one here can tell.
    assert!(from_outside(&fleet, 3306, b"").is_some());
    // `R`, eight bytes, and 0: come in.
    let welcome = from_outside(&fleet, 5432, HELLO).unwrap();
    assert!(welcome.starts_with(b"R\0\0\0\x08\0\0\0\0"), "{welcome:?}");

    let book = fleet.0.dir().join("book.yml");
    std::fs::write(&book, format!("hosts: all\nsteps:\n{STEPS}")).unwrap();
    let (book, inventory) = (book.display().to_string(), fleet.inventory());
    let before = look();
    let checked = fleet.steadfast(&["check", &book, "-i", &inventory]);
    assert_eq!(checked.code, 2, "{}{}", checked.out, checked.err);
    assert!(checked.flat().contains("/etc/postgresql/15/main/pg_hba.conf:"), "{}", checked.out);
    assert_eq!(look(), before, "a check changed something");

    let applied = fleet.steadfast(&["apply", &book, "-i", &inventory, "-y", "-D"]);
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    for (port, say) in [(6379, &b"PING\r\n"[..]), (3306, b""), (5432, HELLO)] {
        assert_eq!(from_outside(&fleet, port, say), None, "port {port} still answers");
    }
    application("correct-horse-9");
    let open = fleet.inside("h1", "redis-cli ping; mariadb -u nobody -h 127.0.0.1 -e 'SELECT 1'; mariadb -N -e \"SELECT User, Host FROM mysql.user WHERE User IN ('', 'root')\"");
    assert!(open.out.starts_with("NOAUTH"), "{}", open.out);
    assert!(open.out.ends_with("root\tlocalhost\n") && !open.out.contains("root\t%"), "{}", open.out);
    assert!(open.err.contains("Access denied"), "{}", open.err);
    for told in [&applied.out, &applied.err] {
        assert!(!told.contains("correct-horse") && !told.contains("PASSWORD '*"), "{told}");
    }

    let again = fleet.steadfast(&["apply", &book, "-i", &inventory, "-y"]);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert!(!again.out.contains("changed") || again.flat().contains("0 changed"), "{}", again.out);
    let silent = fleet.steadfast(&["check", &book, "-i", &inventory]);
    assert_eq!(silent.code, 0, "{}{}", silent.out, silent.err);

    let runs = fleet.steadfast(&["runs"]);
    let first =
        runs.out.lines().rev().find(|line| line.contains("apply")).and_then(|line| line.split_whitespace().next());
    let back = fleet.steadfast(&["rollback", first.unwrap(), "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert_eq!(look(), before);
    application("");
}

const NONCE: &str = "0a1b2c3d4e5f";

fn queries() -> Vec<Query> {
    let commands = ["FLUSHALL", "DEBUG", "NOSUCH"].map(String::from).to_vec();
    let redis = Engine::Redis { password: None, commands };
    [redis, Engine::Mysql, Engine::Postgresql].map(Query::Database).to_vec()
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/database")
}

fn expect(path: &Path, now: &str) {
    if std::env::var_os("STEADFAST_BLESS").is_some() {
        std::fs::write(path, now).unwrap();
    }
    let want = std::fs::read_to_string(path).unwrap_or_default();
    assert!(want == now, "{} is not what it was; run with STEADFAST_BLESS=1 and read the difference", path.display());
}

/// Every answer on lines of its own; contents of files by their length.
fn told(facts: &Facts) -> String {
    let mut text = String::new();
    for (query, reading) in facts.iter() {
        match reading {
            Ok(Answer::Database(servers)) => {
                let _ = writeln!(text, "{}: {} servers", query.words(), servers.len());
                for server in servers {
                    let _ = writeln!(text, "  {} {}", server.name, server.version);
                    for row in &server.told {
                        let short = row
                            .iter()
                            .map(|word| if word.len() > 400 { format!("{} bytes", word.len()) } else { word.clone() });
                        let _ = writeln!(text, "    {}", short.collect::<Vec<_>>().join(" | "));
                    }
                }
            }
            other => {
                let _ = writeln!(text, "{}: {other:?}", query.words());
            }
        }
    }
    text
}

/// Recorded with `lab exec LAB h1 sh -c "$(cat script.sh)"`; when the script changes, the recordings are old.
#[test]
fn recorded_servers_are_understood_and_a_cut_answer_is_unknown() {
    let reading = fact::script(&queries(), NONCE).remove(0);
    expect(&cases().join("script.sh"), reading.script());
    let mut systems = 0;
    for entry in std::fs::read_dir(cases()).unwrap().map(Result::unwrap).filter(|e| e.path().join("said").exists()) {
        let said = std::fs::read(entry.path().join("said")).unwrap();
        let reply = |out: &[u8]| Reply { out: out.to_vec(), out_full: said.len() as u64, ..Reply::default() };
        let whole = fact::answers(&reading, &reply(&said));
        expect(&entry.path().join("facts.txt"), &told(&whole));
        for length in (0..said.len()).step_by(61) {
            for (query, cut) in fact::answers(&reading, &reply(&said[..length])).iter() {
                let known = whole.iter().find(|(other, _)| *other == query).unwrap().1;
                assert!(cut.is_err() || cut == known, "{}: cut at {length}: {query:?}", entry.path().display());
            }
        }
        systems += 1;
    }
    assert!(systems >= 2, "only {systems} recordings");
}
