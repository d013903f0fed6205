//! Whether sshd starts with the host: what shuts everybody out from the next start on, no login of today proves.

use super::access::starts_sshd;
use super::guard::Open;
use super::site::Site;
use crate::fact::Query;
use crate::host::Loss;
use crate::step::Kind;

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
            self.boots = self.sshd_starts(task).await.ok();
        }
    }

    /// Whether something still starts sshd with the host after these changes, where it did before.
    ///
    /// # Errors
    /// Nothing does.
    pub(super) async fn keeps_boot(&self, open: &Open) -> Result<(), String> {
        let asks = self.boots == Some(true) && open.members.iter().any(|member| self.may_unboot(member.task));
        // Who is not let in at all is told so by the proof that follows.
        if asks && matches!(self.sshd_starts(open.first()).await, Ok(false)) {
            return Err("nothing starts sshd with the host any more: enable ssh.service or ssh.socket".to_owned());
        }
        Ok(())
    }

    async fn sshd_starts(&self, task: usize) -> Result<bool, Loss> {
        let line = self.fresh(task).await?;
        let read = line.read(&[Query::Shell(STARTS.into())]).await;
        line.close().await;
        Ok(read?.shell(STARTS).map_or(true, |said| said.code == 0))
    }
}
