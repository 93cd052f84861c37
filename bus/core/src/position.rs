//! Where one consumer stands, for the drivers that keep it themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A consumer's position: what it has not read, and what it was handed and has not settled.
///
/// Its size is bounded by the unsettled deliveries, however far the consumer is behind.
#[derive(Clone, Debug)]
pub struct Position {
    /// Not read yet, start -> end, disjoint; the last one has no end (`u64::MAX`).
    unread: BTreeMap<u64, u64>,
    handed: BTreeMap<u64, Handed>,
    due: BTreeSet<(Timestamp, u64)>,
    /// An earlier process handed out nothing at or above this.
    handed_before: u64,
    high_water: u64,
}

#[derive(Clone, Copy, Debug)]
struct Handed {
    due: Timestamp,
    published_at: Timestamp,
    deliveries: u32,
    holder: u64,
}

impl Position {
    /// Everything from `sequence` on is unread.
    pub fn starting_at(sequence: u64) -> Self {
        Self::restored(std::iter::once(sequence..u64::MAX), 0)
    }

    /// The position that [`Position::unsettled`] described. What lies below `high_water` was perhaps handed out before,
    /// so its next delivery counts as the second.
    pub fn restored(unsettled: impl IntoIterator<Item = Range<u64>>, high_water: u64) -> Self {
        let mut unread: BTreeMap<u64, u64> = BTreeMap::new();
        for range in unsettled.into_iter().filter(|range| !range.is_empty()) {
            unread.insert(range.start, range.end);
        }
        if unread.last_key_value().is_none_or(|(_, end)| *end != u64::MAX) {
            let end = unread.last_key_value().map_or(0, |(_, end)| *end);
            unread.insert(end.max(high_water), u64::MAX);
        }
        Self { unread, handed: BTreeMap::new(), due: BTreeSet::new(), handed_before: high_water, high_water }
    }

    /// All that is not settled, as ranges in order; the last one has no end.
    pub fn unsettled(&self) -> Vec<Range<u64>> {
        let unread = self.unread.iter().map(|(start, end)| *start..*end);
        let mut all: Vec<_> =
            unread.chain(self.handed.keys().map(|sequence| *sequence..*sequence + 1)).collect();
        all.sort_unstable_by_key(|range| range.start);
        all
    }

    /// What of it the bus has, which is `stored`.
    pub fn unsettled_within(&self, stored: Range<u64>) -> Vec<Range<u64>> {
        let within = |range: Range<u64>| range.start.max(stored.start)..range.end.min(stored.end);
        self.unsettled().into_iter().map(within).filter(|range| !range.is_empty()).collect()
    }

    /// Nothing at or above this was ever handed out.
    pub fn high_water(&self) -> u64 {
        self.high_water
    }

    /// Raises the mark of what an earlier process handed out; for recovery.
    pub fn handed_out_before(&mut self, high_water: u64) {
        self.handed_before = self.handed_before.max(high_water);
        self.high_water = self.high_water.max(high_water);
    }

    /// The lowest sequence that is not settled: what lies below is not needed any more.
    pub fn floor(&self) -> u64 {
        let handed = self.handed.first_key_value().map_or(u64::MAX, |(sequence, _)| *sequence);
        self.next_unread().min(handed)
    }

    /// The lowest sequence that is not read.
    pub fn next_unread(&self) -> u64 {
        self.unread.first_key_value().map_or(u64::MAX, |(start, _)| *start)
    }

    pub fn is_unread(&self, sequence: u64) -> bool {
        self.unread.range(..=sequence).next_back().is_some_and(|(_, end)| sequence < *end)
    }

    /// Nothing below `sequence` is wanted any more, apart from what is handed out.
    pub fn pass(&mut self, sequence: u64) {
        while let Some((&start, &end)) = self.unread.first_key_value() {
            if start >= sequence {
                return;
            }
            self.unread.remove(&start);
            if end > sequence {
                self.unread.insert(sequence, end);
            }
        }
    }

    /// Hands out an unread sequence to a subscriber; what is unread below it is passed. Gives the delivery count.
    pub fn hand_out(&mut self, sequence: u64, published_at: Timestamp, due: Timestamp, holder: u64) -> u32 {
        self.pass(sequence.saturating_add(1));
        self.high_water = self.high_water.max(sequence.saturating_add(1));
        let deliveries = if sequence < self.handed_before { 2 } else { 1 };
        self.handed.insert(sequence, Handed { due, published_at, deliveries, holder });
        self.due.insert((due, sequence));
        deliveries
    }

    /// The delivery that has been due again for longest.
    pub fn overdue(&self, now: Timestamp) -> Option<u64> {
        self.due.first().filter(|(due, _)| *due <= now).map(|(_, sequence)| *sequence)
    }

    /// Hands out a delivery again. Gives the delivery count; `None` when it is settled.
    pub fn hand_out_again(&mut self, sequence: u64, due: Timestamp, holder: u64) -> Option<u32> {
        self.postpone(sequence, due);
        let handed = self.handed.get_mut(&sequence)?;
        handed.holder = holder;
        handed.deliveries = handed.deliveries.saturating_add(1);
        Some(handed.deliveries)
    }

