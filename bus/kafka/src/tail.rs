//! The newest part of the events, from which the memory of duplicates is rebuilt.

use std::collections::BTreeMap;
use std::time::Duration;

use bus_core::{BusError, Identity};
use connection_kafka::{About, Context};
use jiff::{SignedDuration, Timestamp};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use zetes_api::Event;

use crate::desk::{self, PATIENCE};
use crate::layout::sequence;
use crate::reader::Common;

const POLL: Duration = Duration::from_millis(100);

/// Takes in every event of the duplicate window. Blocks.
pub(crate) fn remember(common: &Common) -> Result<(), BusError> {
    let topic = &common.layout.events;
    let failed = |error: KafkaError| common.desk.unavailable(&error, &About::Topic(topic));
    let window = SignedDuration::try_from(common.window).unwrap_or(SignedDuration::MAX);
    let since = common.clock.now().checked_sub(window).unwrap_or(Timestamp::MIN);
    let ends = common.desk.ends(topic, &common.partitions).map_err(failed)?;
    let starts = common.desk.offsets_at(topic, &common.partitions, since).map_err(failed)?;
    let mut left: BTreeMap<i32, u64> = BTreeMap::new();
    let mut from = TopicPartitionList::new();
    for (partition, end) in ends {
        let start = starts.get(&partition).copied().unwrap_or(end);
        if start < end {
            let offset = Offset::Offset(i64::try_from(start).unwrap_or(i64::MAX));
            from.add_partition_offset(topic, partition, offset).map_err(failed)?;
            left.insert(partition, end);
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    let config = desk::reading_config(common.desk.config(), &common.layout.reader_group());
    let client: BaseConsumer<Context> = desk::client(&config, common.desk.context().clone())?;
    client.assign(&from).map_err(failed)?;
    take_in(common, &client, left).map_err(failed)
}

fn take_in(
    common: &Common,
    client: &BaseConsumer<Context>,
    mut left: BTreeMap<i32, u64>,
) -> Result<(), KafkaError> {
    let mut idle = Duration::ZERO;
    while !left.is_empty() {
        match client.poll(POLL) {
            Some(Ok(message)) => {
                idle = Duration::ZERO;
                let at = message.timestamp().to_millis().and_then(|at| Timestamp::from_millisecond(at).ok());
                // What is no event is told by who reads it for a trigger.
                if let (Some(at), Ok(event)) = (at, Event::from_json(message.payload().unwrap_or_default())) {
                    let identity = Identity::of(&common.namespace, &event);
                    let sequence = sequence(message.partition(), message.offset());
                    let mut seen = common.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    let _known = seen.is_copy(identity, sequence, at);
                }
                let next = u64::try_from(message.offset()).unwrap_or(0) + 1;
                if left.get(&message.partition()).is_some_and(|end| next >= *end) {
                    left.remove(&message.partition());
                }
            }
            Some(Err(error)) if idle >= PATIENCE => return Err(error),
            // The last offsets of a partition may hold nothing.
            None if idle >= PATIENCE => return Ok(()),
            Some(Err(_)) | None => idle += POLL,
        }
    }
    Ok(())
}
