//! Which events were seen within the duplicate window (S22), for the drivers that keep it themselves.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use zetes_api::{Event, Namespace};

/// A window is forgotten in so many steps.
const STEPS: i64 = 16;

/// An event's identity as 128 bits: (namespace, source, event, id). The same in every build, so that a driver can write it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub u128);

impl Identity {
    pub fn of(namespace: &Namespace, event: &Event) -> Self {
        let mut digest = Sha256::new();
        for part in [namespace.as_str(), event.source.as_str(), event.subject.as_str(), event.id.as_str()] {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            digest.update(part);
        }
        let digest = digest.finalize();
        Self(digest.first_chunk().map_or(0, |first: &[u8; 16]| u128::from_le_bytes(*first)))
    }
}

/// Identities seen within the window; about 64 bytes each.
#[derive(Debug)]
pub struct Duplicates {
    window: SignedDuration,
    seen: BTreeMap<Identity, Seen>,
    /// In order of time, so that forgetting does not search.
    steps: VecDeque<(Timestamp, Vec<Identity>)>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    sequence: u64,
    at: Timestamp,
}

impl Duplicates {
    pub fn new(window: Duration) -> Self {
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        Self { window, seen: BTreeMap::new(), steps: VecDeque::new() }
    }

    /// Where the same event stands that was published within the window before `now`.
    pub fn find(&self, identity: Identity, now: Timestamp) -> Option<u64> {
        self.seen.get(&identity).filter(|seen| self.is_within(seen.at, now)).map(|seen| seen.sequence)
    }

    pub fn insert(&mut self, identity: Identity, sequence: u64, at: Timestamp) {
        self.seen.insert(identity, Seen { sequence, at });
        let length = self.step();
        match self.steps.back_mut() {
            Some((begin, step)) if at.duration_since(*begin) < length => step.push(identity),
            _ => self.steps.push_back((at, vec![identity])),
        }
    }

    /// Forgets what lies before the window.
    pub fn forget(&mut self, now: Timestamp) {
        while let Some((begin, _)) = self.steps.front() {
            if now.duration_since(*begin) <= self.window.saturating_add(self.step()) {
                return;
            }
            let step = self.steps.pop_front().map(|(_, step)| step).unwrap_or_default();
            for identity in step {
                // A later event of the same identity has its own, later step.
                if self.seen.get(&identity).is_some_and(|seen| !self.is_within(seen.at, now)) {
                    self.seen.remove(&identity);
                }
            }
        }
    }

    fn is_within(&self, at: Timestamp, now: Timestamp) -> bool {
        now.duration_since(at) < self.window
    }

    fn step(&self) -> SignedDuration {
        SignedDuration::from_millis(i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX) / STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_identity_is_found_within_the_window_and_forgotten_after_it() {
        let mut duplicates = Duplicates::new(Duration::from_mins(1));
        duplicates.insert(Identity(1), 7, at(0));
        assert_eq!(duplicates.find(Identity(1), at(59)), Some(7));
        assert_eq!(duplicates.find(Identity(2), at(59)), None);
        assert_eq!(duplicates.find(Identity(1), at(60)), None);
        duplicates.forget(at(64));
        assert!(duplicates.seen.is_empty(), "{:?}", duplicates.seen);
    }

    #[test]
    fn forgetting_an_old_step_keeps_the_same_identity_seen_anew() {
        let mut duplicates = Duplicates::new(Duration::from_mins(1));
        duplicates.insert(Identity(1), 1, at(0));
        duplicates.insert(Identity(1), 2, at(61));
        duplicates.forget(at(70));
        assert_eq!(duplicates.find(Identity(1), at(70)), Some(2));
        duplicates.forget(at(200));
        assert!(duplicates.seen.is_empty());
    }
}
