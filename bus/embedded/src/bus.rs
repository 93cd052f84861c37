//! The bus as everybody else sees it.

use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bus_core::{
    Bus, BusError, BusStats, Change, Consumer, ConsumerName, ConsumerStats, Delivery, Durability, Page,
    Publication, ReadFilter, Receipt, Start, StateEntry, StateKey, Subscription, Ticket,
};
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use zetes_runtime::Clock;

use crate::codec::Entry;
use crate::options::{OpenReport, Options};
use crate::reader;
use crate::recovery::{recover, unavailable};
use crate::tables::Tables;
use crate::writer::{QUEUE, Request, Writer};

/// A bus in one directory. Dropping it without [`Bus::close`] is like a crash: nothing acknowledged is lost.
#[derive(Debug)]
pub struct EmbeddedBus {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    writer: Mutex<Option<JoinHandle<()>>>,
    _lock: File,
}

struct Shared {
    tables: Arc<Mutex<Tables>>,
    clock: Clock,
    news: watch::Receiver<u64>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EmbeddedBus {
    /// Opens a directory, creating it when it isn't there, and rebuilds everything from it.
    ///
    /// # Errors
    /// [`BusError::InUse`] when another process owns it, [`BusError::Unavailable`] when the disk fails.
    pub async fn open(folder: &Path, options: Options) -> Result<(Self, OpenReport), BusError> {
        let folder = folder.to_owned();
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(folder, options)).await;
        opened.map_err(|error| BusError::Unavailable(error.to_string()))?
    }

    fn open_blocking(folder: PathBuf, options: Options) -> Result<(Self, OpenReport), BusError> {
        let log = folder.join("log");
        fs::create_dir_all(&log).map_err(|error| unavailable(&log, &error))?;
        let lock = own(&folder)?;
        let mut recovered = recover(&folder, &log, &options)?;
        let next = recovered.tables.next_sequence;
        // What was cached while reading is bounded and of no harm, but it may have holes where the log is damaged.
        recovered.tables.nothing_cached_before(next);
        let tables = Arc::new(Mutex::new(recovered.tables));
        let (sender, news) = watch::channel(0);
        let clock = options.clock.clone();
        let writer = Writer {
            tables: tables.clone(),
            options,
            folder,
            log,
            generation: recovered.generation,
            news: sender,
            spare: None,
            checkpointed_segment: 0,
        };
        let (requests, queue) = mpsc::channel(QUEUE);
        let thread =
            std::thread::Builder::new().name("zetes-bus".to_owned()).spawn(move || writer.run(queue));
        let thread = thread.map_err(|error| BusError::Unavailable(format!("the bus's thread: {error}")))?;
        let bus = Self {
            shared: Arc::new(Shared { tables, clock, news }),
            requests,
            writer: Mutex::new(Some(thread)),
            _lock: lock,
        };
        Ok((bus, recovered.report))
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, BusError>>) -> Request,
    ) -> Result<T, BusError> {
        let (sender, answer) = oneshot::channel();
        self.requests.send(request(sender)).await.map_err(|_| BusError::Closed)?;
        answer.await.map_err(|_| BusError::Closed)?
    }

    async fn create(&self, subscription: &Subscription) -> Result<(), BusError> {
        let entry = {
            let tables = self.shared.lock();
            let known = tables.readers.get(&subscription.consumer);
            if known.is_some_and(|reader| reader.interests == subscription.interests) {
                return Ok(());
            }
            let start = start(&tables, subscription.start);
            Entry::Consumer {
                consumer: subscription.consumer.clone(),
                start,
                interests: subscription.interests.clone(),
            }
        };
        self.ask(|answer| Request::Write { entries: vec![entry], answer }).await
    }
}

