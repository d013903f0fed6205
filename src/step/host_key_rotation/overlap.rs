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

    /// The new key and until when others are shown beside it, where that is not over.
    fn beside<'a>(&self, scene: &'a Scene<'_>) -> Option<(&'a HostKey, u64)> {
        let known = scene.ring.pending()?;
        let key = scene.there(known)?;
        Some((key, self.overlaps(scene, known, key)?))
    }

    /// Until when the old keys are trusted, where that is not over.
    pub(super) fn until(&self, found: &Facts) -> Option<u64> {
        let scene = Scene::of(found).ok()?;
        self.beside(&scene).map(|(_, until)| until)
    }

    /// That it is this time, and until when.
    pub(super) fn told(&self, found: &Facts) -> Vec<Row> {
        let Ok(scene) = Scene::of(found) else { return vec![] };
        let row = |(key, until): (&HostKey, u64)| {
            let now = format!("the old ones are shown, and {} beside them", key.public.fingerprint());
            Row::new(KEY, "overlap", now, format!("it alone from {}", day(until)))
        };
        self.beside(&scene).map(row).into_iter().collect()
    }
}
