//! Whether the rules would shut out whoever sets them: at once, or as soon as a limit is used up.

use super::{Allow, Firewall, Presence, listening};
use crate::fact::{Facts, Gap};
use std::net::IpAddr;

/// New connections that the logins of a run need in a minute: it needs some at once (its lines, the proof of a change, the way back
/// and its proof), which a limit forgives, and when that is used up each waits no longer than ssh tries: ten seconds, knocking after 1, 3 and 7.
const LOGINS: u32 = 10;

impl Firewall {
    /// Whether a new connection of this protocol to this port gets in: from there, or from anywhere at all.
    pub(super) fn opens(&self, protocol: &str, port: u16, from: Option<IpAddr>) -> bool {
        self.allow.iter().any(|allow| allow.admits(&self.sets, protocol, port, from))
    }

    /// Whether it closes the way in that this host has.
    pub(super) fn lockout(&self, found: &Facts) -> Result<(), Gap> {
        const HINT: &str = "allow it, or say `allow_lockout: true`";
        if self.allow_lockout || self.state == Presence::Absent {
            return Ok(());
        }
        if let Ok(sshd) = found.sshd(None)
            && let Some(port) = listening(sshd).find(|port| !self.opens("tcp", *port, None))
        {
            return Err(Gap::Impossible(format!("port {port}, on which sshd listens, would be closed; {HINT}")));
        }
        if let Ok(Some(login)) = found.login()
            && !self.opens("tcp", login.port, Some(login.from))
        {
            let why =
                format!("port {} would be closed to {}, from where this run comes; {HINT}", login.port, login.from);
            return Err(Gap::Impossible(why));
        }
        if let Ok(Some(login)) = found.login()
            && let Some(slow) = self.slows(login.port, Some(login.from))
        {
            let why = format!(
                "{slow} would let too few of the logins from {} in on port {}, by which this run comes: a run needs {LOGINS} in a minute, and \
                 whoever comes after it finds the door shut; allow {LOGINS}/minute or more, or that address in a rule before it, or say \
                 `allow_lockout: true`",
                login.from, login.port
            );
            return Err(Gap::Impossible(why));
        }
        Ok(())
    }

    /// The limit by which fewer logins get in on a port than one run needs: of the first rule that means whoever comes, for no
    /// later one is asked; where nobody knows who comes, only if all rules have one.
    pub(super) fn slows(&self, port: u16, from: Option<IpAddr>) -> Option<String> {
        // The limit of the whole host holds up those alone whom no rule names.
        let (named, open): (Vec<&Allow>, Vec<&Allow>) =
            self.allow.iter().partition(|one| self.limit().is_none() || !one.from.is_everybody());
        let slow = |one: &Allow| {
            let whole = self.limit().and_then(|limit| limit.new.as_ref()).filter(|_| one.from.is_everybody());
            let all = [("rate", one.rate.as_ref()), ("total", one.total.as_ref()), ("limit.new", whole)];
            let mut slow = all.into_iter().filter_map(|(field, rate)| Some((field, rate?)));
            slow.find(|(_, rate)| !rate.lets_in(LOGINS)).map(|(field, rate)| format!("`{field}: {rate}`"))
        };
        let mut meant = named.into_iter().chain(open).filter(|one| one.admits(&self.sets, "tcp", port, from)).map(slow);
        let first = meant.next()??;
        (from.is_some() || meant.all(|slow| slow.is_some())).then_some(first)
    }
}

