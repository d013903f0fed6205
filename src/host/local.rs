//! This machine, by the same agent.

use super::lines::Opener;
use super::loader::{self, give_password};
use super::wire::{Streams, Wire};
use super::{Become, Host, Later, Loss, LossKind, Reply, Request};
use std::process::Stdio;

/// A line to this machine.
pub struct LocalHost {
    wire: Wire,
    r#become: Become,
}

impl LocalHost {
    /// # Errors
    /// No `sh`, or sudo refused the password.
    pub async fn open(r#become: &Become, opener: &Opener) -> Result<Self, Loss> {
        let (script, prompt) = loader::command(r#become);
        let mut command = tokio::process::Command::new("sh");
        // In a process group of its own: a Ctrl-C at the terminal is for us, and running steps may finish.
        command.args(["-c", &script]).process_group(0);
        super::bare(command.as_std_mut());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let no_shell = |why: String| Loss { kind: LossKind::NoShell, why };
        let mut child = command.spawn().map_err(|error| no_shell(error.to_string()))?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(no_shell("its streams are missing".into()));
        };
        tokio::spawn(async move { child.wait().await });
        let mut streams = Streams { input: Box::new(input), output: Box::new(output), errors: Box::new(errors) };
        if let Become::SudoPassword(secret) = r#become {
            give_password(&mut streams, &prompt, secret, opener.settings.connect_timeout).await?;
        }
        Ok(Self { wire: Wire::open(streams, &opener.terms()), r#become: r#become.clone() })
    }
}

impl Host for LocalHost {
    fn call(&self, request: Request) -> Later<'_, Result<Reply, Loss>> {
        Box::pin(async move {
            let reply = self.wire.call(request).await;
            reply.map_err(|loss| loader::refusal(loss, &self.r#become))
        })
    }

    fn close(&self) -> Later<'_, ()> {
        Host::close(&self.wire)
    }
}
