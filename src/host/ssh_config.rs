//! What ssh is told. The user's own configuration stays valid: what is not said here is theirs.

use super::lines::{Login, Settings};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The words and the configuration file of one login.
pub struct Words {
    pub args: Vec<String>,
    /// Also holds for the gates on the way, which take no words of ours.
    pub config: String,
}

impl Words {
    /// What makes two logins the same.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        // Where an agent of ours listens is another place in every run, and the same keys.
        let words = self.args.iter().filter(|word| !word.starts_with(HOLDER));
        for word in words.chain([&self.config]) {
            hash.update(word.as_bytes());
            hash.update([0]);
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

const HOLDER: &str = "IdentityAgent=";

/// The words for a login, the address last.
pub fn words(login: &Login, settings: &Settings) -> Words {
    let check = if settings.accept_new_host_keys { "accept-new" } else { "yes" };
    let rules = [
        ("BatchMode", "yes".to_owned()),
        ("StrictHostKeyChecking", check.into()),
        ("ConnectTimeout", settings.connect_timeout.as_secs().max(1).to_string()),
        ("ServerAliveInterval", "10".into()),
        ("ServerAliveCountMax", "3".into()),
        ("ForwardAgent", "no".into()),
        ("ForwardX11", "no".into()),
        ("PermitLocalCommand", "no".into()),
        ("UpdateHostKeys", "no".into()),
        ("LogLevel", "INFO".into()),
    ];
    // Words of the command line count first; these must not be undone by the inventory.
    let mut args: Vec<String> =
        rules.iter().flat_map(|(key, value)| ["-o".to_owned(), format!("{key}={value}")]).collect();
    args.extend(
        ["-o", "ClearAllForwardings=yes", "-o", "EscapeChar=none", "-o", "RequestTTY=no"].map(ToOwned::to_owned),
    );
    let (own, others) = without_file(&login.ssh_args);
    if let Some(file) = &login.known_hosts {
        args.extend(["-o".into(), format!("UserKnownHostsFile=\"{}\"", file.display())]);
    }
    args.extend(others);
    if let Some(port) = login.port {
        args.extend(["-p".into(), port.to_string()]);
    }
    if let Some(user) = &login.user {
        args.extend(["-l".into(), user.clone()]);
    }
    if let Some(socket) = &login.holder {
        args.extend(["-o".into(), format!("{HOLDER}\"{}\"", socket.display())]);
    }
    if let Some(key) = &login.private_key {
        args.extend(["-o".into(), "IdentitiesOnly=yes".into(), "-i".into(), key.display().to_string()]);
    }
    args.extend(["--".into(), login.address.clone()]);
    let mut config = String::from("Host *\n");
    for (key, value) in rules {
        let _ = writeln!(config, "  {key} {value}");
    }
    match own.as_deref() {
        Some("none") => {}
        Some(file) => {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.into());
            let _ = writeln!(config, "Include \"{}\"", file.display());
        }
        None => config.push_str("Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\n"),
    }
    Words { args, config }
}

/// `-F FILE` among the words, and the words without it: the file is read after our own.
fn without_file(words: &[String]) -> (Option<String>, Vec<String>) {
    let (mut file, mut others, mut words) = (None, Vec::new(), words.iter());
    while let Some(word) = words.next() {
        match word.strip_prefix("-F") {
            Some("") => file = words.next().cloned(),
            Some(name) => file = Some(name.to_owned()),
            None => {
                others.push(word.clone());
                // The value of an option is no option, whatever it looks like.
                let takes_value =
                    matches!(word.as_bytes(), [b'-', letter] if b"BbcDEeFIiJLlmOoPpQRSWw".contains(letter));
                others.extend(takes_value.then(|| words.next().cloned()).flatten());
            }
        }
    }
    (file, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_file_is_read_after_our_own() {
        let login = |words: &[&str]| Login {
            address: "h".into(),
            ssh_args: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Login::default()
        };
        let made = words(&login(&["-o", "-Fx", "-F", "/etc/mine", "-J", "gate"]), &Settings::default());
        assert!(made.config.ends_with("Include \"/etc/mine\"\n"), "{}", made.config);
        assert!(made.args.ends_with(&["-o", "-Fx", "-J", "gate", "--", "h"].map(str::to_owned)), "{:?}", made.args);
        let made = words(&login(&["-Fnone"]), &Settings::default());
        assert!(!made.config.contains("Include"));
        let usual = words(&login(&[]), &Settings::default());
        assert!(usual.config.ends_with("Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\n"));
        assert_ne!(usual.fingerprint(), made.fingerprint());
    }
}
