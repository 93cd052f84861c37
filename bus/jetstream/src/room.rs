//! Room on a full stream: what every consumer has settled is history, and gives way to new events. Nothing unread does.

use std::sync::atomic::{AtomicU64, Ordering};

use bus_core::{BusError, ConsumerName};
use serde_json::json;
use tokio::sync::Mutex;

use crate::api::{ApiError, ConsumerInfo, StreamInfo};
use crate::bus::Shared;
use crate::link::Live;
use crate::names;

/// A purge takes this part of the stream, so that there is not one for each event.
const PART: u64 = 10;

/// How often room was made, so that of many publishers that find the bus full one makes it.
#[derive(Debug, Default)]
pub(crate) struct Room {
    making: Mutex<()>,
    made: AtomicU64,
}

impl Room {
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Acquire)
    }
}

impl Shared {
    /// Makes room for so many events, unless it was made since `made`.
    ///
    /// **Errors** [`BusError::Full`] when consumers need all that is there.
    pub(crate) async fn make_room(&self, live: &Live, made: u64, needed: usize) -> Result<(), BusError> {
        let _making = self.room.making.lock().await;
        if self.room.made() != made {
            return Ok(());
        }
        let stream = &self.layout.events;
        let failed = |error| live.failed(error);
        let info = live.stream_info(stream).await.map_err(failed)?;
        let consumers = live.consumers(stream).await.map_err(failed)?;
        let slowest = self.slowest(live, &info, consumers).await.map_err(failed)?;
        let keep = slowest.as_ref().map_or(info.state.last_seq + 1, |(floor, _)| floor + 1);
        let wanted = (info.state.messages / PART).max(u64::try_from(needed).unwrap_or(u64::MAX));
        let keep = keep.min(info.state.first_seq.saturating_add(wanted));
        if keep <= info.state.first_seq {
            return Err(BusError::Full(self.who_is_slow(&info, slowest.map(|(_, consumer)| consumer))));
        }
        let purged = live.purge(stream, &json!({"seq": keep})).await.map_err(failed)?;
        self.room.made.fetch_add(1, Ordering::AcqRel);
        tracing::debug!(stream, purged, "made room by removing what every consumer has settled");
        Ok(())
    }

    /// The consumer that needs the most, and the last sequence that nobody needs.
    async fn slowest(
        &self,
        live: &Live,
        info: &StreamInfo,
        consumers: Vec<ConsumerInfo>,
    ) -> Result<Option<(u64, ConsumerInfo)>, ApiError> {
        let mut slowest: Option<(u64, ConsumerInfo)> = None;
        // What acknowledges nothing, such as a look through the headers, holds nothing.
        let settling =
            |consumer: &ConsumerInfo| consumer.config.get("ack_policy").is_none_or(|policy| policy != "none");
        for consumer in consumers.into_iter().filter(settling) {
            let floor = self.floor(live, info, &consumer).await?;
            if slowest.as_ref().is_none_or(|(lowest, _)| floor < *lowest) {
                slowest = Some((floor, consumer));
            }
        }
        Ok(slowest)
    }

    /// The last sequence that the consumer does not need. Asked of the stream's leader, as the consumer's may not have all events yet.
    async fn floor(&self, live: &Live, info: &StreamInfo, consumer: &ConsumerInfo) -> Result<u64, ApiError> {
        let first = self.first_unsettled(live, consumer).await?;
        Ok(first.map_or(info.state.last_seq, |first| first.sequence.saturating_sub(1)))
    }

    /// The oldest event that it wants and has not settled.
    pub(crate) async fn first_unsettled(
        &self,
        live: &Live,
        consumer: &ConsumerInfo,
    ) -> Result<Option<crate::api::Stored>, ApiError> {
        let mut filters = consumer.filters();
        if filters.is_empty() {
            filters.push(self.layout.event_subjects());
        }
        live.next(&self.layout.events, consumer.ack_floor.stream_seq + 1, &filters).await
    }

    fn who_is_slow(&self, info: &StreamInfo, slowest: Option<ConsumerInfo>) -> String {
        let state = &info.state;
        let stream = &self.layout.events;
        let holds = format!("stream `{stream}` holds {} events, {} bytes", state.messages, state.bytes);
        let Some(consumer) = slowest else {
            return format!("{holds}, and the batch is larger than its limits");
        };
        let behind = consumer.num_pending + consumer.num_ack_pending;
        let name = self
            .consumer_name(&consumer)
            .map_or_else(|| format!("consumer `{}`", consumer.name), |name| name.to_string());
        format!("{holds}; {name} is slowest, {behind} events behind: let it read, or raise the limits")
    }

    /// Whose consumer this is; `None` for one that neither this process nor its description knows.
    pub(crate) fn consumer_name(&self, consumer: &ConsumerInfo) -> Option<ConsumerName> {
        let description = consumer.config.get("description").and_then(serde_json::Value::as_str);
        description.and_then(names::described).or_else(|| self.tables.name_of(&consumer.name))
    }
}
