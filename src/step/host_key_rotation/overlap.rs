//! The time in which the old keys are shown, and the new one is offered beside them so that others learn it.

use super::{GOES, HostKeyRotation, KEY, Scene};
use crate::fact::{Facts, HostKey, KeyEvent, Known};
use crate::moment::{day, length};
use crate::step::{Row, Val};

impl HostKeyRotation {
    /// That a file of an old key goes.
    pub(super) fn goes(&self, path: &str) -> Row {
        let wanted = self.overlap.as_ref().map_or(Val::Absent, |overlap| Val::text(format!("absent after {overlap}")));
        Row::new(path, GOES, "present", wanted)
    }

    /// Until when the old keys are shown, where that is not over: all that must be before is done.
    pub(super) fn overlaps(&self, scene: &Scene<'_>, known: &Known, key: &HostKey) -> Option<u64> {
        let until = known.made.unwrap_or(key.made).saturating_add(length(self.overlap.as_deref()?)?);
        let beside = scene.shown.iter().skip(1).any(|path| *path == key.path) && scene.is_known(&key.public);
        (beside && known.word == KeyEvent::Adding && scene.ring.now < until).then_some(until)
    }

    /// That it is this time, and until when.
    pub(super) fn told(&self, found: &Facts) -> Vec<Row> {
        let Ok(scene) = Scene::of(found) else { return vec![] };
        let pending = scene.ring.pending().and_then(|known| Some((known, scene.there(known)?)));
        let until = pending.and_then(|(known, key)| Some((key, self.overlaps(&scene, known, key)?)));
        let row = |(key, until): (&HostKey, u64)| {
            Row::new(KEY, "overlap", format!("the old ones are shown, and {} beside them", key.public.fingerprint()), format!("it alone from {}", day(until)))
        };
        until.map(row).into_iter().collect()
    }
}
