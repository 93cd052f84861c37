//! A bus in memory, for tests: it keeps every promise but durability.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use zetes_api::{Event, EventId, Namespace};

use crate::{
    Bus, BusError, BusStats, Change, Consumer, ConsumerName, ConsumerStats, Delivery, Duplicates, Durability,
    Entry, EntryBody, EntryKind, Health, Identity, Interest, Page, Position, Publication, ReadFilter,
    Receipt, Retention, Revision, Start, StateEntry, StateKey, Subscription, Ticket, later,
};

/// How often a waiting fetch looks at the clock it was given.
const LOOK_AT_CLOCK: Duration = Duration::from_millis(5);
const PAGE_BYTES: usize = 1 << 20;

type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A bus in memory. Clones are the same bus.
#[derive(Clone)]
pub struct MemoryBus {
    now: Now,
    state: Arc<Mutex<State>>,
}

struct State {
    retention: Retention,
    max_event_bytes: u64,
    closed: bool,
    next_sequence: u64,
    next_revision: u64,
    next_holder: u64,
    stored: BTreeMap<u64, Stored>,
    bytes: u64,
    events: u64,
    evicted_unread: u64,
    duplicates: Duplicates,
    consumers: BTreeMap<ConsumerName, Reader>,
    entries: BTreeMap<StateKey, StateEntry>,
}

struct Stored {
    at: Timestamp,
    namespace: Namespace,
    what: What,
}

enum What {
    Event(Arc<Event>),
    Record { about: Vec<EventId>, record: Bytes },
}

struct Reader {
    interests: Vec<Interest>,
    position: Position,
    ack_deadline: Duration,
    max_in_flight: usize,
    /// Its subscribers.
    holders: BTreeSet<u64>,
    wake: Arc<Notify>,
}

struct MemoryConsumer {
    bus: MemoryBus,
    name: ConsumerName,
    holder: u64,
    wake: Arc<Notify>,
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBus").finish_non_exhaustive()
    }
}

impl MemoryBus {
    /// A bus that keeps `retention` and reads the time from `now`. An event may have 2 MiB of data.
    pub fn new(retention: Retention, now: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        let state = State {
            duplicates: Duplicates::new(retention.duplicate_window),
            retention,
            max_event_bytes: 2 << 20,
            closed: false,
            next_sequence: 1,
            next_revision: 1,
            next_holder: 1,
            stored: BTreeMap::new(),
            bytes: 0,
            events: 0,
            evicted_unread: 0,
            consumers: BTreeMap::new(),
            entries: BTreeMap::new(),
        };
        Self { now, state: Arc::new(Mutex::new(state)) }
    }

