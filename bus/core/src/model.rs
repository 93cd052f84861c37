//! The things that a bus is given and gives back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zetes_api::{DependencyName, Event, EventId, Namespace, ObjectName, TriggerName};

/// An event on its way to the bus.
#[derive(Clone, Debug)]
pub struct Publication {
    pub namespace: Namespace,
    pub event: Arc<Event>,
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Where it stands on the bus; for a duplicate, where the first one stands.
    pub sequence: u64,
    /// The bus had it already and did not store it again (S22).
    pub duplicate: bool,
}

/// `namespace/sensor/trigger`: a named reader of the bus that outlives its process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConsumerName {
    pub namespace: Namespace,
    pub sensor: ObjectName,
    pub trigger: TriggerName,
}

impl fmt::Display for ConsumerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.sensor, self.trigger)
    }
}

/// Which events a consumer wants: those of one event source and event, each exact or any.
///
/// A glob that is finer than this is matched by the engine: a bus may hand out more than was asked for, never less.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interest {
    /// `None` is any EventSource of the namespace.
    pub source: Option<ObjectName>,
    /// `None` is any event.
    pub subject: Option<zetes_api::EventName>,
    /// The dependency it stands for, the last one in the conditions where there are several: the reference names its consumers
    /// after it (spec/control-plane.md 3.2). Without meaning in our own layouts.
    #[serde(default = "no_dependency")]
    pub dependency: DependencyName,
}

fn no_dependency() -> DependencyName {
    DependencyName::from("")
}

impl Interest {
    pub fn wants(&self, event: &Event) -> bool {
        self.source.as_ref().is_none_or(|source| *source == event.source)
            && self.subject.as_ref().is_none_or(|subject| *subject == event.subject)
    }
}

/// Where a new consumer begins. Without meaning for one that exists: it keeps its position (S20, S21).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// With the first event published after the subscription.
    Now,
    /// With the oldest event that the bus still has.
    Earliest,
    /// With the first event published at or after this time.
    Time(Timestamp),
    /// With this sequence.
    Sequence(u64),
}

/// How a consumer reads.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub consumer: ConsumerName,
    /// Any of them; none at all matches nothing.
    pub interests: Vec<Interest>,
    pub start: Start,
    /// A delivery that is neither settled nor reported in progress for so long is handed out again.
    pub ack_deadline: Duration,
    /// Unsettled deliveries at a time, of all subscribers of the consumer that this process has; fetch waits at the limit.
    pub max_in_flight: usize,
}

/// Names one delivery, to settle it. Serializable, so that a driver can write it down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub consumer: ConsumerName,
    pub sequence: u64,
}

/// One handing of an event to a consumer, to be settled once.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub ticket: Ticket,
    pub event: Arc<Event>,
    /// When the bus got it.
    pub published_at: Timestamp,
    /// 1 for the first delivery.
    pub deliveries: u32,
}

/// The place of a state entry. Buckets carry the namespace (S44).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateKey {
    pub bucket: String,
    pub key: String,
}

impl StateKey {
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }
}

/// Grows with every change of an entry; the fence between replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Revision(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    pub value: Bytes,
    pub revision: Revision,
}

/// One durable change.
#[derive(Clone, Debug)]
pub enum Change {
    /// The delivery is done with. Settled or unknown tickets are no error.
    Ack(Ticket),
    /// Writes a state entry. `expected`: `None` writes whatever is there, `Some(None)` only where nothing is,
    /// `Some(Some(revision))` only over that revision.
    Put { key: StateKey, value: Bytes, expected: Option<Option<Revision>> },
    /// Removes a state entry; one that isn't there is no error.
    Delete { key: StateKey },
    /// Appends a record (a decision) about these events. Found again by [`ReadFilter::about`].
    Record { namespace: Namespace, about: Vec<EventId>, record: Bytes },
}

/// What to read back: events or records. A bus may number them apart, so a range is one of these only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Event,
    /// What [`Change::Record`] appended.
    Record,
}

