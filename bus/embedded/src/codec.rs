//! Frames and entries as bytes; byte by byte in docs/embedded-bus-format.md.
//!
//! A frame is what is atomic: `length u32 | crc u32 | generation u32 | count u32 | first sequence u64 | microseconds i64 | entries`.
//! The crc covers everything behind it and begins with the file's number, so that a frame copied from elsewhere is none.

use std::ops::Range;

use bus_core::{ConsumerName, Identity, Interest, StateKey};
use bytes::Bytes;
use jiff::Timestamp;
use zetes_api::{Event, EventId, Namespace};

use crate::event;
use crate::wire::{Input, overwrite, put_bytes, put_consumer, put_key, put_long, put_number};

/// The newest version of every file that this program writes, and reads.
pub(crate) const VERSION: u32 = 2;
/// Bytes in front of a frame's entries.
pub(crate) const HEAD: usize = 32;
/// A length beyond this is no length.
const MAX_FRAME: usize = 1 << 30;

/// What is not an event: a change of the tables, as it stands in a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Put {
        key: StateKey,
        value: Bytes,
        revision: u64,
    },
    Delete {
        key: StateKey,
    },
    Acks {
        consumer: ConsumerName,
        ranges: Vec<Range<u64>>,
    },
    Consumer {
        consumer: ConsumerName,
        start: u64,
        interests: Vec<Interest>,
    },
    NoConsumer {
        consumer: ConsumerName,
    },
    /// What a checkpoint says of a consumer.
    Position {
        consumer: ConsumerName,
        interests: Vec<Interest>,
        unsettled: Vec<Range<u64>>,
        high_water: u64,
    },
}

/// An entry of a frame. Events and records take a sequence each.
#[derive(Debug)]
pub(crate) enum Entry<'b> {
    Event(StoredEvent<'b>),
    Record(StoredRecord<'b>),
    Effect(Effect),
}

/// An event as it stands in a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredEvent<'b> {
    pub(crate) namespace: &'b str,
    identity: Option<Identity>,
    bytes: &'b [u8],
}

/// A record as it stands in a frame.
#[derive(Clone, Debug)]
pub(crate) struct StoredRecord<'b> {
    pub(crate) namespace: &'b str,
    pub(crate) about: Vec<&'b str>,
    pub(crate) record: &'b [u8],
}

impl Entry<'_> {
    pub(crate) fn takes_sequence(&self) -> bool {
        matches!(self, Self::Event(_) | Self::Record(_))
    }
}

impl StoredEvent<'_> {
    /// `None`: it can't be read.
    pub(crate) fn event(&self) -> Option<Event> {
        match self.identity {
            Some(_) => event::decode(self.bytes),
            None => Event::from_json(self.bytes).ok(),
        }
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity.or_else(|| Some(Identity::of(&Namespace::from(self.namespace), &self.event()?)))
    }

    /// Bytes that it takes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Appends an event's entry.
pub(crate) fn put_event(buffer: &mut Vec<u8>, namespace: &Namespace, identity: Identity, event: &Event) {
    buffer.push(9);
    put_bytes(buffer, namespace.as_str().as_bytes());
    buffer.extend_from_slice(&identity.0.to_le_bytes());
    let begin = buffer.len();
    put_number(buffer, 0);
    event::encode(buffer, event);
    let length = u32::try_from(buffer.len() - begin - 4).unwrap_or(u32::MAX);
    overwrite(buffer, begin, &length.to_le_bytes());
}

/// Appends a record's entry.
pub(crate) fn put_record(buffer: &mut Vec<u8>, namespace: &Namespace, about: &[EventId], record: &[u8]) {
    buffer.push(2);
    put_bytes(buffer, namespace.as_str().as_bytes());
    put_number(buffer, about.len());
    for id in about {
        put_bytes(buffer, id.as_str().as_bytes());
    }
    put_bytes(buffer, record);
}

/// Appends the entry of a change.
pub(crate) fn put_effect(buffer: &mut Vec<u8>, effect: &Effect) {
    match effect {
        Effect::Put { key, value, revision } => {
            buffer.push(4);
            put_key(buffer, key);
            put_bytes(buffer, value);
            put_long(buffer, *revision);
        }
        Effect::Delete { key } => {
            buffer.push(5);
            put_key(buffer, key);
        }
        Effect::Consumer { consumer, start, interests } => {
            buffer.push(6);
            put_consumer(buffer, consumer);
            put_long(buffer, *start);
            put_interests(buffer, interests);
        }
        Effect::NoConsumer { consumer } => {
            buffer.push(7);
            put_consumer(buffer, consumer);
        }
        Effect::Acks { consumer, ranges } => {
            buffer.push(8);
            put_consumer(buffer, consumer);
            put_ranges(buffer, ranges);
        }
        Effect::Position { consumer, interests, unsettled, high_water } => {
            buffer.push(10);
            put_consumer(buffer, consumer);
            put_interests(buffer, interests);
            put_ranges(buffer, unsettled);
            put_long(buffer, *high_water);
        }
    }
}

fn put_interests(buffer: &mut Vec<u8>, interests: &[Interest]) {
    put_bytes(buffer, &serde_json::to_vec(interests).unwrap_or_default());
}

fn put_ranges(buffer: &mut Vec<u8>, ranges: &[Range<u64>]) {
    put_number(buffer, ranges.len());
    for range in ranges {
        put_long(buffer, range.start);
        put_long(buffer, range.end);
    }
}

/// What stands in a frame's head beside its length and checksum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) generation: u32,
    pub(crate) count: usize,
    pub(crate) first_sequence: u64,
    pub(crate) at: Timestamp,
}

