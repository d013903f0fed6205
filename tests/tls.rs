//! Handshakes with real servers: OpenSSL's own for each version, and some that mean no good. The same from this program
//! and from the shell text that a host runs.

use crate::common::{Fleet, Run};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use steadfast::fact::{self, Query};
use steadfast::fault::Source;
use steadfast::host::{Door, Heard, Offer, Reply, Start, Version, heard, hello, probe};

/// A server of OpenSSL's that goes away with its test.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn certificate(dir: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(dir)
        .output()
        .expect("openssl is needed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn serve(dir: &Path, words: &[&str]) -> Server {
    let port = free_port();
    let child = Command::new("openssl")
        .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-key", "key.pem", "-cert", "cert.pem", "-quiet"])
        .args(words)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "openssl s_server {words:?} does not listen");
        std::thread::yield_now();
    }
    Server { child, port }
}

fn door(port: u16, start: Option<Start>) -> Door {
    Door { address: Some("127.0.0.1".into()), port, start, name: Some("localhost".into()) }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

/// What a host's own shell text hears of one offer.
fn by_shell(port: u16, start: &str, offer: Offer) -> Vec<u8> {
    let octal: String = hello(offer, None).iter().map(|byte| format!("\\{byte:03o}")).collect();
    let talk = include_str!("../src/fact/talk.sh");
    let said = Command::new("timeout")
        .args(["10", "bash", "-c", talk, "talk", "127.0.0.1", &port.to_string(), start, &octal])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    said.stdout
}

fn taken(heard: Heard) -> Option<Version> {
    match heard {
        Heard::Takes { version, .. } => Some(version),
        _ => None,
    }
}

#[test]
fn each_version_is_told_from_the_others() {
    let dir = tempfile::tempdir().unwrap();
    certificate(dir.path());
    let lax = ["-cipher", "ALL:@SECLEVEL=0"];
    let versions = |offers: &[(Offer, Heard)]| offers.iter().map(|(_, heard)| taken(*heard)).collect::<Vec<_>>();
    let (v10, v11, v12, v13) = (Some(Version::Tls10), Some(Version::Tls11), Some(Version::Tls12), Some(Version::Tls13));
    // In the order of the offers: 1.2, 1.3, 1.1, 1.0, SSL 3.0, weak ciphers up to 1.2.
    for (words, wanted) in [
        (vec!["-tls1"], [v10, None, v10, v10, None, v10]),
        (vec!["-tls1_1"], [v11, None, v11, None, None, v11]),
        (vec!["-tls1_2"], [v12, None, None, None, None, v12]),
        (vec!["-tls1_3"], [None, v13, None, None, None, None]),
        (vec!["-no_tls1", "-no_tls1_1"], [v12, v13, None, None, None, v12]),
    ] {
        let server = serve(dir.path(), &[words.as_slice(), &lax].concat());
        let seen = run(probe(&door(server.port, None), &Offer::ALL)).unwrap();
        assert_eq!(versions(&seen), wanted, "{words:?}: {seen:?}");
        let shell: Vec<_> = Offer::ALL.iter().map(|offer| taken(heard(&by_shell(server.port, "-", *offer)))).collect();
        assert_eq!(shell, wanted, "{words:?} by shell");
    }
}

#[test]
fn weak_ciphers_are_found() {
    let dir = tempfile::tempdir().unwrap();
    certificate(dir.path());
    for (cipher, is_weak) in [("ECDHE-RSA-AES128-GCM-SHA256", false), ("AES128-SHA", true), ("AES128-GCM-SHA256", true)]
    {
        let server = serve(dir.path(), &["-tls1_2", "-cipher", cipher]);
        let seen = run(probe(&door(server.port, None), &[Offer::Version(Version::Tls12), Offer::Weak])).unwrap();
        assert_eq!(taken(seen[0].1), Some(Version::Tls12), "{cipher}");
        assert_eq!(taken(seen[1].1).is_some(), is_weak, "{cipher}: {seen:?}");
    }
}

/// A server of our own, which says something and then does as told.
fn says(greeting: &'static [u8], answer: &'static [u8], stays: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let _ = stream.write_all(greeting);
            let mut buffer = [0; 1024];
            while stream.read(&mut buffer).is_ok_and(|n| n > 0) {
                let _ = stream.write_all(answer);
                if !stays {
                    break;
                }
            }
            held.push(stream);
            if !stays {
                held.clear();
            }
        }
    });
    port
}

