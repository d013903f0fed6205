//! Taking evidence: item by item from the host straight into files on the controller.

use super::incident::now;
use super::site::Site;
use super::work::Work;
use crate::event::Outcome;
use crate::evidence::{Bundle, Manifest};
use crate::fact::evidence::{Grab, MOST, grabs, odd};
use crate::fault::Fault;
use crate::host::Loss;
use crate::step::{Evidence, Row, Val};
use crate::target::Target;
use std::path::PathBuf;
use std::sync::Arc;

/// Why it ended: the host is lost, or the controller cannot keep it.
enum End {
    Lost(Loss),
    Broken(Fault),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

impl From<Loss> for End {
    fn from(loss: Loss) -> Self {
        Self::Lost(loss)
    }
}

impl Work<'_> {
    pub(super) async fn gather(
        &mut self,
        site: &mut Site,
        task: usize,
        wish: &Evidence,
    ) -> Result<(Outcome, Vec<Row>), Loss> {
        site.started(task);
        match self.gathered(site, task, wish).await {
            Ok(told) => {
                let row = Row::new("evidence of this host", "kept", Val::Absent, told);
                Ok((Outcome::Changed, vec![row]))
            }
            Err(End::Broken(fault)) => Ok((Outcome::Failed { why: fault.to_string() }, vec![])),
            Err(End::Lost(loss)) => {
                let why = format!("the host was lost while evidence was taken: {loss}");
                site.done(task, Outcome::Unknown { why }, vec![]);
                Err(loss)
            }
        }
    }

    async fn gathered(&mut self, site: &mut Site, task: usize, wish: &Evidence) -> Result<String, End> {
        let run = &self.shared.run;
        let host = &run.plan.hosts[site.host];
        let root = run.settings.evidence.clone().ok_or_else(|| Fault::new("there is no place for evidence"))?;
        let key = wish.key.clone().or_else(|| host.connection.private_key.clone()).or_else(|| run.settings.key.clone());
        if key.is_none() && !wish.unsigned {
            let fault = Fault::new("nobody is there to sign the evidence");
            return Err(fault.hint("say `key:`, or `unsigned: true`").into());
        }
        let manifest = Manifest {
            evidence: 1,
            steadfast: env!("CARGO_PKG_VERSION").into(),
            run: run.id.clone(),
            host: host.name.clone(),
            address: host.connection.address.clone(),
            who: run.settings.who.clone(),
            began: now(),
            ended: 0,
            items: vec![],
        };
        let mut bundle = Bundle::begin(&root, manifest)?;
        let line = site.line(task).await?;
        let first = odd();
        let said = take(&line, &mut bundle, &first).await?;
        for grab in grabs(&said) {
            take(&line, &mut bundle, &grab).await?;
        }
        let dir = bundle.dir.clone();
        let key: Option<PathBuf> = key.filter(|_| !wish.unsigned);
        let sealed = tokio::task::spawn_blocking(move || bundle.seal(now(), key.as_deref())).await;
        let (manifest, digest) =
            sealed.map_err(|error| Fault::new("cannot seal the evidence").why(error.to_string()))??;
        let bytes: u64 = manifest.items.iter().map(|item| item.bytes).sum();
        let cut = manifest.items.iter().filter(|item| item.cut).count();
        let cut = if cut > 0 { format!(", {cut} cut") } else { String::new() };
        Ok(format!(
            "manifest SHA-256 {digest}: {} items{cut}, {bytes} bytes in {}",
            manifest.items.len(),
            dir.display()
        ))
    }
}

/// Takes one thing; gives its beginning.
async fn take(line: &Arc<dyn Target>, bundle: &mut Bundle, grab: &Grab) -> Result<Vec<u8>, End> {
    let mut piece = bundle.piece(&grab.name, &grab.what, now())?;
    let (mut from, mut code, mut cut, mut first) = (0, 0, false, Vec::new());
    while let Some(script) = grab.script(from) {
        let reply = line.grab(script).await?;
        let bytes = reply.out.len() as u64;
        piece.take(&reply.out)?;
        code = reply.code;
        cut = reply.timed_out || reply.out_full > bytes;
        from += bytes;
        if first.is_empty() {
            first = reply.out;
        }
        if !grab.goes_on(bytes) {
            cut |= bytes >= crate::fact::evidence::PIECE;
            break;
        }
        if from >= MOST {
            cut = true;
            break;
        }
    }
    bundle.done(piece, code, cut)?;
    Ok(first)
}
