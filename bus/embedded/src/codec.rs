//! Frames and entries as bytes. Numbers are little-endian; texts and bytes carry their length.
//!
//! A frame is what is atomic: `length u32 | crc u32 | generation u32 | count u32 | first sequence u64 | microseconds i64 | entries`.
//! The crc covers everything behind it and begins with the segment's number, so that a frame copied from elsewhere is none.

use bus_core::{ConsumerName, Interest, StateKey};
use bytes::Bytes;
use jiff::Timestamp;
use zetes_api::{EventId, Namespace};

/// Bytes in front of a frame's entries.
pub(crate) const HEAD: usize = 32;
/// A length beyond this is no length.
pub(crate) const MAX_FRAME: usize = 1 << 30;

/// What a frame holds. Events and records take a sequence each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    Event { namespace: Namespace, json: Bytes },
    Record { namespace: Namespace, about: Vec<EventId>, record: Bytes },
    Ack { consumer: ConsumerName, sequence: u64 },
    Put { key: StateKey, value: Bytes, revision: u64 },
    Delete { key: StateKey },
    Consumer { consumer: ConsumerName, start: u64, interests: Vec<Interest> },
    NoConsumer { consumer: ConsumerName },
}

impl Entry {
    pub(crate) fn takes_sequence(&self) -> bool {
        matches!(self, Self::Event { .. } | Self::Record { .. })
    }
}

/// A frame that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) generation: u32,
    pub(crate) first_sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) entries: Vec<Entry>,
}

/// Appends a frame to the buffer.
pub(crate) fn encode(
    buffer: &mut Vec<u8>,
    segment: u64,
    generation: u32,
    first_sequence: u64,
    at: Timestamp,
    entries: &[Entry],
) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 8]);
    buffer.extend_from_slice(&generation.to_le_bytes());
    buffer.extend_from_slice(&u32::try_from(entries.len()).unwrap_or(u32::MAX).to_le_bytes());
    buffer.extend_from_slice(&first_sequence.to_le_bytes());
    buffer.extend_from_slice(&at.as_microsecond().to_le_bytes());
    for entry in entries {
        put_entry(buffer, entry);
    }
    let length = u32::try_from(buffer.len() - start).unwrap_or(u32::MAX).to_le_bytes();
    let crc = checksum(segment, buffer.get(start + 8..).unwrap_or_default()).to_le_bytes();
    if let Some(head) = buffer.get_mut(start..start + 8) {
        let (first, second) = head.split_at_mut(4);
        first.copy_from_slice(&length);
        second.copy_from_slice(&crc);
    }
}

fn checksum(segment: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// The length that a frame's head claims; `None` when it can be no frame.
pub(crate) fn claimed_length(head: &[u8]) -> Option<usize> {
    let length = usize::try_from(u32::from_le_bytes(head.get(..4)?.try_into().ok()?)).ok()?;
    (HEAD..=MAX_FRAME).contains(&length).then_some(length)
}

/// Reads a whole frame; `None` when its checksum or its form is wrong.
pub(crate) fn decode(bytes: &[u8], segment: u64) -> Option<Frame> {
    let crc = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    let checked = bytes.get(8..)?;
    if checksum(segment, checked) != crc {
        return None;
    }
    let mut input = Input(checked);
    let generation = input.number::<4>().map(u32::from_le_bytes)?;
    let count = input.number::<4>().map(u32::from_le_bytes)?;
    let first_sequence = input.long()?;
    let at = Timestamp::from_microsecond(input.number::<8>().map(i64::from_le_bytes)?).ok()?;
    let entries = (0..count).map(|_| input.entry()).collect::<Option<Vec<_>>>()?;
    Some(Frame { generation, first_sequence, at, entries })
}

fn put_bytes(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    buffer.extend_from_slice(bytes);
}

fn put_consumer(buffer: &mut Vec<u8>, name: &ConsumerName) {
    for part in [name.namespace.as_str(), name.sensor.as_str(), name.trigger.as_str()] {
        put_bytes(buffer, part.as_bytes());
    }
}

fn put_entry(buffer: &mut Vec<u8>, entry: &Entry) {
    match entry {
        Entry::Event { namespace, json } => {
            buffer.push(1);
            put_bytes(buffer, namespace.as_str().as_bytes());
            put_bytes(buffer, json);
        }
        Entry::Record { namespace, about, record } => {
            buffer.push(2);
            put_bytes(buffer, namespace.as_str().as_bytes());
            buffer.extend_from_slice(&u32::try_from(about.len()).unwrap_or(u32::MAX).to_le_bytes());
            for id in about {
                put_bytes(buffer, id.as_str().as_bytes());
            }
            put_bytes(buffer, record);
        }
        Entry::Ack { consumer, sequence } => {
            buffer.push(3);
            put_consumer(buffer, consumer);
            buffer.extend_from_slice(&sequence.to_le_bytes());
        }
        Entry::Put { key, value, revision } => {
            buffer.push(4);
            put_bytes(buffer, key.bucket.as_bytes());
            put_bytes(buffer, key.key.as_bytes());
            put_bytes(buffer, value);
            buffer.extend_from_slice(&revision.to_le_bytes());
        }
        Entry::Delete { key } => {
            buffer.push(5);
            put_bytes(buffer, key.bucket.as_bytes());
            put_bytes(buffer, key.key.as_bytes());
        }
        Entry::Consumer { consumer, start, interests } => {
            buffer.push(6);
            put_consumer(buffer, consumer);
            buffer.extend_from_slice(&start.to_le_bytes());
            put_bytes(buffer, &serde_json::to_vec(interests).unwrap_or_default());
        }
        Entry::NoConsumer { consumer } => {
            buffer.push(7);
            put_consumer(buffer, consumer);
        }
    }
}

/// What is left to read.
struct Input<'b>(&'b [u8]);

impl Input<'_> {
    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn long(&mut self) -> Option<u64> {
        self.number::<8>().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&[u8]> {
        let length = usize::try_from(u32::from_le_bytes(self.number::<4>()?)).ok()?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn consumer(&mut self) -> Option<ConsumerName> {
        Some(ConsumerName {
            namespace: self.text()?.into(),
            sensor: self.text()?.into(),
            trigger: self.text()?.into(),
        })
    }

    fn key(&mut self) -> Option<StateKey> {
        Some(StateKey { bucket: self.text()?, key: self.text()? })
    }

    fn entry(&mut self) -> Option<Entry> {
        let [kind] = self.number::<1>()?;
        Some(match kind {
            1 => Entry::Event { namespace: self.text()?.into(), json: Bytes::copy_from_slice(self.bytes()?) },
            2 => {
                let namespace = self.text()?.into();
                let count = u32::from_le_bytes(self.number::<4>()?);
                let about = (0..count).map(|_| self.text().map(EventId::from)).collect::<Option<_>>()?;
                Entry::Record { namespace, about, record: Bytes::copy_from_slice(self.bytes()?) }
            }
            3 => Entry::Ack { consumer: self.consumer()?, sequence: self.long()? },
            4 => Entry::Put {
                key: self.key()?,
                value: Bytes::copy_from_slice(self.bytes()?),
                revision: self.long()?,
            },
            5 => Entry::Delete { key: self.key()? },
            6 => {
                let (consumer, start) = (self.consumer()?, self.long()?);
                Entry::Consumer { consumer, start, interests: serde_json::from_slice(self.bytes()?).ok()? }
            }
            7 => Entry::NoConsumer { consumer: self.consumer()? },
            _ => return None,
        })
    }
}
