//! The cloud's own scanner, which looks at the host by an agent of the cloud.

use crate::cloud::tencent::Access;
use crate::cloud::{Flaw, HostScan, Seek};
use crate::fault::Fault;
use crate::step::Row;
use crate::step::triage::Level;
use crate::step::wall::{Provider, plain};
use crate::step::words::place;
use crate::yaml::Node;
use globset::GlobSet;
use serde::Deserialize;

/// The cloud that the host is in.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cloud {
    #[expect(dead_code, reason = "there is one so far; it is written for the reader")]
    provider: Provider,
    /// The region, such as `ap-guangzhou`.
    region: String,
    /// The instance's `Uuid`, as inventories tell it (`tencent_uuid`).
    machine: String,
    /// What it looks for: `malware` unless told, `vulnerabilities`, `baseline`.
    #[serde(default = "malware")]
    seeks: Vec<Seek>,
    #[serde(default)]
    pattern: Pattern,
    /// Where the key comes from.
    #[serde(default)]
    access: Access,
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Pattern {
    /// Where malware usually is.
    #[default]
    Quick,
    /// Every disk.
    Full,
}

fn malware() -> Vec<Seek> {
    vec![Seek::Malware]
}

/// What belongs to tools on the host.
const OF_TOOLS: [&str; 6] = ["tools", "paths", "database", "max_age", "timer", "report"];

impl Cloud {
    pub fn check(&self, body: &Node, faults: &mut Vec<Fault>) {
        if !plain(&self.region) || !plain(&self.machine) {
            let fault = Fault::new("this names nothing of Tencent Cloud").at(place(body, "cloud"));
            faults.push(fault.hint("write region: ap-guangzhou, machine: \"{{ tencent_uuid }}\""));
        }
        if self.seeks.is_empty() {
            faults.push(Fault::new("who looks for nothing finds nothing").at(place(body, "cloud")));
        }
        for field in OF_TOOLS.iter().filter(|field| body.get(field).is_some()) {
            let what = format!("the cloud's scanner is a step of its own: `{field}` is of tools on the host");
            faults.push(Fault::new(what).at(place(body, field)));
        }
        // Never where a key may stand that somebody pasted: its line would be shown.
        faults.extend(self.access.check().err().map(|fault| fault.at(&body.place)));
    }

    pub fn scan(&self, seconds: u64) -> HostScan {
        HostScan {
            region: self.region.clone(),
            machine: self.machine.clone(),
            seeks: self.seeks.clone(),
            quick: self.pattern == Pattern::Quick,
            seconds,
            access: self.access.clone(),
        }
    }
}

/// Findings from this level on, the worst first.
pub fn rows(found: &[Flaw], known: &GlobSet, least: Level) -> Vec<Row> {
    let level = |one: &Flaw| match one.level {
        1 => Level::Low,
        0 | 2 => Level::Medium,
        _ => Level::High,
    };
    let mut told: Vec<&Flaw> =
        found.iter().filter(|one| level(one) >= least && !known.is_match(&one.object)).collect();
    told.sort_by(|a, b| (level(b), &a.object, &a.name).cmp(&(level(a), &b.object, &b.name)));
    told.dedup();
    let row = |one: &Flaw| {
        let name: String = one.name.chars().take(240).collect();
        let (told, wanted) = match one.seek {
            Seek::Malware => (format!("the cloud calls it {name}"), "absent"),
            Seek::Vulnerabilities => (format!("a known hole: {name}"), "mended"),
            Seek::Baseline => (format!("it is not so, says {name}"), "so"),
        };
        Row::new(&one.object, "cloud", format!("{}: {told}", level(one).word()), wanted)
    };
    told.into_iter().map(row).collect()
}
