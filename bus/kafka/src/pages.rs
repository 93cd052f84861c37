//! Reads a topic back, in order of sequence.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bus_core::{BusError, Entry, EntryBody, EntryKind, Page, ReadFilter};
use bytes::Bytes;
use connection_kafka::{About, Context};
use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;
use zetes_api::{Event, EventId};

use crate::desk::{self, PATIENCE};
use crate::layout::{offsets, sequence};
use crate::reader::Common;

const PAGE_BYTES: usize = 1 << 20;
/// Where few entries are wanted, a page ends after so much was looked at.
const LOOKED_AT_BYTES: usize = 16 << 20;
const POLL: Duration = Duration::from_millis(100);

/// The ids that a record is about, as JSON.
pub(crate) const ABOUT: &str = "zetes-about";

/// What is left of one partition.
struct Part {
    left: Range<u64>,
    ahead: VecDeque<Found>,
}

struct Found {
    sequence: u64,
    at: Timestamp,
    /// In words where it is damaged; `None` where it is not wanted.
    body: Result<Option<EntryBody>, String>,
    bytes: usize,
}

/// Blocks.
pub(crate) fn read(
    common: &Common,
    kind: EntryKind,
    range: &Range<u64>,
    filter: &ReadFilter,
) -> Result<Page, BusError> {
    let is_ours = filter.namespace.as_ref().is_none_or(|namespace| *namespace == common.namespace);
    let (topic, partitions) = match kind {
        EntryKind::Event => (&common.layout.events, common.partitions.clone()),
        EntryKind::Record => (&common.layout.records, vec![0]),
    };
    let failed = |error: KafkaError| common.desk.unavailable(&error, &About::Topic(topic));
    let marks = common.desk.watermarks(topic, &partitions).map_err(failed)?;
    let mut parts = BTreeMap::new();
    let mut from = TopicPartitionList::new();
    for (partition, (low, high)) in marks {
        let asked = offsets(range, partition);
        let left = asked.start.max(low)..asked.end.min(high);
        if left.is_empty() || !is_ours {
            continue;
        }
        let start = Offset::Offset(i64::try_from(left.start).unwrap_or(i64::MAX));
        from.add_partition_offset(topic, partition, start).map_err(failed)?;
        parts.insert(partition, Part { left, ahead: VecDeque::new() });
    }
    if parts.is_empty() {
        return Ok(Page::default());
    }
    let config = desk::reading_config(common.desk.config(), &common.layout.reader_group());
    let client: BaseConsumer<Context> = desk::client(&config, common.desk.context().clone())?;
    client.assign(&from).map_err(failed)?;
    merge(common, &client, parts, kind, filter).map_err(failed)
}

fn merge(
    common: &Common,
    client: &BaseConsumer<Context>,
    mut parts: BTreeMap<i32, Part>,
    kind: EntryKind,
    filter: &ReadFilter,
) -> Result<Page, KafkaError> {
    let mut page = Page::default();
    let (mut bytes, mut looked_at) = (0, 0);
    loop {
        fill(client, &mut parts, kind, filter)?;
        let next =
            parts.iter().filter_map(|(number, part)| Some((part.ahead.front()?.sequence, *number))).min();
        let Some((sequence, number)) = next else { return Ok(page) };
        if bytes >= PAGE_BYTES || looked_at >= LOOKED_AT_BYTES {
            page.next = Some(sequence);
            return Ok(page);
        }
        let Some(found) = parts.get_mut(&number).and_then(|part| part.ahead.pop_front()) else {
            return Ok(page);
        };
        looked_at += found.bytes;
        match found.body {
            Ok(None) => {}
            Err(damage) => page.damaged.push(damage),
            Ok(Some(body)) => {
                bytes += found.bytes;
                let (at, namespace) = (found.at, common.namespace.clone());
                page.entries.push(Entry { sequence, at, namespace, body });
            }
        }
    }
}

/// Reads until the next record of every partition that has one is there.
fn fill(
    client: &BaseConsumer<Context>,
    parts: &mut BTreeMap<i32, Part>,
    kind: EntryKind,
    filter: &ReadFilter,
) -> Result<(), KafkaError> {
    let mut idle = Duration::ZERO;
    while parts.values().any(|part| part.ahead.is_empty() && !part.left.is_empty()) {
        match client.poll(POLL) {
            Some(Ok(message)) => {
                idle = Duration::ZERO;
                let Some(part) = parts.get_mut(&message.partition()) else { continue };
                let offset = u64::try_from(message.offset()).unwrap_or(0);
                if part.left.contains(&offset) {
                    part.ahead.push_back(found(&message, kind, filter));
                }
                part.left.start = part.left.start.max(offset + 1).min(part.left.end);
            }
            Some(Err(error)) if idle >= PATIENCE => return Err(error),
            // The last offsets of a partition may hold nothing.
            None if idle >= PATIENCE => {
                for part in parts.values_mut().filter(|part| part.ahead.is_empty()) {
                    part.left.start = part.left.end;
                }
            }
            Some(Err(_)) | None => idle += POLL,
        }
    }
    Ok(())
}

fn found(message: &BorrowedMessage<'_>, kind: EntryKind, filter: &ReadFilter) -> Found {
    let payload = message.payload().unwrap_or_default();
    let at = message.timestamp().to_millis().and_then(|at| Timestamp::from_millisecond(at).ok());
    let body = match kind {
        EntryKind::Event => match Event::from_json(payload) {
            Ok(event) => {
                let is_about = filter.about.as_ref().is_none_or(|about| *about == event.id);
                Ok(is_about.then(|| EntryBody::Event(Arc::new(event))))
            }
            Err(error) => Err(format!(
                "partition {} offset {}: no CloudEvent: {error}",
                message.partition(),
                message.offset()
            )),
        },
        EntryKind::Record => {
            let is_about = filter.about.as_ref().is_none_or(|about| about_of(message).contains(about));
            Ok(is_about.then(|| EntryBody::Record(Bytes::copy_from_slice(payload))))
        }
    };
    Found {
        sequence: sequence(message.partition(), message.offset()),
        at: at.unwrap_or(Timestamp::UNIX_EPOCH),
        body,
        bytes: payload.len() + 64,
    }
}

fn about_of(message: &BorrowedMessage<'_>) -> Vec<EventId> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let about = headers.filter(|header| header.key == ABOUT).find_map(|header| header.value);
    about.and_then(|about| serde_json::from_slice(about).ok()).unwrap_or_default()
}
