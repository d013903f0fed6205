//! The options that belong to a mount and not to the file system behind it.

use serde::{Deserialize, Serialize};

/// An option that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Flag {
    /// Device nodes are no devices.
    Nodev,
    /// setuid and setgid mean nothing.
    Nosuid,
    /// No program can be run.
    Noexec,
    /// Reading leaves no time.
    Noatime,
    /// Reading leaves a time now and then.
    Relatime,
}

impl Flag {
    pub fn word(self) -> &'static str {
        match self {
            Self::Nodev => "nodev",
            Self::Nosuid => "nosuid",
            Self::Noexec => "noexec",
            Self::Noatime => "noatime",
            Self::Relatime => "relatime",
        }
    }

    /// Words that say the opposite.
    pub fn opposites(self) -> &'static [&'static str] {
        match self {
            Self::Nodev => &["dev"],
            Self::Nosuid => &["suid"],
            Self::Noexec => &["exec"],
            Self::Noatime => &["atime", "relatime", "strictatime"],
            Self::Relatime => &["norelatime", "noatime", "strictatime"],
        }
    }
}

/// All flags of a mount, in the kernel's order.
const ALL: [&str; 8] = ["rw", "ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime"];

/// The flags among a mount's options.
pub fn flags(options: &[String]) -> String {
    let has = |flag: &&str| options.iter().any(|option| option == *flag);
    ALL.into_iter().filter(has).collect::<Vec<_>>().join(",")
}

/// The flags of a mount with these as well.
pub fn with(options: &[String], more: &[Flag]) -> String {
    let kept = options.iter().filter(|option| !more.iter().any(|flag| flag.opposites().contains(&option.as_str())));
    let all: Vec<String> = kept.cloned().chain(more.iter().map(|flag| flag.word().to_owned())).collect();
    flags(&all)
}

#[cfg(test)]
mod tests {
    use super::{Flag, flags, with};

    #[test]
    fn what_is_there_stays() {
        let options = ["rw", "nosuid", "relatime", "size=1k"].map(String::from);
        assert_eq!(flags(&options), "rw,nosuid,relatime");
        assert_eq!(with(&options, &[Flag::Noexec, Flag::Nodev]), "rw,nosuid,nodev,noexec,relatime");
        assert_eq!(with(&options, &[Flag::Noatime]), "rw,nosuid,noatime");
        assert_eq!(with(&options, &[Flag::Nosuid]), flags(&options));
    }
}
