//! Retention: how much the topic holds, and who still needs what of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus_core::{BusError, ConsumerName, Retention};
use connection_kafka::About;
use jiff::SignedDuration;
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::desk::{PATIENCE, Watermarks, blocking};
use crate::reader::Common;
use crate::standings::{Standings, standings};

/// Others publish, too: what the topic holds is asked again after so long.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Making room removes this part of the limit at once, so that not every publish must.
const SHARE: u64 = 10;
/// What a record is taken for before any was written.
const FIRST_GUESS: u64 = 1 << 10;

pub(crate) struct Room {
    retention: Retention,
    held: AsyncMutex<Held>,
}

struct Held {
    looked_at: Option<Instant>,
    events: u64,
    /// Bytes of one event, as those were that this process wrote lately.
    event_bytes: u64,
    evicted_unread: u64,
}

impl Room {
    pub(crate) fn new(retention: &Retention) -> Self {
        let held = Held { looked_at: None, events: 0, event_bytes: FIRST_GUESS, evicted_unread: 0 };
        Self { retention: retention.clone(), held: AsyncMutex::new(held) }
    }

    /// Sees to it that so many events fit, removing settled ones where they don't.
    ///
    /// # Errors
    /// [`BusError::Full`] with the slowest consumer.
    pub(crate) async fn take(
        &self,
        common: &Arc<Common>,
        readers: Readers<'_>,
        events: u64,
        bytes: u64,
    ) -> Result<(), BusError> {
        let mut held = self.held.lock().await;
        if let Some(mean) = bytes.checked_div(events) {
            held.event_bytes = (held.event_bytes * 7 + mean) / 8;
        }
        if held.looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            held.look(common).await?;
        }
        if self.excess(&held, events) > 0 {
            held.look(common).await?;
        }
        let excess = self.excess(&held, events);
        if excess > 0 {
            self.make(common, readers, &mut held, excess).await?;
        }
        held.events += events;
        Ok(())
    }

    pub(crate) async fn evicted_unread(&self) -> u64 {
        self.held.lock().await.evicted_unread
    }

    pub(crate) async fn event_bytes(&self) -> u64 {
        self.held.lock().await.event_bytes
    }

    /// Removes what is older than retention asks for, and needed by nobody.
    pub(crate) async fn expire(&self, common: &Arc<Common>, readers: Readers<'_>) -> Result<(), BusError> {
        let Some(age) = self.retention.max_age.and_then(|age| SignedDuration::try_from(age).ok()) else {
            return Ok(());
        };
        let Ok(before) = common.clock.now().checked_sub(age) else { return Ok(()) };
        let asked = common.clone();
        let young = blocking(move || {
            let topic = &asked.layout.events;
            let found = asked.desk.offsets_at(topic, &asked.partitions, before);
            found.map_err(|error| asked.desk.unavailable(&error, &About::Topic(topic)))
        });
        let young = young.await??;
        let standings = standings(common, readers).await?;
        let mut held = self.held.lock().await;
        let mut ends = BTreeMap::new();
        for (partition, (low, _)) in &standings.marks {
            let old = young.get(partition).copied().unwrap_or(*low);
            let end = if self.retention.discard_old { old } else { old.min(standings.floor(*partition)) };
            if end > *low {
                ends.insert(*partition, end);
            }
        }
        self.remove(common, &standings, ends, &mut held).await
    }

    /// Events too many.
    fn excess(&self, held: &Held, more: u64) -> u64 {
        let events = held.events.saturating_add(more);
        let over = |limit: u64| events.saturating_sub(limit);
        let by_count = self.retention.max_events.map_or(0, over);
        let by_bytes = self.retention.max_bytes.map_or(0, |max| over(max / held.event_bytes.max(1)));
        by_count.max(by_bytes)
    }

    async fn make(
        &self,
        common: &Arc<Common>,
        readers: Readers<'_>,
        held: &mut Held,
        excess: u64,
    ) -> Result<(), BusError> {
        let standings = standings(common, readers).await?;
        let mut wanted = excess.max(held.events / SHARE);
        let mut removable = 0;
        let mut ends = BTreeMap::new();
        for (partition, (low, high)) in &standings.marks {
            let end = if self.retention.discard_old { *high } else { standings.floor(*partition).min(*high) };
            let take = end.saturating_sub(*low).min(wanted);
            if take > 0 {
                ends.insert(*partition, low + take);
            }
            wanted -= take;
            removable += take;
        }
        if removable < excess {
            return Err(standings.full());
        }
        self.remove(common, &standings, ends, held).await?;
        held.look(common).await
    }

    async fn remove(
        &self,
        common: &Arc<Common>,
        standings: &Standings,
        ends: BTreeMap<i32, u64>,
        held: &mut Held,
    ) -> Result<(), BusError> {
        if ends.is_empty() {
            return Ok(());
        }
        let topic = &common.layout.events;
        let failed = |error| common.desk.unavailable(&error, &About::Topic(topic));
        let mut list = TopicPartitionList::new();
        for (partition, end) in &ends {
            let offset = Offset::Offset(i64::try_from(*end).unwrap_or(i64::MAX));
            list.add_partition_offset(topic, *partition, offset).map_err(failed)?;
        }
        let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
        let removed = common.desk.admin()?.delete_records(&list, &options).await.map_err(failed)?;
        for element in removed.elements() {
            element.error().map_err(failed)?;
        }
        let unread = ends.iter().map(|(partition, end)| end.saturating_sub(standings.floor(*partition)));
        held.evicted_unread += unread.sum::<u64>();
        Ok(())
    }
}

/// This process's readers by consumer.
pub(crate) type Readers<'r> = &'r BTreeMap<ConsumerName, Arc<crate::reader::Reader>>;

impl Held {
    async fn look(&mut self, common: &Arc<Common>) -> Result<(), BusError> {
        let marks = watermarks(common).await?;
        self.events = marks.values().map(|(low, high)| high.saturating_sub(*low)).sum();
        self.looked_at = Some(Instant::now());
        Ok(())
    }
}

pub(crate) async fn watermarks(common: &Arc<Common>) -> Result<Watermarks, BusError> {
    let common = common.clone();
    let marks = blocking(move || {
        let topic = &common.layout.events;
        let marks = common.desk.watermarks(topic, &common.partitions);
        marks.map_err(|error| common.desk.unavailable(&error, &About::Topic(topic)))
    });
    marks.await?
}