    /// Moves the moment at which a delivery is handed out again: nak and progress.
    pub fn postpone(&mut self, sequence: u64, due: Timestamp) {
        if let Some(handed) = self.handed.get_mut(&sequence) {
            self.due.remove(&(handed.due, sequence));
            handed.due = due;
            self.due.insert((due, sequence));
        }
    }

    /// The subscriber is gone: what it has not settled is due again.
    pub fn take_back(&mut self, holder: u64, now: Timestamp) {
        let held = self.handed.iter().filter(|(_, handed)| handed.holder == holder);
        let held: Vec<u64> = held.map(|(sequence, _)| *sequence).collect();
        for sequence in held {
            self.postpone(sequence, now);
        }
    }

    /// When the next delivery is due again.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The sequence is done with, whether it was handed out or not.
    pub fn settle(&mut self, sequence: u64) {
        if let Some(handed) = self.handed.remove(&sequence) {
            self.due.remove(&(handed.due, sequence));
            return;
        }
        let Some((&start, &end)) = self.unread.range(..=sequence).next_back() else { return };
        if sequence >= end {
            return;
        }
        self.unread.remove(&start);
        if start < sequence {
            self.unread.insert(start, sequence);
        }
        if sequence + 1 < end {
            self.unread.insert(sequence + 1, end);
        }
    }

    /// The bus does not have anything below `first` any more.
    pub fn forget_below(&mut self, first: u64) {
        self.pass(first);
        let gone: Vec<u64> = self.handed.range(..first).map(|(sequence, _)| *sequence).collect();
        for sequence in gone {
            self.settle(sequence);
        }
    }

    /// Handed out and not settled.
    pub fn in_flight(&self) -> usize {
        self.handed.len()
    }

    /// Sequences below `end` that are not settled.
    pub fn lag(&self, end: u64) -> u64 {
        let unread: u64 =
            self.unread.iter().map(|(start, stop)| (*stop).min(end).saturating_sub(*start)).sum();
        unread.saturating_add(u64::try_from(self.handed.len()).unwrap_or(u64::MAX))
    }

    /// When the oldest delivery that is handed out and not settled was published.
    pub fn oldest_handed(&self) -> Option<(u64, Timestamp)> {
        self.handed.first_key_value().map(|(sequence, handed)| (*sequence, handed.published_at))
    }
}

/// `at + by`, or the end of time.
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_floor_is_the_oldest_unsettled_whatever_the_order_of_settling() {
        let mut position = Position::starting_at(5);
        for sequence in 5..9 {
            assert_eq!(position.hand_out(sequence, at(0), at(30), 1), 1);
        }
        position.settle(7);
        position.settle(5);
        assert_eq!(position.floor(), 6);
        position.settle(6);
        position.settle(8);
        assert_eq!((position.floor(), position.in_flight()), (9, 0));
    }

    #[test]
    fn a_restored_position_hands_out_only_what_was_not_settled_and_counts_it_as_again() {
        let mut position = Position::starting_at(1);
        for sequence in 1..5 {
            position.hand_out(sequence, at(0), at(30), 1);
        }
        position.settle(2);
        let mut restored = Position::restored(position.unsettled(), position.high_water());
        let unread: Vec<u64> = (0..7).filter(|sequence| restored.is_unread(*sequence)).collect();
        assert_eq!(unread, [1, 3, 4, 5, 6]);
        assert_eq!(restored.hand_out(1, at(0), at(30), 1), 2);
        assert_eq!(restored.hand_out(3, at(0), at(30), 1), 2);
        assert_eq!(restored.hand_out(5, at(0), at(30), 1), 1);
    }

    #[test]
    fn settling_an_unread_sequence_leaves_its_neighbours() {
        let mut position = Position::starting_at(1);
        position.settle(3);
        assert_eq!(position.unsettled(), [1..3, 4..u64::MAX]);
        position.pass(4);
        assert_eq!(position.unsettled(), vec![4..u64::MAX]);
    }

    #[test]
    fn a_delivery_is_due_when_its_deadline_has_come_and_not_before() {
        let mut position = Position::starting_at(1);
        position.hand_out(1, at(0), at(30), 1);
        assert_eq!(position.overdue(at(29)), None);
        assert_eq!(position.overdue(at(30)), Some(1));
        position.postpone(1, at(50));
        assert_eq!((position.overdue(at(49)), position.next_due()), (None, Some(at(50))));
        assert_eq!(position.hand_out_again(1, at(80), 1), Some(2));
    }

    #[test]
    fn what_one_subscriber_held_is_taken_back_and_what_another_holds_is_not() {
        let mut position = Position::starting_at(1);
        position.hand_out(1, at(0), at(30), 1);
        position.hand_out(2, at(0), at(30), 2);
        position.take_back(1, at(5));
        assert_eq!(position.overdue(at(5)), Some(1));
        position.hand_out_again(1, at(35), 2);
        assert_eq!(position.overdue(at(29)), None);
    }

    #[test]
    fn lag_counts_the_unread_and_the_unsettled() {
        let mut position = Position::starting_at(1);
        position.hand_out(1, at(0), at(30), 1);
        position.hand_out(2, at(0), at(30), 1);
        position.settle(1);
        assert_eq!(position.lag(11), 1 + 8);
    }
}
