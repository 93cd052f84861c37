//! What the state topic says, in memory.
//!
//! A record may carry the revision it expects to replace. Everybody who reads the topic applies the same rule in the same order, so
//! that all agree which of two writers won. Compaction keeps the last record of a key only, which may be one that lost: so who
//! lost writes what is valid again, with its revision in a header.

use std::collections::{BTreeMap, BTreeSet};

use bus_core::{Revision, StateEntry, StateKey};
use bytes::Bytes;

use crate::topics::COMPACTION_LAG_MS;

/// Deleted keys are remembered for as long as the topic keeps their tombstones for sure, and never more of them.
const GRAVES: usize = 65_536;
/// Lost records whose writers may still ask.
const LOST: usize = 65_536;

/// A record of the state topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) key: StateKey,
    pub(crate) value: Option<Bytes>,
    pub(crate) condition: Condition,
}

/// When a record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    /// Only over this revision, or where nothing is.
    Expects(Option<Revision>),
    /// What was valid at this revision, written again.
    Again(Revision),
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: BTreeMap<StateKey, StateEntry>,
    /// Offset and time of tombstones.
    graves: BTreeMap<StateKey, (u64, i64)>,
    graves_in_order: BTreeSet<(u64, StateKey)>,
    lost: BTreeSet<u64>,
    /// Keys whose last record lost: their writers write what is valid again, or the next process does.
    stale: BTreeMap<StateKey, u64>,
}

impl Table {
    /// Takes in the next record of the topic.
    pub(crate) fn apply(&mut self, offset: u64, at_ms: i64, written: Written) {
        self.forget_graves(at_ms);
        let Written { key, value, condition } = written;
        let found = self.entries.get(&key).map(|entry| entry.revision);
        let counts = match condition {
            Condition::Always => true,
            Condition::Expects(expected) => expected == found,
            Condition::Again(revision) => match found {
                Some(found) => found == revision,
                None => !self.graves.contains_key(&key),
            },
        };
        if !counts {
            self.lost.insert(offset);
            while self.lost.len() > LOST {
                self.lost.pop_first();
            }
            self.stale.insert(key, offset);
            return;
        }
        self.stale.remove(&key);
        self.unbury(&key);
        let Some(value) = value else {
            self.entries.remove(&key);
            self.graves.insert(key.clone(), (offset, at_ms));
            self.graves_in_order.insert((offset, key));
            return;
        };
        let revision = match condition {
            Condition::Again(revision) => revision,
            Condition::Always | Condition::Expects(_) => Revision(offset + 1),
        };
        self.entries.insert(key, StateEntry { value, revision });
    }

    pub(crate) fn get(&self, key: &StateKey) -> Option<&StateEntry> {
        self.entries.get(key)
    }

    pub(crate) fn list(&self, bucket: &str, prefix: &str) -> Vec<(StateKey, StateEntry)> {
        let from = self.entries.range(StateKey::new(bucket, prefix)..);
        let ours = from.take_while(|(key, _)| key.bucket == bucket && key.key.starts_with(prefix));
        ours.map(|(key, entry)| (key.clone(), entry.clone())).collect()
    }

    pub(crate) fn buckets(&self) -> Vec<String> {
        let buckets: BTreeSet<_> = self.entries.keys().map(|key| key.bucket.as_str()).collect();
        buckets.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn has_lost(&self, offset: u64) -> bool {
        self.lost.contains(&offset)
    }

    /// What must be written so that the last record of the key is the valid one; `None` when it is.
    pub(crate) fn repair(&self, key: &StateKey) -> Option<Written> {
        self.stale.get(key)?;
        let (value, condition) = match self.entries.get(key) {
            Some(entry) => (Some(entry.value.clone()), Condition::Again(entry.revision)),
            None => (None, Condition::Expects(None)),
        };
        Some(Written { key: key.clone(), value, condition })
    }

    pub(crate) fn stale(&self) -> Vec<StateKey> {
        self.stale.keys().cloned().collect()
    }

    fn unbury(&mut self, key: &StateKey) {
        if let Some((offset, _)) = self.graves.remove(key) {
            self.graves_in_order.remove(&(offset, key.clone()));
        }
    }

    fn forget_graves(&mut self, now_ms: i64) {
        while let Some((offset, key)) = self.graves_in_order.first().cloned() {
            let old = self.graves.get(&key).is_none_or(|(_, at)| now_ms - at > COMPACTION_LAG_MS);
            if !old && self.graves.len() <= GRAVES {
                return;
            }
            self.graves_in_order.remove(&(offset, key.clone()));
            self.graves.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: Option<&'static str>, condition: Condition) -> Written {
        Written { key: StateKey::new("b", "k"), value: value.map(Bytes::from), condition }
    }

    /// The table after these records, as from compaction too: `from` of them are gone.
    fn table(records: &[(u64, Written)]) -> Table {
        let mut table = Table::default();
        for (offset, written) in records {
            table.apply(*offset, 0, written.clone());
        }
        table
    }

    fn value(table: &Table) -> Option<(Bytes, u64)> {
        table.get(&StateKey::new("b", "k")).map(|entry| (entry.value.clone(), entry.revision.0))
    }

    #[test]
    fn of_two_that_expect_the_same_the_first_in_the_topic_wins() {
        let one = written(Some("one"), Condition::Expects(None));
        let two = written(Some("two"), Condition::Expects(None));
        let table = table(&[(4, one), (5, two)]);
        assert_eq!(value(&table), Some(("one".into(), 5)));
        assert!(table.has_lost(5) && !table.has_lost(4));
    }

    #[test]
    fn what_was_written_again_is_the_same_entry_with_and_without_what_compaction_removed() {
        let won = (4, written(Some("won"), Condition::Always));
        let lost = (5, written(Some("lost"), Condition::Expects(None)));
        let before = table(&[won.clone(), lost.clone()]);
        let repair = (6, before.repair(&StateKey::new("b", "k")).expect("the last record lost"));
        let whole = table(&[won, lost, repair.clone()]);
        assert_eq!(value(&whole), Some(("won".into(), 5)));
        assert_eq!(value(&table(&[repair])), value(&whole));
        assert!(whole.stale().is_empty());
    }

    #[test]
    fn a_late_repair_brings_back_neither_an_old_value_nor_a_deleted_key() {
        let late = (9, written(Some("old"), Condition::Again(Revision(5))));
        let newer = (7, written(Some("new"), Condition::Always));
        let deleted = (7, written(None, Condition::Always));
        assert_eq!(value(&table(&[newer.clone(), late.clone()])), Some(("new".into(), 8)));
        let table_deleted = table(&[deleted, late.clone()]);
        assert_eq!(value(&table_deleted), None);
        // And who wrote it sees that the last record must be made right.
        let again = table_deleted.repair(&StateKey::new("b", "k")).expect("the last record lost");
        assert_eq!((again.value, again.condition), (None, Condition::Expects(None)));
        let again = table(&[newer, late]).repair(&StateKey::new("b", "k")).expect("the last record lost");
        assert_eq!(again.condition, Condition::Again(Revision(8)));
    }
}