    /// Ends the process of this bus and begins the next one: consumers are gone, and what they held is handed out again.
    pub fn restart(&self) {
        let mut state = self.lock();
        state.closed = false;
        for reader in state.consumers.values_mut() {
            reader.position = Position::restored(reader.position.unsettled(), reader.position.high_water());
            reader.holders.clear();
            reader.wake.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, BusError> {
        let state = self.lock();
        if state.closed { Err(BusError::Closed) } else { Ok(state) }
    }

    fn subscribe_now(&self, subscription: Subscription) -> Result<Box<dyn Consumer>, BusError> {
        let mut state = self.open()?;
        let start = state.sequence_of(subscription.start);
        let holder = state.next_holder;
        state.next_holder += 1;
        let reader = state.consumers.entry(subscription.consumer.clone()).or_insert_with(|| Reader {
            interests: Vec::new(),
            position: Position::starting_at(start),
            ack_deadline: Duration::ZERO,
            max_in_flight: 0,
            holders: BTreeSet::new(),
            wake: Arc::new(Notify::new()),
        });
        reader.interests = subscription.interests;
        reader.ack_deadline = subscription.ack_deadline;
        reader.max_in_flight = subscription.max_in_flight;
        reader.holders.insert(holder);
        let wake = Arc::clone(&reader.wake);
        Ok(Box::new(MemoryConsumer { bus: self.clone(), name: subscription.consumer, holder, wake }))
    }
}

impl State {
    fn publish(&mut self, batch: &[Publication], now: Timestamp) -> Result<Vec<Receipt>, BusError> {
        let sizes = batch.iter().map(|publication| size(&publication.event));
        if let Some(bytes) = sizes.clone().find(|size| *size > self.max_event_bytes) {
            return Err(BusError::TooLarge { bytes, limit: self.max_event_bytes });
        }
        let events = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.duplicates.forget(now);
        self.make_room(events, sizes.sum(), now)?;
        Ok(batch.iter().map(|publication| self.store_once(publication, now)).collect())
    }

    fn store_once(&mut self, publication: &Publication, now: Timestamp) -> Receipt {
        let identity = Identity::of(&publication.namespace, &publication.event);
        if let Some(sequence) = self.duplicates.find(identity, now) {
            return Receipt { sequence, duplicate: true };
        }
        self.events += 1;
        self.bytes += size(&publication.event);
        let what = What::Event(Arc::clone(&publication.event));
        let sequence = self.store(Stored { at: now, namespace: publication.namespace.clone(), what });
        self.duplicates.insert(identity, sequence, now);
        Receipt { sequence, duplicate: false }
    }

    fn store(&mut self, stored: Stored) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        for (name, reader) in &mut self.consumers {
            if reader.wants(name, &stored) {
                reader.wake.notify_one();
            } else if reader.position.next_unread() == sequence {
                reader.position.pass(sequence + 1);
            }
        }
        self.stored.insert(sequence, stored);
        sequence
    }

    fn make_room(&mut self, events: u64, bytes: u64, now: Timestamp) -> Result<(), BusError> {
        while let Some((&oldest, stored)) = self.stored.first_key_value() {
            let over = self.is_over(events, bytes);
            if !over && !self.is_old(stored.at, now) {
                return Ok(());
            }
            let unread = self.floor() <= oldest && matches!(stored.what, What::Event(_));
            if unread && !self.retention.discard_old {
                return if over { Err(self.full()) } else { Ok(()) };
            }
            self.evict(oldest, unread);
        }
        if self.is_over(events, bytes) { Err(self.full()) } else { Ok(()) }
    }

    fn is_over(&self, events: u64, bytes: u64) -> bool {
        self.retention.max_events.is_some_and(|max| self.events.saturating_add(events) > max)
            || self.retention.max_bytes.is_some_and(|max| self.bytes.saturating_add(bytes) > max)
    }

    fn is_old(&self, at: Timestamp, now: Timestamp) -> bool {
        let max_age = self.retention.max_age.and_then(|age| SignedDuration::try_from(age).ok());
        max_age.is_some_and(|age| now.duration_since(at) > age)
    }

    fn evict(&mut self, sequence: u64, unread: bool) {
        if let Some(Stored { what: What::Event(event), .. }) = self.stored.remove(&sequence) {
            self.events -= 1;
            self.bytes -= size(&event);
            self.evicted_unread += u64::from(unread);
        }
        for reader in self.consumers.values_mut() {
            reader.position.forget_below(sequence + 1);
        }
    }

    fn floor(&self) -> u64 {
        self.consumers.values().map(|reader| reader.position.floor()).min().unwrap_or(u64::MAX)
    }

    fn full(&self) -> BusError {
        let slowest = self.consumers.iter().min_by_key(|(_, reader)| reader.position.floor());
        BusError::Full(slowest.map_or_else(
            || "the batch is over the bus's limits".to_owned(),
            |(name, reader)| {
                format!("consumer {name} is slowest, {} behind", reader.position.lag(self.next_sequence))
            },
        ))
    }

    fn sequence_of(&self, start: Start) -> u64 {
        match start {
            Start::Now => self.next_sequence,
            Start::Earliest => self.first_sequence(),
            Start::Time(time) => {
                let found = self.stored.iter().find(|(_, stored)| stored.at >= time);
                found.map_or(self.next_sequence, |(sequence, _)| *sequence)
            }
            Start::Sequence(sequence) => sequence.max(self.first_sequence()),
        }
    }

    fn first_sequence(&self) -> u64 {
        self.stored.first_key_value().map_or(self.next_sequence, |(sequence, _)| *sequence)
    }

    fn commit(&mut self, changes: Vec<Change>, now: Timestamp) -> Result<(), BusError> {
        self.check(&changes)?;
        for change in changes {
            match change {
                Change::Ack(ticket) => self.settle(&ticket),
                Change::Put { key, value, .. } => {
                    let revision = Revision(self.next_revision);
                    self.next_revision += 1;
                    self.entries.insert(key, StateEntry { value, revision });
                }
                Change::Delete { key } => {
                    self.entries.remove(&key);
                }
                Change::Record { namespace, about, record } => {
                    self.store(Stored { at: now, namespace, what: What::Record { about, record } });
                }
            }
        }
        Ok(())
    }

    /// Expectations are checked in order, each against what the changes before it would leave.
    fn check(&self, changes: &[Change]) -> Result<(), BusError> {
        let mut revision = self.next_revision;
        let mut left: BTreeMap<&StateKey, Option<Revision>> = BTreeMap::new();
        for change in changes {
            match change {
                Change::Put { key, expected, .. } => {
                    let stored = self.entries.get(key).map(|entry| entry.revision);
                    let found = left.get(key).copied().unwrap_or(stored);
                    if let Some(expected) = expected.filter(|expected| *expected != found) {
                        let (bucket, key) = (key.bucket.clone(), key.key.clone());
                        return Err(BusError::Conflict { bucket, key, expected, found });
                    }
                    left.insert(key, Some(Revision(revision)));
                    revision += 1;
                }
                Change::Delete { key } => {
                    left.insert(key, None);
                }
                Change::Ack(_) | Change::Record { .. } => {}
            }
        }
        Ok(())
    }

    fn settle(&mut self, ticket: &Ticket) {
        if let Some(reader) = self.consumers.get_mut(&ticket.consumer) {
            reader.position.settle(ticket.sequence);
            reader.wake.notify_one();
        }
    }

    fn fetch(
        &mut self,
        name: &ConsumerName,
        holder: u64,
        max: usize,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, BusError> {
        let Self { stored, consumers, closed, .. } = self;
        let reader = consumers.get_mut(name).filter(|reader| reader.holders.contains(&holder) && !*closed);
        let reader = reader.ok_or(BusError::Closed)?;
        let mut deliveries = Vec::new();
        let due = later(now, reader.ack_deadline);
        while let Some(sequence) = reader.position.overdue(now).filter(|_| deliveries.len() < max) {
            let Some(Stored { at, what: What::Event(event), .. }) = stored.get(&sequence) else {
                reader.position.settle(sequence);
                continue;
            };
            if let Some(count) = reader.position.hand_out_again(sequence, due, holder) {
                deliveries.push(delivery(name, sequence, *at, event, count));
            }
        }
        for (&sequence, candidate) in stored.range(reader.position.next_unread()..) {
            if deliveries.len() >= max || reader.position.in_flight() >= reader.max_in_flight {
                break;
            }
            let What::Event(event) = &candidate.what else { continue };
            if reader.position.is_unread(sequence) && reader.wants(name, candidate) {
                let count = reader.position.hand_out(sequence, candidate.at, due, holder);
                deliveries.push(delivery(name, sequence, candidate.at, event, count));
            }
        }
        Ok(deliveries)
    }

    fn read(&self, kind: EntryKind, range: Range<u64>, filter: &ReadFilter) -> Page {
        let mut page = Page::default();
        let mut bytes = 0;
        for (&sequence, stored) in self.stored.range(range.start..range.end.max(range.start)) {
            if bytes >= PAGE_BYTES {
                page.next = Some(sequence);
                break;
            }
            if let Some(body) = stored.body(kind, filter) {
                bytes += stored.bytes();
                page.entries.push(Entry {
                    sequence,
                    at: stored.at,
                    namespace: stored.namespace.clone(),
                    body,
                });
            }
        }
        page
    }

    fn stats(&self) -> BusStats {
        let consumers = self.consumers.iter().map(|(name, reader)| ConsumerStats {
            name: name.clone(),
            lag: reader.position.lag(self.next_sequence),
            in_flight: u64::try_from(reader.position.in_flight()).unwrap_or(u64::MAX),
            oldest_unread: self.stored.range(reader.position.floor()..).next().map(|(_, stored)| stored.at),
        });
        BusStats {
            durability: Durability::Memory,
            first_sequence: self.first_sequence(),
            next_sequence: self.next_sequence,
            events: self.events,
            bytes: self.bytes,
            evicted_unread: self.evicted_unread,
            consumers: consumers.collect(),
        }
    }
}

impl Reader {
    fn wants(&self, name: &ConsumerName, stored: &Stored) -> bool {
        let What::Event(event) = &stored.what else { return false };
        name.namespace == stored.namespace && self.interests.iter().any(|interest| interest.wants(event))
    }
}

impl Stored {
    fn body(&self, kind: EntryKind, filter: &ReadFilter) -> Option<EntryBody> {
        if filter.namespace.as_ref().is_some_and(|namespace| *namespace != self.namespace) {
            return None;
        }
        match &self.what {
            What::Event(event) => {
                let is_about = filter.about.as_ref().is_none_or(|about| *about == event.id);
                (kind == EntryKind::Event && is_about).then(|| EntryBody::Event(Arc::clone(event)))
            }
            What::Record { about, record } => {
                let is_about = filter.about.as_ref().is_none_or(|id| about.contains(id));
                (kind == EntryKind::Record && is_about).then(|| EntryBody::Record(record.clone()))
            }
        }
    }

    fn bytes(&self) -> usize {
        match &self.what {
            What::Event(event) => event.data.as_ref().map_or(0, Bytes::len),
            What::Record { record, .. } => record.len(),
        }
    }
}

fn delivery(
    name: &ConsumerName,
    sequence: u64,
    at: Timestamp,
    event: &Arc<Event>,
    deliveries: u32,
) -> Delivery {
    let ticket = Ticket { consumer: name.clone(), sequence };
    Delivery { ticket, event: Arc::clone(event), published_at: at, deliveries }
}

fn size(event: &Event) -> u64 {
    u64::try_from(event.data.as_ref().map_or(0, Bytes::len)).unwrap_or(u64::MAX)
}

impl Bus for MemoryBus {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'_, Result<Vec<Receipt>, BusError>> {
        async move { self.open()?.publish(&batch, (self.now)()) }.boxed()
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Box<dyn Consumer>, BusError>> {
        async move { self.subscribe_now(subscription) }.boxed()
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), BusError>> {
        async move { self.open()?.commit(changes, (self.now)()) }.boxed()
    }

    fn get(&self, key: StateKey) -> BoxFuture<'_, Result<Option<StateEntry>, BusError>> {
        async move { Ok(self.open()?.entries.get(&key).cloned()) }.boxed()
    }

    fn list(
        &self,
        bucket: String,
        prefix: String,
    ) -> BoxFuture<'_, Result<Vec<(StateKey, StateEntry)>, BusError>> {
        async move {
            let state = self.open()?;
            let from = StateKey { bucket, key: prefix };
            let found = state.entries.range(from.clone()..);
            let found =
                found.take_while(|(key, _)| key.bucket == from.bucket && key.key.starts_with(&from.key));
            Ok(found.map(|(key, entry)| (key.clone(), entry.clone())).collect())
        }
        .boxed()
    }