#[test]
fn who_speaks_something_else_is_told_so() {
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        &[0; 64],
        &[22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff],
        &[22, 3, 1, 0xff, 0xff],
    ] {
        let port = says(b"", garbage, false);
        let seen = run(probe(&door(port, None), &Offer::ALL)).unwrap();
        assert_eq!(seen, [(Offer::ALL[0], Heard::NotTls)], "{garbage:?}");
        assert_eq!(heard(&by_shell(port, "-", Offer::ALL[0])), Heard::NotTls, "{garbage:?}");
    }
    let port = says(b"", b"", false);
    assert!(
        run(probe(&door(port, None), &Offer::ALL)).unwrap().iter().all(|(_, heard)| *heard == Heard::Refuses(None))
    );
}

#[test]
fn who_never_answers_holds_nobody_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let began = Instant::now();
    let why = run(probe(&door(port, None), &Offer::ALL)).unwrap_err();
    assert!(why.contains("in time") && began.elapsed() < Duration::from_secs(8), "{why} {:?}", began.elapsed());
    let why = run(probe(&door(free_port(), None), &Offer::ALL)).unwrap_err();
    assert_eq!(why, "nobody listens");
}

#[test]
fn plain_text_turns_to_tls_or_not() {
    let why = |port, start| run(probe(&door(port, Some(start)), &Offer::ALL)).unwrap_err();
    assert!(why(says(b"220 x\r\n", b"500 what?\r\n", true), Start::Smtp).contains("does not turn"));
    assert!(why(says(b"+OK\r\n", b"-ERR\r\n", true), Start::Pop3).contains("does not turn"));
    assert!(why(says(&[b'x'; 20_000], b"", true), Start::Ftp).contains("without an end"));
    assert_eq!(by_shell(says(b"* OK\r\n", b"a NO\r\n", true), "imap", Offer::ALL[0]), b"p");
    assert_eq!(by_shell(free_port(), "-", Offer::ALL[0]), b"x");
    // What goes on in TLS after the word for it.
    let dir = tempfile::tempdir().unwrap();
    certificate(dir.path());
    let server = serve(dir.path(), &["-tls1_2"]);
    for (start, word, talk) in [
        (Start::Smtp, "smtp", &["220-x\r\n220 y\r\n", "250-a\r\n250 STARTTLS\r\n", "220 go\r\n"][..]),
        (Start::Imap, "imap", &["* OK\r\n", "* NOTE\r\na OK\r\n"]),
        (Start::Pop3, "pop3", &["+OK\r\n", "+OK\r\n"]),
        (Start::Ftp, "ftp", &["220 x\r\n", "234 go\r\n"]),
    ] {
        let port = turns(talk, server.port);
        let seen = run(probe(&door(port, Some(start)), &[Offer::Version(Version::Tls12)])).unwrap();
        assert_eq!(taken(seen[0].1), Some(Version::Tls12), "{word}");
        let heard = heard(&by_shell(port, word, Offer::Version(Version::Tls12)));
        assert_eq!(taken(heard), Some(Version::Tls12), "{word} by shell");
    }
}

