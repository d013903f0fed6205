//! How a host is reached: through which others, as the user's own ssh understands its name, and whether that way is open.

use super::lines::{Login, Settings};
use super::master::classify;
use super::{Loss, LossKind, outside, show, ssh_config};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;
use tokio::time::timeout;

/// Where a host is, and what stands on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// The name or address that ssh connects to in the end.
    pub address: String,
    pub port: u16,
    /// What may be a name of a gate on the way, without its user and its port.
    pub gates: Vec<String>,
    /// The program that makes the way, where one is written.
    pub program: Option<String>,
}

/// For what a gate must not lend a connection that stands already: it was made before the change that is to be proven.
const ANEW: [&str; 2] = ["ControlMaster=no", "ControlPath=none"];

/// For which of these logins ssh may go through another host: their words, or a file that ssh reads for them, speak of it.
/// A fleet of a thousand is not asked about host by host where nothing does.
pub async fn may_lead_through(logins: &[&Login], settings: &Settings) -> Vec<bool> {
    let mut known: HashMap<String, bool> = HashMap::new();
    let mut may = Vec::new();
    for login in logins {
        let words = ssh_config::words(login, settings);
        let by_files = match known.get(&words.config) {
            Some(known) => *known,
            None => {
                let files = outside::files(login, settings).await;
                files.map_or(true, |files| files.iter().any(|text| speaks(text)))
            }
        };
        known.insert(words.config, by_files);
        may.push(by_files || words.args.iter().any(|word| is_jump(word) || speaks(word)));
    }
    may
}

/// `-J`, among other letters too.
fn is_jump(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word.contains('J')
}

/// Whether a way through others is named, or a further file whose name depends on the host.
fn speaks(text: &str) -> bool {
    text.lines().map(|line| line.trim_start().to_ascii_lowercase()).any(|line| {
        let further = line.starts_with("include") && line.contains(['%', '$']);
        !line.starts_with('#') && (further || line.contains("proxyjump") || line.contains("proxycommand"))
    })
}

/// The route to a host.
///
/// # Errors
/// ssh cannot tell.
pub async fn route(login: &Login, settings: &Settings) -> Result<Route, String> {
    read(&outside::configuration(login, settings).await?).ok_or_else(|| "ssh does not tell where the host is".into())
}

fn read(said: &str) -> Option<Route> {
    let value = |key: &str| outside::value(said, key);
    let program = value("proxycommand").map(ToOwned::to_owned);
    let words = match (value("proxyjump"), &program) {
        (Some(jump), _) => jump.split(',').collect(),
        (None, Some(program)) => program.split(|c: char| c.is_whitespace() || c == '"' || c == '\'').collect(),
        (None, None) => vec![],
    };
    let gates = words.into_iter().filter(|word| !word.starts_with('-') && !word.contains('%')).map(bare);
    Some(Route {
        address: value("hostname")?.to_owned(),
        port: value("port")?.parse().ok()?,
        gates: gates.filter(|gate| !gate.is_empty()).collect(),
        program,
    })
}