/// Takes the directory for this process, or says whose it is.
fn own(folder: &Path) -> Result<File, BusError> {
    let path = folder.join("LOCK");
    let failed = |error: std::io::Error| unavailable(&path, &error);
    let mut lock =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {
            lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id())).map_err(failed)?;
            Ok(lock)
        }
        Err(fs::TryLockError::WouldBlock) => {
            let owner = fs::read_to_string(&path).unwrap_or_default();
            let owner = if owner.is_empty() { String::new() } else { format!(" (process {owner})") };
            Err(BusError::InUse(format!(
                "{} is in use by another process{owner}; stop it, or name another directory",
                folder.display()
            )))
        }
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// The sequence with which a new consumer begins.
fn start(tables: &Tables, start: Start) -> u64 {
    match start {
        Start::Now => tables.next_sequence,
        Start::Earliest => tables.first_sequence(),
        Start::Sequence(sequence) => sequence,
        Start::Time(time) => {
            let (mut from, end) = (tables.first_sequence(), tables.next_sequence);
            while from < end {
                let (events, next) = reader::events(&tables.segments, from, end);
                if let Some(found) = events.iter().find(|event| event.at >= time) {
                    return found.sequence;
                }
                from = next.max(from + 1);
            }
            end
        }
    }
}

impl Bus for EmbeddedBus {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'_, Result<Vec<Receipt>, BusError>> {
        Box::pin(self.ask(|answer| Request::Publish { batch, answer }))
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Box<dyn Consumer>, BusError>> {
        Box::pin(async move {
            self.create(&subscription).await?;
            let now = self.shared.clock.now();
            let mut tables = self.shared.lock();
            let reader = tables.readers.get_mut(&subscription.consumer).ok_or(BusError::Closed)?;
            reader.subscriber += 1;
            reader.ack_deadline = subscription.ack_deadline;
            reader.max_in_flight = subscription.max_in_flight;
            reader.position.take_back_all(now);
            let subscriber = reader.subscriber;
            drop(tables);
            let consumer = EmbeddedConsumer {
                shared: self.shared.clone(),
                news: self.shared.news.clone(),
                name: subscription.consumer,
                subscriber,
            };
            Ok(Box::new(consumer) as Box<dyn Consumer>)
        })
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(self.ask(|answer| Request::Commit { changes, answer }))
    }

    fn get(&self, key: StateKey) -> BoxFuture<'_, Result<Option<StateEntry>, BusError>> {
        Box::pin(async move { Ok(self.shared.lock().state.get(&key).cloned()) })
    }

    fn list(
        &self,
        bucket: String,
        prefix: String,
    ) -> BoxFuture<'_, Result<Vec<(StateKey, StateEntry)>, BusError>> {
        Box::pin(async move {
            let tables = self.shared.lock();
            let from = tables.state.range(StateKey::new(bucket.clone(), prefix.clone())..);
            let ours = from.take_while(|(key, _)| key.bucket == bucket && key.key.starts_with(&prefix));
            Ok(ours.map(|(key, entry)| (key.clone(), entry.clone())).collect())
        })
    }

    fn read(&self, range: Range<u64>, filter: ReadFilter) -> BoxFuture<'_, Result<Page, BusError>> {
        Box::pin(async move {
            let segments = self.shared.lock().segments.clone();
            let page = tokio::task::spawn_blocking(move || reader::page(&segments, &range, &filter)).await;
            page.map_err(|error| BusError::Unavailable(error.to_string()))
        })
    }

    fn stats(&self) -> BoxFuture<'_, Result<BusStats, BusError>> {
        Box::pin(async move {
            let tables = self.shared.lock();
            let consumers = tables.readers.iter().map(|(name, reader)| {
                let in_flight = u64::try_from(reader.position.in_flight()).unwrap_or(u64::MAX);
                let next = reader.position.next_unread();
                let unread = (tables.last_event + 1).saturating_sub(next);
                let unread_at = tables
                    .cached_from(next)
                    .and_then(|mut events| events.next().map(|event| event.at))
                    .filter(|_| unread > 0);
                let oldest =
                    reader.position.oldest_handed().map(|(_, at)| at).into_iter().chain(unread_at).min();
                ConsumerStats {
                    name: name.clone(),
                    lag: unread + in_flight,
                    in_flight,
                    oldest_unread: oldest,
                }
            });
            Ok(BusStats {
                durability: Durability::Fsync,
                first_sequence: tables.first_sequence(),
                next_sequence: tables.next_sequence,
                events: tables.events(),
                bytes: tables.bytes(),
                evicted_unread: tables.evicted_unread,
                consumers: consumers.collect(),
            })
        })
    }

    fn remove_consumer(&self, name: ConsumerName) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(
            self.ask(|answer| Request::Write { entries: vec![Entry::NoConsumer { consumer: name }], answer }),
        )
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            let closed = match self.ask(|answer| Request::Close { answer }).await {
                Err(BusError::Closed) => Ok(()),
                other => other,
            };
            let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                let joined = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
                if !matches!(joined, Ok(true)) {
                    return Err(BusError::Damaged("the bus's thread ended badly".to_owned()));
                }
            }
            closed
        })
    }
}