/// Says this, a word for each line that it hears, and is another server from then on.
fn turns(talk: &'static [&'static str], to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut words = talk.iter();
            let _ = stream.write_all(words.next().unwrap().as_bytes());
            for word in words {
                let mut byte = [0];
                while stream.read(&mut byte).is_ok_and(|n| n == 1) && byte != [b'\n'] {}
                let _ = stream.write_all(word.as_bytes());
            }
            let mut behind = TcpStream::connect(("127.0.0.1", to)).unwrap();
            let mut buffer = [0; 4096];
            let heard = stream.read(&mut buffer).unwrap_or(0);
            let _ = behind.write_all(&buffer[..heard]);
            let said = behind.read(&mut buffer).unwrap_or(0);
            let _ = stream.write_all(&buffer[..said]);
        }
    });
    port
}

/// The shell text for a host is read-only and small; here it finds what this machine has.
#[test]
fn the_reading_is_understood_in_each_shell() {
    let query = Query::Tls { least: Some(Version::Tls12) };
    let reading = fact::script(std::slice::from_ref(&query), "0a1b").remove(0);
    for shell in ["dash", "bash"] {
        let said = Command::new(shell).args(["-c", reading.script()]).stdin(Stdio::null()).output().unwrap();
        let out_full = said.stdout.len() as u64;
        let reply = Reply { code: 0, out: said.stdout, err: said.stderr, out_full, ..Reply::default() };
        let facts = fact::answers(&reading, &reply);
        let tls = facts.tls(Some(Version::Tls12)).unwrap_or_else(|gap| panic!("{shell}: {gap:?}"));
        assert!(tls.files.iter().all(|file| file.path.starts_with('/')), "{shell}: {tls:?}");
        let has = Path::new("/etc/ssl/openssl.cnf").exists();
        assert_eq!(
            tls.files.iter().any(|file| file.server == "openssl" && file.text.is_some()),
            has,
            "{shell}: {tls:?}"
        );
    }
}

/// The whole way on a real host, with a look from outside: drift, mended, in sync, given back byte for byte.
#[test]
fn a_server_that_takes_all_is_mended_proven_and_given_back() {
    let fleet = Fleet::up(1);
    let case = "tests/cases/host/tls/nginx-takes-all.yml";
    let case = steadfast::yaml::parse(&Source::new(case, std::fs::read_to_string(case).unwrap())).unwrap();
    let made = fleet.inside("h1", case.get("prepare").and_then(steadfast::yaml::Node::text).unwrap());
    assert_eq!(made.code, 0, "{}", made.err);
    let book = fleet.0.dir().join("tls.yml").display().to_string();
    let text = "hosts: all\nbecome: true\nsteps:\n  - {id: tls, tls: {}}\n  - {id: outside, needs: [tls], expect: {tls: {port: 443}}}\n";
    std::fs::write(&book, text).unwrap();
    let files = "cat /etc/nginx/nginx.conf /etc/nginx/sites-enabled/* /etc/ssl/openssl.cnf; ls -R /etc/nginx";
    let before = fleet.inside("h1", files).out;
    let inventory = fleet.inventory();
    let call = |words: &[&str]| -> Run { fleet.steadfast(&[words, &["-i", &inventory]].concat()) };
    let found = call(&["check", &book]);
    assert_eq!(found.code, 2, "{} {}", found.out, found.err);
    for said in ["nginx at 0.0.0.0:443 TLS 1.0", "/etc/nginx/sites-enabled/lab:6", "tls port 443 TLS 1.1"] {
        assert!(found.flat().contains(said), "{said} is missing in {}", found.out);
    }
    assert_eq!(fleet.inside("h1", files).out, before, "a check wrote");
    let applied = call(&["apply", &book, "-y"]);
    assert_eq!(applied.code, 0, "{} {}", applied.out, applied.err);
    let again = call(&["check", &book]);
    assert_eq!(again.code, 0, "{} {}", again.out, again.err);
    let back = call(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{} {}", back.out, back.err);
    assert_eq!(fleet.inside("h1", files).out, before);
    assert_eq!(call(&["check", &book]).code, 2);
}