/// Appends a frame: `entries` are `head.count` encoded entries.
pub(crate) fn put_frame(buffer: &mut Vec<u8>, number: u64, head: Head, entries: &[u8]) {
    let start = buffer.len();
    buffer.reserve(HEAD + entries.len());
    put_number(buffer, HEAD + entries.len());
    put_number(buffer, 0);
    buffer.extend_from_slice(&head.generation.to_le_bytes());
    put_number(buffer, head.count);
    put_long(buffer, head.first_sequence);
    buffer.extend_from_slice(&head.at.as_microsecond().to_le_bytes());
    buffer.extend_from_slice(entries);
    let crc = checksum(number, buffer.get(start + 8..).unwrap_or_default());
    overwrite(buffer, start + 4, &crc.to_le_bytes());
}

/// The checksum of what stands in file `number`.
pub(crate) fn checksum(number: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// The length that a frame's head claims; `None` when it can be no frame.
pub(crate) fn claimed_length(head: &[u8]) -> Option<usize> {
    let length = usize::try_from(Input(head).number()?).ok()?;
    (HEAD..=MAX_FRAME).contains(&length).then_some(length)
}

/// A frame that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'b> {
    pub(crate) head: Head,
    entries: &'b [u8],
}

impl<'b> Frame<'b> {
    /// Reads a whole frame of file `number`; `None` when its checksum or its head is wrong.
    pub(crate) fn read(bytes: &'b [u8], number: u64) -> Option<Self> {
        let mut input = Input(bytes);
        input.number()?;
        let crc = input.number()?;
        if checksum(number, input.0) == crc { Self::parse(bytes) } else { None }
    }

    /// Reads a frame whose checksum is known to be right.
    pub(crate) fn parse(bytes: &'b [u8]) -> Option<Self> {
        let mut input = Input(bytes);
        input.long()?;
        let generation = input.number()?;
        let count = usize::try_from(input.number()?).ok()?;
        let first_sequence = input.long()?;
        let at = Timestamp::from_microsecond(input.signed()?).ok()?;
        Some(Self { head: Head { generation, count, first_sequence, at }, entries: input.0 })
    }

    /// Its entries with their sequences; an entry without one has the next. Ends early where an entry can't be understood.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, Entry<'b>)> + use<'b> {
        let (mut input, mut sequence) = (Input(self.entries), self.head.first_sequence);
        (0..self.head.count).map_while(move |_| {
            let entry = entry(&mut input)?;
            let own = sequence;
            sequence += u64::from(entry.takes_sequence());
            Some((own, entry))
        })
    }

    /// The sequence behind those that it gives, and the events among them. `None`: an entry can't be understood.
    pub(crate) fn measure(&self) -> Option<(u64, u64)> {
        let (mut input, mut sequences, mut events) = (Input(self.entries), 0, 0);
        for _ in 0..self.head.count {
            match input.0.first()? {
                1 | 9 => {
                    events += 1;
                    sequences += 1;
                    skip_event(&mut input)?;
                }
                2 => {
                    sequences += 1;
                    entry(&mut input)?;
                }
                _ => drop(entry(&mut input)?),
            }
        }
        Some((self.head.first_sequence + sequences, events))
    }

    /// What stands in the place of entries.
    pub(crate) fn raw(&self) -> &'b [u8] {
        self.entries
    }
}

fn skip_event(input: &mut Input<'_>) -> Option<()> {
    let kind = input.byte()?;
    input.bytes()?;
    if kind == 9 {
        input.take(16)?;
    }
    input.bytes().map(|_| ())
}

fn entry<'b>(input: &mut Input<'b>) -> Option<Entry<'b>> {
    Some(match input.byte()? {
        1 => Entry::Event(StoredEvent { namespace: input.text()?, identity: None, bytes: input.bytes()? }),
        2 => {
            let namespace = input.text()?;
            let count = input.number()?;
            let about = (0..count).map(|_| input.text()).collect::<Option<_>>()?;
            Entry::Record(StoredRecord { namespace, about, record: input.bytes()? })
        }
        // Version 1 wrote each acknowledgement by itself.
        3 => {
            let (consumer, sequence) = (input.consumer()?, input.long()?);
            Entry::Effect(Effect::Acks {
                consumer,
                ranges: std::iter::once(sequence..sequence.checked_add(1)?).collect(),
            })
        }
        4 => Entry::Effect(Effect::Put {
            key: input.key()?,
            value: Bytes::copy_from_slice(input.bytes()?),
            revision: input.long()?,
        }),
        5 => Entry::Effect(Effect::Delete { key: input.key()? }),
        6 => Entry::Effect(Effect::Consumer {
            consumer: input.consumer()?,
            start: input.long()?,
            interests: interests(input)?,
        }),
        7 => Entry::Effect(Effect::NoConsumer { consumer: input.consumer()? }),
        8 => Entry::Effect(Effect::Acks { consumer: input.consumer()?, ranges: ranges(input)? }),
        9 => {
            let namespace = input.text()?;
            let identity = Identity(input.array().map(u128::from_le_bytes)?);
            Entry::Event(StoredEvent { namespace, identity: Some(identity), bytes: input.bytes()? })
        }
        10 => Entry::Effect(Effect::Position {
            consumer: input.consumer()?,
            interests: interests(input)?,
            unsettled: ranges(input)?,
            high_water: input.long()?,
        }),
        _ => return None,
    })
}

fn interests(input: &mut Input<'_>) -> Option<Vec<Interest>> {
    serde_json::from_slice(input.bytes()?).ok()
}

fn ranges(input: &mut Input<'_>) -> Option<Vec<Range<u64>>> {
    let count = input.number()?;
    (0..count).map(|_| Some(input.long()?..input.long()?)).collect()
}