/// Which of them.
#[derive(Clone, Debug, Default)]
pub struct ReadFilter {
    /// Only this namespace.
    pub namespace: Option<Namespace>,
    /// Only this event, or the records about it.
    pub about: Option<EventId>,
}

/// A piece of what was read, and where to read on.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Begin the next page here; `None` at the end of the range.
    pub next: Option<u64>,
    /// What could not be read, in words with its place.
    pub damaged: Vec<String>,
}

/// One thing that stands on the bus.
#[derive(Clone, Debug)]
pub struct Entry {
    pub sequence: u64,
    pub at: Timestamp,
    pub namespace: Namespace,
    pub body: EntryBody,
}

#[derive(Clone, Debug)]
pub enum EntryBody {
    Event(Arc<Event>),
    /// What [`Change::Record`] appended.
    Record(Bytes),
}

/// How long the bus keeps what it has. `None` is without limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    pub max_age: Option<Duration>,
    pub max_bytes: Option<u64>,
    pub max_events: Option<u64>,
    /// Evict the oldest even if unread, counted, instead of refusing new ones (S42).
    pub discard_old: bool,
    /// An event with the same identity is a duplicate for so long (S22).
    pub duplicate_window: Duration,
}

impl Default for Retention {
    /// 168 h, 50 GB, no count, refuse when full, duplicates for 5 minutes.
    fn default() -> Self {
        Self {
            max_age: Some(Duration::from_hours(168)),
            max_bytes: Some(50_000_000_000),
            max_events: None,
            discard_old: false,
            duplicate_window: Duration::from_mins(5),
        }
    }
}

/// What an event survives once `publish` has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Durability {
    /// Nothing: it is in memory.
    Memory,
    /// A crash of the process, not of the machine.
    PageCache,
    /// A crash of the machine.
    Fsync,
}

/// Whether the bus can be used now, and what an operator should know of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Why it can't be used, and since when; `None` when it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<HealthFailure>,
    /// What works otherwise than the EventBus asks: settings that the server refused, TLS that is not verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthFailure {
    /// What is wrong and what to do, in one line.
    pub error: String,
    pub since: Timestamp,
}

#[derive(Clone, Debug)]
pub struct BusStats {
    pub durability: Durability,
    /// The oldest event's sequence; `next_sequence` where there is none.
    pub first_sequence: u64,
    /// Higher than the sequence of every event.
    pub next_sequence: u64,
    pub events: u64,
    pub bytes: u64,
    /// Events evicted while a consumer had not read them, since the bus was opened.
    pub evicted_unread: u64,
    pub consumers: Vec<ConsumerStats>,
}

#[derive(Clone, Debug)]
pub struct ConsumerStats {
    pub name: ConsumerName,
    /// Events between its position and the end that it has not settled, an upper bound.
    pub lag: u64,
    /// Handed out and not settled.
    pub in_flight: u64,
    pub oldest_unread: Option<Timestamp>,
}

/// Why the bus did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BusError {
    /// Try again later: somebody must read first, or the limits must grow.
    #[error("the bus is full: {0}")]
    Full(String),
    #[error("an event of {bytes} bytes is over the bus's limit of {limit} bytes")]
    TooLarge { bytes: u64, limit: u64 },
    #[error("another writer changed `{bucket}/{key}`: expected revision {expected:?}, found {found:?}")]
    Conflict { bucket: String, key: String, expected: Option<Revision>, found: Option<Revision> },
    #[error("the bus is closed")]
    Closed,
    /// The directory belongs to another process.
    #[error("{0}")]
    InUse(String),
    /// The disk or the server failed or refused; trying again may help.
    #[error("the bus can't be used: {0}")]
    Unavailable(String),
    /// It has no place on this bus, a name that its layout can't hold for example; trying again will not help.
    #[error("the bus can't carry it: {0}")]
    Refused(String),
    /// What is stored can't be understood; trying again will not help.
    #[error("the bus is damaged: {0}")]
    Damaged(String),
}

impl BusError {
    /// Would trying again help?
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Unavailable(_))
    }
}
