//! How far every consumer of the bus is, in whichever process it is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bus_core::{BusError, ConsumerName};
use connection_kafka::{About, Context};
use jiff::Timestamp;
use rdkafka::consumer::BaseConsumer;

use crate::committed::Committed;
use crate::desk::{self, Watermarks, blocking};
use crate::groups::committed;
use crate::layout::sequence;
use crate::reader::Common;
use crate::room::{Readers, watermarks};

pub(crate) struct Standings {
    pub(crate) marks: Watermarks,
    pub(crate) consumers: BTreeMap<ConsumerName, Standing>,
}

#[derive(Default)]
pub(crate) struct Standing {
    pub(crate) lag: u64,
    pub(crate) in_flight: u64,
    /// As far as this process has read it.
    pub(crate) oldest: Option<Timestamp>,
    /// The lowest offset of each partition that is not settled.
    pub(crate) floors: BTreeMap<i32, u64>,
}

impl Standings {
    /// Everything below it is settled by everybody; the partition's end where there is nobody.
    pub(crate) fn floor(&self, partition: i32) -> u64 {
        let high = self.marks.get(&partition).map_or(0, |(_, high)| *high);
        let floors = self.consumers.values().filter_map(|standing| standing.floors.get(&partition));
        floors.copied().min().unwrap_or(high).min(high)
    }

    pub(crate) fn full(&self) -> BusError {
        let slowest = self.consumers.iter().max_by_key(|(_, standing)| standing.lag);
        BusError::Full(match slowest {
            Some((name, standing)) => {
                format!("consumer {name} is slowest, {} behind", standing.lag)
            }
            None => "the batch is over the bus's limits".to_owned(),
        })
    }
}

/// Asks the brokers for the groups of this bus, and each group for what it has committed: one client for each group that has no
/// member here, some milliseconds each.
pub(crate) async fn standings(common: &Arc<Common>, readers: Readers<'_>) -> Result<Standings, BusError> {
    let marks = watermarks(common).await?;
    let asked = common.clone();
    let groups = blocking(move || groups(&asked)).await??;
    let mut consumers = BTreeMap::new();
    for (group, name) in groups {
        let asked = common.clone();
        let committed = blocking(move || committed_by(&asked, &group)).await??;
        let mut standing = Standing::default();
        for (partition, (low, high)) in &marks {
            let here = readers
                .get(&name)
                .and_then(|reader| reader.with_inbox(|inbox| inbox.standing(*partition, *high)));
            if let Some(here) = here {
                standing.lag += here.lag;
                standing.in_flight += here.in_flight;
                standing.oldest = standing.oldest.into_iter().chain(here.oldest).min();
                standing.floors.insert(*partition, here.floor.max(*low));
                continue;
            }
            let committed = committed.get(partition);
            standing.lag += committed.map_or(high - low, |committed| lag(committed, *low, *high));
            standing.floors.insert(*partition, committed.map_or(*low, |committed| committed.floor.max(*low)));
        }
        consumers.insert(name, standing);
    }
    Ok(Standings { marks, consumers })
}

fn lag(committed: &Committed, low: u64, high: u64) -> u64 {
    let deleted = low.saturating_sub(committed.floor);
    committed.lag(high).saturating_sub(deleted)
}

fn groups(common: &Common) -> Result<Vec<(String, ConsumerName)>, BusError> {
    let all = common.desk.groups().map_err(|error| common.desk.unavailable(&error, &About::Cluster))?;
    let ours = all.into_iter().filter_map(|group| {
        let name = common.layout.consumer(&group)?;
        Some((group, name))
    });
    Ok(ours.collect())
}

fn committed_by(common: &Common, group: &str) -> Result<BTreeMap<i32, Committed>, BusError> {
    let config = desk::reading_config(common.desk.config(), group);
    let client: BaseConsumer<Context> = desk::client(&config, common.desk.context().clone())?;
    committed(common, &client).map_err(|error| common.desk.unavailable(&error, &About::Group(group)))
}

/// Above so many, ranges reach over what other partitions have settled.
const EXACT: u64 = 65_536;

/// The sequences that a consumer has not settled, in order.
pub(crate) async fn unsettled(
    common: &Arc<Common>,
    readers: Readers<'_>,
    name: &ConsumerName,
) -> Result<Vec<Range<u64>>, BusError> {
    let marks = watermarks(common).await?;
    let (asked, group) = (common.clone(), common.layout.group(name));
    let committed = blocking(move || committed_by(&asked, &group)).await??;
    let mut all: Vec<(i32, Range<u64>)> = Vec::new();
    for (partition, (low, high)) in marks {
        let here = readers
            .get(name)
            .and_then(|reader| reader.with_inbox(|inbox| inbox.unsettled(partition, low..high)));
        let committed = || Some(committed.get(&partition)?.position().unsettled_within(low..high));
        let ranges = here.or_else(committed).unwrap_or_default();
        all.extend(ranges.into_iter().map(|range| (partition, range)));
    }
    Ok(sequences(&all))
}

/// Offsets that follow each other in a partition are no neighbours as sequences.
fn sequences(all: &[(i32, Range<u64>)]) -> Vec<Range<u64>> {
    let at = |partition: i32, offset: u64| sequence(partition, i64::try_from(offset).unwrap_or(i64::MAX));
    let count: u64 = all.iter().map(|(_, range)| range.end - range.start).sum();
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for (partition, range) in all {
        if count <= EXACT {
            ranges.extend(range.clone().map(|offset| at(*partition, offset)..at(*partition, offset) + 1));
        } else {
            ranges.push(at(*partition, range.start)..at(*partition, range.end - 1) + 1);
        }
    }
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_told_one_by_one_and_many_as_ranges_that_reach_over_others() {
        assert_eq!(sequences(&[(1, 2..4), (0, 3..4)]), [2049..2050, 3072..3074]);
        assert_eq!(
            sequences(&[(0, 0..EXACT), (5, 9..10)]),
            [Range { start: 0, end: (EXACT - 1) * 1024 + 1 }]
        );
    }
}