struct EmbeddedConsumer {
    shared: Arc<Shared>,
    news: watch::Receiver<u64>,
    name: ConsumerName,
    subscriber: u64,
}

/// What a look at the tables gave.
enum Look {
    Deliveries(Vec<Delivery>),
    /// Nothing now; look again when there is news, or at this time.
    Wait(Option<Timestamp>),
    /// The next events are on the disk only.
    Behind(u64),
}

impl EmbeddedConsumer {
    fn look(&self, max: usize) -> Result<Look, BusError> {
        let now = self.shared.clock.now();
        let mut tables = self.shared.lock();
        let room = self.room(&tables, max)?;
        let mut deliveries = self.overdue(&mut tables, now, max);
        let room = room.saturating_sub(deliveries.len());
        let (next, end, last_event) = {
            let reader = tables.readers.get(&self.name).ok_or(BusError::Closed)?;
            (reader.position.next_unread(), tables.next_sequence, tables.last_event)
        };
        if room > 0 && next <= last_event {
            let Some(events) = tables.cached_from(next) else {
                return Ok(if deliveries.is_empty() {
                    Look::Behind(next)
                } else {
                    Look::Deliveries(deliveries)
                });
            };
            let reader = tables.readers.get(&self.name).ok_or(BusError::Closed)?;
            let wanted = events.filter(|one| {
                reader.position.is_unread(one.sequence)
                    && reader.wants(&one.namespace, &self.name, &one.event)
            });
            let found: Vec<_> =
                wanted.take(room).map(|one| (one.sequence, one.at, one.event.clone())).collect();
            let exhausted = found.len() < room;
            deliveries.extend(self.hand_out(&mut tables, found, now));
            if exhausted && let Some(reader) = tables.readers.get_mut(&self.name) {
                reader.position.pass(end);
            }
        }
        let due = tables.readers.get(&self.name).and_then(|reader| reader.position.next_due());
        Ok(if deliveries.is_empty() { Look::Wait(due) } else { Look::Deliveries(deliveries) })
    }

    fn room(&self, tables: &Tables, max: usize) -> Result<usize, BusError> {
        let reader = tables
            .readers
            .get(&self.name)
            .filter(|reader| reader.subscriber == self.subscriber && !tables.closed);
        let reader = reader.ok_or(BusError::Closed)?;
        Ok(reader.max_in_flight.saturating_sub(reader.position.in_flight()).min(max))
    }

