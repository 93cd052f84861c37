//! A position as Kafka keeps it: the committed offset is the lowest that is not settled, and the commit's metadata says what
//! above it is settled already, and how far deliveries had gone.

use std::fmt::Write as _;
use std::ops::Range;

use bus_core::Position;

/// Brokers take 4096 bytes unless told otherwise.
const LIMIT: usize = 3_000;
const VERSION: &str = "z1";

/// What is committed, by partition.
pub(crate) type Positions = Vec<(i32, Committed)>;

/// What is committed for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) floor: u64,
    pub(crate) metadata: String,
}

impl Committed {
    /// What does not fit is left out: then it is handed out again after a restart.
    pub(crate) fn of(position: &Position) -> Self {
        let unsettled = merged(position.unsettled());
        let floor = unsettled.first().map_or(0, |range| range.start);
        let mut metadata = format!("{VERSION} {}", position.high_water().saturating_sub(floor));
        let mut end = floor;
        for range in &unsettled {
            if metadata.len() >= LIMIT {
                break;
            }
            // Settled before it, unsettled in it; the last one is open.
            let _infallible = write!(metadata, " {}", range.start - end).is_ok();
            if range.end != u64::MAX {
                let _infallible = write!(metadata, " {}", range.end - range.start).is_ok();
            }
            end = range.end;
        }
        if metadata.len() >= LIMIT
            && let Some(cut) = metadata.rfind(' ')
            && unsettled.last().is_some_and(|last| last.end != end)
        {
            // An even count of numbers would end the last range: without its length it is open.
            metadata.truncate(cut);
        }
        Self { floor, metadata }
    }

    pub(crate) fn position(&self) -> Position {
        let Some((high_water, ranges)) = self.parse() else { return Position::starting_at(self.floor) };
        Position::restored(ranges, high_water)
    }

    /// Offsets below `end` that are not settled.
    pub(crate) fn lag(&self, end: u64) -> u64 {
        self.position().lag(end)
    }

    fn parse(&self) -> Option<(u64, Vec<Range<u64>>)> {
        let mut numbers = self.metadata.strip_prefix(VERSION)?.split_ascii_whitespace();
        let high_water = self.floor.checked_add(numbers.next()?.parse().ok()?)?;
        let mut ranges = Vec::new();
        let mut at = self.floor;
        while let Some(settled) = numbers.next() {
            let start = at.checked_add(settled.parse().ok()?)?;
            at = match numbers.next() {
                Some(length) => start.checked_add(length.parse().ok()?)?,
                None => u64::MAX,
            };
            ranges.push(start..at);
        }
        Some((high_water, ranges))
    }
}

/// Ranges that touch are one.
fn merged(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn handed_out(count: u64) -> Position {
        let mut position = Position::starting_at(10);
        for offset in 10..10 + count {
            position.hand_out(offset, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, 1);
        }
        position
    }

    #[test]
    fn a_position_comes_back_as_it_was_committed() {
        let mut position = handed_out(9);
        for settled in [10, 12, 13, 17] {
            position.settle(settled);
        }
        let committed = Committed::of(&position);
        assert_eq!(committed, Committed { floor: 11, metadata: "z1 8 0 1 2 3 1".to_owned() });
        assert_eq!(committed.position().unsettled(), [11..12, 14..17, 18..u64::MAX]);
        assert_eq!(committed.position().high_water(), 19);
        assert_eq!(committed.lag(20), 1 + 3 + 2);
    }

    #[test]
    fn what_others_wrote_there_is_only_an_offset() {
        for metadata in ["", "{\"trigger\":7}", "z1", "z1 x", "z1 1 18446744073709551615 1"] {
            let committed = Committed { floor: 7, metadata: metadata.to_owned() };
            assert_eq!(committed.position().unsettled(), vec![7..u64::MAX], "{metadata}");
        }
    }

    #[test]
    fn what_does_not_fit_is_unsettled_and_what_fits_is_kept() {
        let mut position = handed_out(20_000);
        for settled in (11..20_010).step_by(2) {
            position.settle(settled);
        }
        let committed = Committed::of(&position);
        assert!(committed.metadata.len() <= LIMIT + 24, "{}", committed.metadata.len());
        let restored = committed.position();
        assert!(!restored.is_unread(11) && restored.is_unread(12) && restored.is_unread(20_009));
        assert_eq!(restored.high_water(), 20_010);
    }
}