/// `ssh://user@gate:22` as `gate`.
fn bare(word: &str) -> String {
    let word = word.strip_prefix("ssh://").unwrap_or(word);
    let host = word.rsplit_once('@').map_or(word, |(_, host)| host);
    if let Some((inside, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inside.to_owned();
    }
    match host.split_once(':') {
        Some((name, port)) if !port.contains(':') => name.to_owned(),
        _ => host.to_owned(),
    }
}

/// The program of a way, where it is ssh, so that it takes no connection that stands already.
fn anew(program: &str) -> String {
    let is_ssh = |word: &str| word == "ssh" || word.ends_with("/ssh");
    // It may be begun by another program: `exec ssh`, `sshpass -e ssh`, `sh -c 'ssh …'`.
    let starts = program.match_indices(|c: char| c.is_whitespace() || "'\"(;".contains(c)).map(|(at, _)| at + 1);
    for start in std::iter::once(0).chain(starts) {
        let word = program[start..].split(char::is_whitespace).next().unwrap_or_default();
        if is_ssh(word) {
            let end = start + word.len();
            return format!("{} -o {} -o {}{}", &program[..end], ANEW[0], ANEW[1], &program[end..]);
        }
    }
    program.to_owned()
}

/// Whether the way to a host is open up to its own sshd, over connections of their own through all gates. Its greeting is
/// enough: nobody logs in there.
///
/// # Errors
/// Why not.
pub async fn is_open(login: &Login, route: &Route, settings: &Settings, runtime: &Path) -> Result<(), Loss> {
    let other = |error: std::io::Error| Loss { kind: LossKind::Other, why: error.to_string() };
    let dir = tempfile::Builder::new().prefix("f-").tempdir_in(runtime).map_err(other)?;
    let words = ssh_config::words(login, settings);
    let (config, log) = (dir.path().join("config"), dir.path().join("log"));
    let ours: String = ANEW.iter().map(|word| format!("  {}\n", word.replacen('=', " ", 1))).collect();
    fs::write(&config, format!("Host *\n{ours}{}", words.config)).map_err(other)?;
    let mut command = Command::new("ssh");
    super::bare(command.as_std_mut());
    command.arg("-F").arg(&config).arg("-E").arg(&log);
    for word in ["LogLevel=DEBUG1", ANEW[0], ANEW[1], "PreferredAuthentications=none"] {
        command.args(["-o", word]);
    }
    if let Some(program) = &route.program {
        command.args(["-o", &format!("ProxyCommand={}", anew(program))]);
    }
    command.args(["-S", "none", "-T", "-n"]).args(&words.args).arg("exit 0");
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let said = match timeout(settings.connect_timeout * 2, command.output()).await {
        Ok(output) => String::from_utf8_lossy(&output.map_err(other)?.stderr).into_owned(),
        Err(_) => String::new(),
    };
    let told = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    if told.contains("Remote protocol version") {
        return Ok(());
    }
    let told: Vec<&str> = told.lines().filter(|line| !line.starts_with("debug1:")).collect();
    let loss = classify(&show(told.join("\n").trim().as_bytes(), 600), &show(said.trim().as_bytes(), 600));
    match loss.why.is_empty() {
        true => Err(Loss { kind: LossKind::ConnectTimeout, why: "no answer".into() }),
        false => Err(loss),
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, anew, is_jump, read, speaks};

    #[test]
    fn the_gates_on_a_way_are_named() {
        let gates = |said: &str| read(&format!("hostname 10.0.0.2\nport 2222\n{said}\n")).unwrap_or_default().gates;
        assert_eq!(gates(""), Vec::<String>::new());
        assert_eq!(gates("proxyjump none"), Vec::<String>::new());
        assert_eq!(gates("proxyjump gate"), ["gate"]);
        assert_eq!(
            gates("proxyjump a@one:22,ssh://two:2200,[fe80::1]:22,fe80::2"),
            ["one", "two", "fe80::1", "fe80::2"]
        );
        assert_eq!(gates("proxycommand ssh -q -W %h:%p ops@gate"), ["ssh", "gate"]);
        assert_eq!(read("hostname x\nport many\n"), None);
        let direct = Route { address: "x".into(), port: 22, ..Route::default() };
        assert_eq!(read("hostname x\nport 22\n"), Some(direct));
    }

    #[test]
    fn a_program_that_is_ssh_takes_no_connection_that_stands() {
        assert_eq!(anew("ssh -W %h:%p g"), "ssh -o ControlMaster=no -o ControlPath=none -W %h:%p g");
        assert_eq!(anew("exec ssh -W %h:%p g"), "exec ssh -o ControlMaster=no -o ControlPath=none -W %h:%p g");
        let quoted = "sh -c '/usr/bin/ssh -o ControlMaster=no -o ControlPath=none g nc %h %p'";
        assert_eq!(anew("sh -c '/usr/bin/ssh g nc %h %p'"), quoted);
        assert_eq!(anew("nc %h %p"), "nc %h %p");
        assert_eq!(anew("/opt/ssh-way/connect %h"), "/opt/ssh-way/connect %h");
    }
    #[test]
    fn what_may_lead_through_others_is_known_by_its_words() {
        assert!(["-J", "-Jgate", "-qJ"].into_iter().all(is_jump));
        assert!(!["--", "-i", "J", "/root/J"].into_iter().any(is_jump));
        assert!(["ProxyJump=gate", "Host x\n\tproxycommand nc %h %p", "Include ~/%h.conf"].into_iter().all(speaks));
        assert!(!speaks(
            "Host *\n#   ProxyCommand ssh gate\n  HashKnownHosts yes\nInclude /etc/ssh/ssh_config.d/*.conf"
        ));
    }
}