    /// Deliveries whose time has come again. They are in flight already, so they need no room.
    fn overdue(&self, tables: &mut Tables, now: Timestamp, max: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        let segments = tables.segments.clone();
        while deliveries.len() < max {
            let Some(reader) = tables.readers.get_mut(&self.name) else { break };
            let Some(sequence) = reader.position.overdue(now) else { break };
            let due = later(now, reader.ack_deadline);
            let Some(count) = reader.position.hand_out_again(sequence, due) else { break };
            let cached = tables
                .cached_from(sequence)
                .and_then(|mut events| events.next())
                .map(|one| (one.sequence, one.at, one.event.clone()));
            let found = cached.filter(|one| one.0 == sequence).or_else(|| {
                let read = reader::events(&segments, sequence, sequence + 1).0.into_iter().next()?;
                Some((read.sequence, read.at, read.event))
            });
            match found {
                Some((_, published_at, event)) => {
                    let ticket = Ticket { consumer: self.name.clone(), sequence };
                    deliveries.push(Delivery { ticket, event, published_at, deliveries: count });
                }
                // The log does not have it any more: there is nothing left to settle.
                None => {
                    if let Some(reader) = tables.readers.get_mut(&self.name) {
                        reader.position.settle(sequence);
                    }
                }
            }
        }
        deliveries
    }

    fn hand_out(
        &self,
        tables: &mut Tables,
        found: Vec<(u64, Timestamp, Arc<zetes_api::Event>)>,
        now: Timestamp,
    ) -> Vec<Delivery> {
        let Some(reader) = tables.readers.get_mut(&self.name) else { return Vec::new() };
        let due = later(now, reader.ack_deadline);
        let hand_out = |(sequence, published_at, event)| {
            let deliveries = reader.position.hand_out(sequence, published_at, due);
            Delivery {
                ticket: Ticket { consumer: self.name.clone(), sequence },
                event,
                published_at,
                deliveries,
            }
        };
        found.into_iter().map(hand_out).collect()
    }

    /// Reads a page from the disk and hands out what of it is wanted.
    async fn catch_up(&self, from: u64, max: usize) -> Result<Vec<Delivery>, BusError> {
        let (segments, end) = {
            let tables = self.shared.lock();
            (tables.segments.clone(), tables.next_sequence)
        };
        let read = tokio::task::spawn_blocking(move || reader::events(&segments, from, end)).await;
        let (events, next) = read.map_err(|error| BusError::Unavailable(error.to_string()))?;
        let now = self.shared.clock.now();
        let mut tables = self.shared.lock();
        let room = self.room(&tables, max)?;
        let reader = tables.readers.get(&self.name).ok_or(BusError::Closed)?;
        let wanted = events.into_iter().filter(|one| {
            reader.position.is_unread(one.sequence) && reader.wants(&one.namespace, &self.name, &one.event)
        });
        let found: Vec<_> = wanted.take(room).map(|one| (one.sequence, one.at, one.event)).collect();
        let exhausted = found.len() < room;
        let deliveries = self.hand_out(&mut tables, found, now);
        if exhausted && let Some(reader) = tables.readers.get_mut(&self.name) {
            reader.position.pass(next);
        }
        Ok(deliveries)
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

impl Consumer for EmbeddedConsumer {
    fn fetch(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>, BusError>> {
        Box::pin(async move {
            loop {
                self.news.mark_unchanged();
                match self.look(max)? {
                    Look::Deliveries(deliveries) => return Ok(deliveries),
                    Look::Behind(from) => {
                        let deliveries = self.catch_up(from, max).await?;
                        if !deliveries.is_empty() {
                            return Ok(deliveries);
                        }
                    }
                    Look::Wait(due) => {
                        let clock = self.shared.clock.clone();
                        tokio::select! {
                            changed = self.news.changed() => changed.map_err(|_| BusError::Closed)?,
                            () = clock.sleep_until(due.unwrap_or(Timestamp::MAX)) => {}
                        }
                    }
                }
            }
        })
    }

    fn nak(&self, ticket: Ticket, delay: Duration) {
        let due = later(self.shared.clock.now(), delay);
        if let Some(reader) = self.shared.lock().readers.get_mut(&self.name) {
            reader.position.postpone(ticket.sequence, due);
        }
    }

    fn progress(&self, tickets: &[Ticket]) {
        let now = self.shared.clock.now();
        if let Some(reader) = self.shared.lock().readers.get_mut(&self.name) {
            let due = later(now, reader.ack_deadline);
            for ticket in tickets {
                reader.position.postpone(ticket.sequence, due);
            }
        }
    }
}
