//! What is on the bus, and how far its consumers are.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::Ordering;

use bus_core::{BusError, BusStats, ConsumerName, ConsumerStats, Durability};
use futures_util::future::try_join_all;

use crate::api::{ApiError, ConsumerInfo, code};
use crate::bus::Shared;
use crate::link::Live;

impl Shared {
    pub(crate) async fn stats(&self) -> Result<BusStats, BusError> {
        let live = self.live()?;
        let info = live.stream_info(&self.layout.events).await.map_err(|error| live.failed(error))?;
        let consumers = live.consumers(&self.layout.events).await.map_err(|error| live.failed(error))?;
        let known = consumers.iter().filter_map(|consumer| Some((self.consumer_name(consumer)?, consumer)));
        let told =
            try_join_all(known.map(|(name, consumer)| self.consumer_stats(&live, name, consumer))).await;
        let state = info.state;
        let replicas = info.config.get("num_replicas").and_then(serde_json::Value::as_u64).unwrap_or(1);
        let floors = consumers.iter().map(|consumer| consumer.ack_floor.stream_seq + 1);
        Ok(BusStats {
            durability: if replicas >= 3 { Durability::Fsync } else { Durability::PageCache },
            first_sequence: if state.messages == 0 { state.last_seq + 1 } else { state.first_seq },
            next_sequence: state.last_seq + 1,
            events: state.messages,
            bytes: state.bytes,
            evicted_unread: self.evicted(state.first_seq, floors.min()),
            consumers: merged(told.map_err(|error| live.failed(error))?),
        })
    }

    /// From the oldest event that it has not settled to the end: the server does not tell what it has handed out behind that.
    pub(crate) async fn unsettled(&self, name: &ConsumerName) -> Result<Vec<Range<u64>>, BusError> {
        let live = self.live()?;
        let failed = |error| live.failed(error);
        let end = live.stream_info(&self.layout.events).await.map_err(failed)?.state.last_seq + 1;
        let mut first = end;
        for durable in self.durables(&live, name).await? {
            match live.consumer_info(&self.layout.events, &durable).await {
                Ok(info) => {
                    let oldest = self.first_unsettled(&live, &info).await.map_err(failed)?;
                    first = first.min(oldest.map_or(end, |stored| stored.sequence));
                }
                Err(error) if error.is(code::CONSUMER_NOT_FOUND) => {}
                Err(error) => return Err(live.failed(error)),
            }
        }
        Ok(std::iter::once(first..end).filter(|range| !range.is_empty()).collect())
    }

    async fn consumer_stats(
        &self,
        live: &Live,
        name: ConsumerName,
        consumer: &ConsumerInfo,
    ) -> Result<ConsumerStats, ApiError> {
        let lag = consumer.num_pending + consumer.num_ack_pending;
        let oldest = if lag == 0 { None } else { self.first_unsettled(live, consumer).await? };
        let oldest_unread = oldest.map(|stored| stored.time);
        Ok(ConsumerStats { name, lag, in_flight: consumer.num_ack_pending, oldest_unread })
    }

    /// Events that the server discarded while the slowest consumer had not settled them; seen when somebody looks.
    fn evicted(&self, first: u64, slowest: Option<u64>) -> u64 {
        let counted = self.evicted_below.fetch_max(first, Ordering::AcqRel);
        let unread_from = slowest.unwrap_or(first).max(counted);
        let new =
            if self.options.stream.retention.discard_old { first.saturating_sub(unread_from) } else { 0 };
        self.evicted.fetch_add(new, Ordering::AcqRel) + new
    }
}

/// One for each trigger: in Argo's layout it has a consumer for each dependency.
fn merged(all: Vec<ConsumerStats>) -> Vec<ConsumerStats> {
    let mut merged: BTreeMap<ConsumerName, ConsumerStats> = BTreeMap::new();
    for one in all {
        match merged.get_mut(&one.name) {
            Some(known) => {
                known.lag += one.lag;
                known.in_flight += one.in_flight;
                known.oldest_unread = known.oldest_unread.into_iter().chain(one.oldest_unread).min();
            }
            None => drop(merged.insert(one.name.clone(), one)),
        }
    }
    merged.into_values().collect()
}
