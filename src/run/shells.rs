//! Interactive logins: what a shell reads when it begins can end it, which a login that runs one command never sees.

use super::guard::Open;
use super::site::Site;
use crate::fact::Query;

/// Begins one as whoever logs in.
const BEGINS: &str = include_str!("shells.sh");

/// What shells read when they begin, whosever they are; below a home by the name alone.
const OF_ALL: &[&str] = &["/etc/profile", "/etc/bash", "/etc/zsh", "/etc/zprofile", "/etc/csh", "/etc/environment"];
const OF_HOMES: &[&str] = &[
    ".profile",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_aliases",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".login",
    ".cshrc",
];

fn shapes_shells(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    OF_ALL.iter().any(|start| path.starts_with(start)) || OF_HOMES.contains(&name)
}

impl Site {
    fn shapes_shells(&self, task: usize) -> bool {
        self.made(task).iter().any(|one| one.kind.paths().iter().any(|path| shapes_shells(path)))
    }

    /// Before the first change of what shells read: whether one stays, for where none does no change is to blame.
    pub(super) async fn before_shells(&mut self, task: usize) {
        if self.shells.is_none() && self.shapes_shells(task) {
            self.shells = self.shell_stays().await;
        }
    }

    /// Whether a shell still stays after these changes, where one did before: `Err` says that it does not, nothing that nobody could
    /// tell, as where nobody is let in at all, which the proof beside it says.
    pub(super) async fn keeps_shells(&self, open: &Open) -> Option<Result<(), String>> {
        let asks = self.shells == Some(true) && open.members.iter().any(|member| self.shapes_shells(member.task));
        if !asks {
            return Some(Ok(()));
        }
        let stays = self.shell_stays().await?;
        Some(if stays {
            Ok(())
        } else {
            Err("an interactive login ends at once: what its shell reads ends it".to_owned())
        })
    }

    /// Nothing where nobody can tell.
    async fn shell_stays(&self) -> Option<bool> {
        let line = self.opened(false, true).await.ok()?;
        let read = line.read(&[Query::Shell(BEGINS.into())]).await;
        line.close().await;
        Some(read.ok()?.shell(BEGINS).ok()?.code == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::shapes_shells;

    #[test]
    fn what_shells_read_is_told_from_the_rest() {
        for path in ["/etc/profile.d/tmout.sh", "/etc/bash.bashrc", "/root/.bashrc", "/home/*/.profile"] {
            assert!(shapes_shells(path), "{path}");
        }
        for path in ["/etc/motd", "/home/a/.ssh/authorized_keys", "/etc/pam.d/su"] {
            assert!(!shapes_shells(path), "{path}");
        }
    }
}
