//! Which events the bus has within its duplicate window (S22). Kafka keeps none, so each process does.
//!
//! It is filled from the topic's tail when the bus is opened, by what this process publishes, and by what its consumers read. A
//! copy that another process published in the same moment is stored a second time, and dropped by every reader.

use std::collections::BTreeSet;

use bus_core::{Duplicates, Identity, Retention};
use jiff::{SignedDuration, Timestamp};

#[derive(Debug)]
pub(crate) struct Seen {
    window: SignedDuration,
    duplicates: Duplicates,
    /// On their way to the brokers.
    pending: BTreeSet<Identity>,
}

/// What to do with a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is now pending.
    New,
    Stored(u64),
    /// Somebody else is just storing it: ask again.
    Pending,
}

impl Seen {
    pub(crate) fn new(retention: &Retention) -> Self {
        let window = SignedDuration::try_from(retention.duplicate_window).unwrap_or(SignedDuration::MAX);
        Self { window, duplicates: Duplicates::new(retention.duplicate_window), pending: BTreeSet::new() }
    }

    pub(crate) fn is_new(&self, identity: Identity, now: Timestamp) -> bool {
        self.duplicates.find(identity, now).is_none()
    }

    pub(crate) fn claim(&mut self, identity: Identity, now: Timestamp) -> Known {
        self.duplicates.forget(now);
        match self.duplicates.find(identity, now) {
            Some(sequence) => Known::Stored(sequence),
            None if self.pending.insert(identity) => Known::New,
            None => Known::Pending,
        }
    }

    /// It was not even tried.
    pub(crate) fn disclaim(&mut self, identity: Identity) {
        self.pending.remove(&identity);
    }

    pub(crate) fn written(&mut self, identity: Identity, sequence: Option<u64>, at: Timestamp) {
        self.pending.remove(&identity);
        if let Some(sequence) = sequence {
            self.duplicates.insert(identity, sequence, at);
        }
    }

    /// Takes in a stored event. True for a copy of an earlier one.
    pub(crate) fn is_copy(&mut self, identity: Identity, sequence: u64, at: Timestamp) -> bool {
        match self.duplicates.find(identity, at) {
            Some(first) if first < sequence => true,
            Some(first) if first == sequence => false,
            _ => {
                self.duplicates.insert(identity, sequence, at);
                false
            }
        }
    }

    /// Older events are not kept here: a consumer that is behind looks among what it reads itself.
    pub(crate) fn is_within(&self, at: Timestamp, now: Timestamp) -> bool {
        now.duration_since(at) < self.window
    }

    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.duplicates.forget(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seen() -> Seen {
        Seen::new(&Retention { duplicate_window: Duration::from_mins(1), ..Retention::default() })
    }

    #[test]
    fn an_event_is_claimed_once_until_it_is_known_what_became_of_it() {
        let mut seen = seen();
        assert_eq!(seen.claim(Identity(1), at(0)), Known::New);
        assert_eq!(seen.claim(Identity(1), at(0)), Known::Pending);
        seen.written(Identity(1), None, at(0));
        assert_eq!(seen.claim(Identity(1), at(1)), Known::New);
        seen.written(Identity(1), Some(7), at(1));
        assert_eq!(seen.claim(Identity(1), at(2)), Known::Stored(7));
    }

    #[test]
    fn the_later_of_two_in_the_topic_is_the_copy_whoever_reads_them_first() {
        let mut seen = seen();
        assert!(!seen.is_copy(Identity(1), 10, at(0)));
        assert!(!seen.is_copy(Identity(1), 10, at(0)), "another consumer reads the same");
        assert!(seen.is_copy(Identity(1), 12, at(1)));
        assert!(!seen.is_copy(Identity(1), 99, at(61)), "after the window it is a new one");
    }
}
