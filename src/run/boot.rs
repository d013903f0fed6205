//! Whether sshd starts with the host: what shuts everybody out from the next start on, no login of today proves.

use super::access::starts_sshd;
use super::guard::Open;
use super::site::Site;
use crate::fact::Query;
use crate::host::Loss;
use crate::step::Kind;
use crate::target::Target;

/// 0: a unit of sshd starts at boot, or nobody can tell; 1: none does.
const STARTS: &str = "[ -d /run/systemd/system ] || exit 0
for unit in ssh.service sshd.service ssh.socket sshd.socket; do
  case $(systemctl is-enabled -- \"$unit\" 2>/dev/null) in enabled | alias | static | generated) exit 0 ;; esac
done
exit 1";

impl Site {
    /// Whether a task may take away what starts sshd.
    fn may_unboot(&self, task: usize) -> bool {
        let named = |kind: &dyn Kind| kind.paths().iter().any(|path| starts_sshd(path));
        matches!(self.run.plan.tasks[task].step.kind, "services" | "package" | "command" | "restore")
            || self.made(task).iter().any(|one| named(&*one.kind))
    }

    /// Before the first such change: where nothing starts it at boot, no change is to blame.
    pub(super) async fn before_boot(&mut self, task: usize) {
        if self.boots.is_none() && self.may_unboot(task) {
            self.boots = match self.line(task).await {
                Ok(line) => sshd_starts(&*line).await.ok(),
                Err(_) => None,
            };
        }
    }

    /// Why changes must go back that stand so far, asked over the login that is to prove them: nothing starts sshd with the host any
    /// more, where something did before.
    pub(super) async fn unbooted(&self, open: &Open, line: &dyn Target) -> Option<String> {
        let asks = self.boots == Some(true) && open.members.iter().any(|member| self.may_unboot(member.task));
        let gone = asks && matches!(sshd_starts(line).await, Ok(false));
        gone.then(|| "nothing starts sshd with the host any more: enable ssh.service or ssh.socket".to_owned())
    }
}

async fn sshd_starts(line: &dyn Target) -> Result<bool, Loss> {
    let read = line.read(&[Query::Shell(STARTS.into())]).await?;
    Ok(read.shell(STARTS).map_or(true, |said| said.code == 0))
}
