//! Events that wait for each other: one set for each value of `correlate`, one set in all without it (S16).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use zetes_api::{DependencyName, Event, EventRef};

/// Sets that may be open at a time; beyond that the oldest one expires.
const MAX_OPEN: usize = 250_000;
/// Events of one set under `keep: all`; beyond that the oldest one of the same dependency expires.
pub(super) const MAX_KEPT: usize = 10_000;

/// All sets that are not complete.
#[derive(Debug, Default)]
pub(super) struct Partials {
    sets: BTreeMap<Arc<str>, Partial>,
    /// When each set was opened.
    ages: BTreeSet<(Timestamp, Arc<str>)>,
    events: usize,
}

/// One set that is not complete: never empty.
#[derive(Debug)]
pub(super) struct Partial {
    held: Vec<Held>,
    opened_at: Timestamp,
}

/// An event that waits.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) dependency: DependencyName,
    pub(super) event: Arc<Event>,
    pub(super) accepted_at: Timestamp,
    /// It has a stored piece, which is to be forgotten when it leaves.
    pub(super) is_stored: bool,
}

impl Partials {
    pub(super) fn len(&self) -> usize {
        self.events
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events == 0
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &Held> {
        self.sets.values().flat_map(|set| &set.held)
    }

    pub(super) fn set(&self, correlation: &str) -> Option<&Partial> {
        self.sets.get(correlation)
    }

    pub(super) fn correlations(&self) -> Vec<Arc<str>> {
        self.sets.keys().cloned().collect()
    }

    pub(super) fn put(&mut self, correlation: &Arc<str>, held: Held) {
        self.events += 1;
        if let Some(set) = self.sets.get_mut(correlation) {
            set.held.push(held);
            return;
        }
        let opened_at = held.accepted_at;
        self.ages.insert((opened_at, correlation.clone()));
        self.sets.insert(correlation.clone(), Partial { held: vec![held], opened_at });
    }

    /// Takes out what `wanted` asks for, in order of arrival. What stays began to wait with its own first event.
    pub(super) fn take(&mut self, correlation: &str, mut wanted: impl FnMut(&Held) -> bool) -> Vec<Held> {
        let Some((key, set)) = self
            .sets
            .get_key_value(correlation)
            .map(|(key, _)| key.clone())
            .zip(self.sets.get_mut(correlation))
        else {
            return Vec::new();
        };
        let taken: Vec<Held> = set.held.extract_if(.., |held| wanted(held)).collect();
        if taken.is_empty() {
            return taken;
        }
        self.events -= taken.len();
        self.ages.remove(&(set.opened_at, key.clone()));
        match set.held.iter().map(|held| held.accepted_at).min() {
            None => drop(self.sets.remove(&key)),
            Some(opened_at) => {
                set.opened_at = opened_at;
                self.ages.insert((opened_at, key));
            }
        }
        taken
    }

    pub(super) fn mark_stored(&mut self, correlation: &str, dependency: &DependencyName) -> Vec<Held> {
        let Some(set) = self.sets.get_mut(correlation) else { return Vec::new() };
        let mut marked = Vec::new();
        for held in set.held.iter_mut().filter(|held| held.dependency == *dependency && !held.is_stored) {
            held.is_stored = true;
            // A clone is the bytes alone: what was made of them to look inside is several times as large.
            held.event = Arc::new(Event::clone(&held.event));
            marked.push(held.clone());
        }
        marked
    }

    /// The oldest set, if it was opened so long ago or there are too many.
    pub(super) fn overdue(
        &self,
        now: Timestamp,
        window: Option<SignedDuration>,
    ) -> Option<(Arc<str>, &'static str)> {
        let (opened_at, key) = self.ages.first()?;
        if self.sets.len() > MAX_OPEN {
            return Some((key.clone(), "too-many-open"));
        }
        let due = opened_at.checked_add(window?).ok()?;
        (due <= now).then(|| (key.clone(), "window"))
    }

    /// When the oldest set was opened.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.ages.first().map(|(opened_at, _)| *opened_at)
    }
}

impl Partial {
    pub(super) fn present(&self) -> BTreeSet<DependencyName> {
        self.held.iter().map(|held| held.dependency.clone()).collect()
    }

    pub(super) fn count(&self, dependency: &DependencyName) -> usize {
        self.held.iter().filter(|held| held.dependency == *dependency).count()
    }

    pub(super) fn knows(&self, dependency: &DependencyName, event: &EventRef) -> bool {
        self.held.iter().any(|held| held.dependency == *dependency && held.event.to_ref() == *event)
    }
}