    fn buckets(&self) -> BoxFuture<'_, Result<Vec<String>, BusError>> {
        async move {
            let state = self.open()?;
            let buckets: BTreeSet<_> = state.entries.keys().map(|key| key.bucket.clone()).collect();
            Ok(buckets.into_iter().collect())
        }
        .boxed()
    }

    fn read(
        &self,
        kind: EntryKind,
        range: Range<u64>,
        filter: ReadFilter,
    ) -> BoxFuture<'_, Result<Page, BusError>> {
        async move { Ok(self.open()?.read(kind, range, &filter)) }.boxed()
    }

    fn stats(&self) -> BoxFuture<'_, Result<BusStats, BusError>> {
        async move { Ok(self.open()?.stats()) }.boxed()
    }

    fn unsettled(&self, name: ConsumerName) -> BoxFuture<'_, Result<Vec<Range<u64>>, BusError>> {
        async move {
            let state = self.open()?;
            let Some(reader) = state.consumers.get(&name) else { return Ok(Vec::new()) };
            Ok(reader.position.unsettled_within(state.first_sequence()..state.next_sequence))
        }
        .boxed()
    }

    fn remove_consumer(&self, name: ConsumerName) -> BoxFuture<'_, Result<(), BusError>> {
        async move {
            if let Some(reader) = self.open()?.consumers.remove(&name) {
                reader.wake.notify_waiters();
            }
            Ok(())
        }
        .boxed()
    }

    fn health(&self) -> Health {
        Health::default()
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BusError>> {
        async move {
            let mut state = self.lock();
            state.closed = true;
            for reader in state.consumers.values() {
                reader.wake.notify_waiters();
            }
            Ok(())
        }
        .boxed()
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        let now = (self.bus.now)();
        if let Some(reader) = self.bus.lock().consumers.get_mut(&self.name)
            && reader.holders.remove(&self.holder)
        {
            reader.position.take_back(self.holder, now);
            reader.wake.notify_one();
        }
    }
}

impl Consumer for MemoryConsumer {
    fn fetch(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>, BusError>> {
        async move {
            loop {
                let woken = self.wake.notified();
                let deliveries =
                    self.bus.lock().fetch(&self.name, self.holder, max.max(1), (self.bus.now)())?;
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
                // The given clock can't wake anybody, so it is looked at; being woken earlier is the usual case.
                let _woken_or_time_to_look = tokio::time::timeout(LOOK_AT_CLOCK, woken).await.is_ok();
            }
        }
        .boxed()
    }

    fn nak(&self, ticket: Ticket, delay: Duration) {
        let due = later((self.bus.now)(), delay);
        if let Some(reader) = self.bus.lock().consumers.get_mut(&ticket.consumer) {
            reader.position.postpone(ticket.sequence, due);
            reader.wake.notify_one();
        }
    }

    fn progress(&self, tickets: &[Ticket]) {
        let now = (self.bus.now)();
        let mut state = self.bus.lock();
        for ticket in tickets {
            if let Some(reader) = state.consumers.get_mut(&ticket.consumer) {
                let due = later(now, reader.ack_deadline);
                reader.position.postpone(ticket.sequence, due);
            }
        }
    }
}
