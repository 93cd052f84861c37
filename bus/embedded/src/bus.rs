//! The bus as everybody else sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bus_core::{
    Bus, BusError, BusStats, Change, Consumer, ConsumerName, ConsumerStats, Durability, EntryKind, Health,
    HealthFailure, Identity, Page, Publication, ReadFilter, Receipt, Start, StateEntry, StateKey,
    Subscription,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use zetes_runtime::Clock;

use crate::codec::{Effect, put_event};
use crate::consumer::EmbeddedConsumer;
use crate::open;
use crate::options::{OpenReport, Options};
use crate::queue::{Answer, Prepared, Queue, Request};
use crate::reader::{self, Pages};
use crate::spare::Spare;
use crate::syncer::Syncer;
use crate::tables::Tables;
use crate::wire::long;

/// What a request takes in the queue beside its bytes, about.
const REQUEST: usize = 512;

/// A bus in one directory. Dropping it without [`Bus::close`] is like a crash: nothing acknowledged is lost.
#[derive(Debug)]
pub struct EmbeddedBus {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) max_event_bytes: u64,
    pub(crate) durability: Durability,
    pub(crate) writer: Mutex<Option<JoinHandle<()>>>,
    /// Held for as long as the bus is.
    pub(crate) lock: File,
}

/// What the bus and its consumers look at.
pub(crate) struct Shared {
    pub(crate) tables: Arc<Mutex<Tables>>,
    pub(crate) clock: Clock,
    pub(crate) pages: Pages,
    pub(crate) news: Arc<watch::Sender<u64>>,
    pub(crate) syncer: Arc<Syncer>,
    pub(crate) spare: Arc<Spare>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, Tables>, BusError> {
        let tables = self.lock();
        if tables.closed { Err(BusError::Closed) } else { Ok(tables) }
    }

    /// Makes consumers look again.
    pub(crate) fn tell(&self) {
        self.news.send_modify(|news| *news += 1);
    }
}

impl EmbeddedBus {
    /// Opens a directory, creating it when it isn't there, and rebuilds everything from it.
    ///
    /// # Errors
    /// [`BusError::InUse`] when another process owns it, [`BusError::Unavailable`] when the disk fails, [`BusError::Full`] when it has no
    /// room, [`BusError::Damaged`] when a newer version has written it.
    pub async fn open(folder: &Path, options: Options) -> Result<(Self, OpenReport), BusError> {
        let folder = folder.to_owned();
        blocking(move || open::open(folder, options)).await
    }

    async fn ask<T>(&self, bytes: usize, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, BusError> {
        let (sender, answer) = oneshot::channel();
        self.queue.send(request(sender), bytes + REQUEST).await?;
        answer.await.map_err(|_| BusError::Closed)?
    }

    /// Encodes a batch here and not in the thread that everybody waits for.
    fn prepare(&self, batch: Vec<Publication>) -> Result<(Vec<Prepared>, Vec<u8>), BusError> {
        let data = |one: &Publication| one.event.data.as_ref().map_or(0, Bytes::len) + 256;
        let (mut events, mut entries) = (Vec::with_capacity(batch.len()), Vec::new());
        entries.reserve(batch.iter().map(data).sum());
        for Publication { namespace, event } in batch {
            let identity = Identity::of(&namespace, &event);
            let begin = entries.len();
            put_event(&mut entries, &namespace, identity, &event);
            let (end, limit) = (entries.len(), self.max_event_bytes);
            let bytes = long(end - begin);
            if bytes > limit {
                return Err(BusError::TooLarge { bytes, limit });
            }
            events.push(Prepared { namespace, identity, event, end });
        }
        Ok((events, entries))
    }

    async fn create(&self, subscription: &Subscription) -> Result<(), BusError> {
        let (view, next_sequence, first_sequence) = {
            let tables = self.shared.open()?;
            let known = tables.readers.get(&subscription.consumer);
            if known.is_some_and(|reader| reader.interests == subscription.interests) {
                return Ok(());
            }
            (tables.log.view(0), tables.next_sequence, tables.first_sequence())
        };
        let start = match subscription.start {
            Start::Now => next_sequence,
            Start::Earliest => first_sequence,
            Start::Sequence(sequence) => sequence,
            Start::Time(time) => {
                blocking(move || reader::first_since(&view, time)).await?.unwrap_or(next_sequence)
            }
        };
        let (consumer, interests) = (subscription.consumer.clone(), subscription.interests.clone());
        self.ask(0, |answer| Request::Write {
            effect: Effect::Consumer { consumer, start, interests },
            answer,
        })
        .await
    }

    fn thread(&self) -> Option<JoinHandle<()>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BusError> + Send + 'static,
) -> Result<T, BusError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| BusError::Unavailable(error.to_string()))?
}

impl Bus for EmbeddedBus {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'_, Result<Vec<Receipt>, BusError>> {
        Box::pin(async move {
            let (events, entries) = self.prepare(batch)?;
            let bytes = entries.len() + events.len() * REQUEST;
            self.ask(bytes, |answer| Request::Publish { events, entries, answer }).await
        })
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Box<dyn Consumer>, BusError>> {
        Box::pin(async move {
            self.create(&subscription).await?;
            let mut tables = self.shared.open()?;
            let holder = tables.next_holder;
            tables.next_holder += 1;
            let reader = tables.readers.get_mut(&subscription.consumer).ok_or(BusError::Closed)?;
            reader.ack_deadline = subscription.ack_deadline;
            reader.max_in_flight = subscription.max_in_flight;
            reader.holders.insert(holder);
            drop(tables);
            let consumer = EmbeddedConsumer {
                shared: self.shared.clone(),
                news: self.shared.news.subscribe(),
                name: subscription.consumer,
                holder,
            };
            Ok(Box::new(consumer) as Box<dyn Consumer>)
        })
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), BusError>> {
        let bytes = changes.iter().map(size_of).sum();
        Box::pin(self.ask(bytes, |answer| Request::Commit { changes, answer }))
    }

    fn get(&self, key: StateKey) -> BoxFuture<'_, Result<Option<StateEntry>, BusError>> {
        Box::pin(async move { Ok(self.shared.open()?.state.get(&key).cloned()) })
    }

    fn list(
        &self,
        bucket: String,
        prefix: String,
    ) -> BoxFuture<'_, Result<Vec<(StateKey, StateEntry)>, BusError>> {
        Box::pin(async move {
            let tables = self.shared.open()?;
            let from = tables.state.range(StateKey::new(bucket.clone(), prefix.clone())..);
            let ours = from.take_while(|(key, _)| key.bucket == bucket && key.key.starts_with(&prefix));
            Ok(ours.map(|(key, entry)| (key.clone(), entry.clone())).collect())
        })
    }

    fn buckets(&self) -> BoxFuture<'_, Result<Vec<String>, BusError>> {
        Box::pin(async move {
            let tables = self.shared.open()?;
            let buckets: BTreeSet<_> = tables.state.keys().map(|key| key.bucket.as_str()).collect();
            Ok(buckets.into_iter().map(str::to_owned).collect())
        })
    }

    fn read(
        &self,
        kind: EntryKind,
        range: Range<u64>,
        filter: ReadFilter,
    ) -> BoxFuture<'_, Result<Page, BusError>> {
        Box::pin(async move {
            let view = self.shared.open()?.log.view(range.start);
            let page = blocking(move || reader::page(&view, kind, &range, &filter)).await?;
            self.shared.pages.tell(&page.damaged);
            Ok(page)
        })
    }

    fn stats(&self) -> BoxFuture<'_, Result<BusStats, BusError>> {
        Box::pin(async move {
            let (mut stats, unknown, view) = self.stats_in_memory()?;
            let sequences: BTreeSet<u64> = unknown.values().copied().collect();
            let times = blocking(move || {
                sequences.into_iter().map(|one| Ok((one, reader::time_of(&view, one)?))).collect()
            });
            let times: BTreeMap<u64, Option<Timestamp>> = times.await?;
            for consumer in &mut stats.consumers {
                let unread = unknown.get(&consumer.name).and_then(|sequence| times.get(sequence).copied());
                let unread = unread.flatten();
                consumer.oldest_unread = consumer.oldest_unread.into_iter().chain(unread).min();
            }
            Ok(stats)
        })
    }

    fn unsettled(&self, name: ConsumerName) -> BoxFuture<'_, Result<Vec<Range<u64>>, BusError>> {
        Box::pin(async move {
            let tables = self.shared.open()?;
            let Some(reader) = tables.readers.get(&name) else { return Ok(Vec::new()) };
            Ok(reader.position.unsettled_within(tables.first_sequence()..tables.next_sequence))
        })
    }

    fn remove_consumer(&self, name: ConsumerName) -> BoxFuture<'_, Result<(), BusError>> {
        let effect = Effect::NoConsumer { consumer: name };
        Box::pin(self.ask(0, |answer| Request::Write { effect, answer }))
    }

    fn health(&self) -> Health {
        let tables = self.shared.lock();
        let mut failure = tables.failure.clone();
        if tables.closed {
            let error = "the bus is closed".to_owned();
            failure = Some(HealthFailure { error, since: self.shared.clock.now() });
        }
        let near = self.shared.spare.no_room().filter(|_| failure.is_none());
        let near = near.map(|error| format!("events are taken until the segment is full: {error}"));
        let unsynced = self.shared.syncer.failure();
        let unsynced = unsynced.map(|error| format!("what is written can't be synced to the disk: {error}"));
        Health { failure, warnings: near.into_iter().chain(unsynced).collect() }
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            let closed = match self.ask(0, |answer| Request::Close { answer }).await {
                Err(BusError::Closed) => Ok(()),
                other => other,
            };
            if let Some(thread) = self.thread() {
                blocking(move || {
                    thread.join().map_err(|_| BusError::Damaged("the bus's thread ended badly".to_owned()))
                })
                .await?;
            }
            closed
        })
    }
}

/// What must be read from the disk for a consumer's statistics: when its first unread sequence was written.
type Unknown = BTreeMap<ConsumerName, u64>;

impl EmbeddedBus {
    fn stats_in_memory(&self) -> Result<(BusStats, Unknown, crate::log::View), BusError> {
        let tables = self.shared.open()?;
        let mut unknown = BTreeMap::new();
        let consumers = tables.readers.iter().map(|(name, reader)| {
            let position = &reader.position;
            let next = position.next_unread();
            let mut oldest = position.oldest_handed().map(|(_, at)| at);
            if next <= tables.last_event {
                match tables.cached_from(next) {
                    Some(mut events) => {
                        oldest = oldest.into_iter().chain(events.next().map(|stored| stored.at)).min();
                    }
                    None => drop(unknown.insert(name.clone(), next)),
                }
            }
            ConsumerStats {
                name: name.clone(),
                lag: position.lag(tables.last_event + 1),
                in_flight: long(position.in_flight()),
                oldest_unread: oldest,
            }
        });
        let consumers = consumers.collect();
        let stats = BusStats {
            durability: self.durability,
            first_sequence: tables.first_sequence(),
            next_sequence: tables.next_sequence,
            events: tables.log.events(),
            bytes: tables.log.bytes(),
            evicted_unread: tables.evicted_unread,
            consumers,
        };
        let first = unknown.values().copied().min().unwrap_or(u64::MAX);
        Ok((stats, unknown, tables.log.view(first)))
    }
}

fn size_of(change: &Change) -> usize {
    match change {
        Change::Ack(_) => 64,
        Change::Put { key, value, .. } => key.bucket.len() + key.key.len() + value.len() + 128,
        Change::Delete { key } => key.bucket.len() + key.key.len() + 128,
        Change::Record { about, record, .. } => about.len() * 64 + record.len() + 128,
    }
}

impl Drop for EmbeddedBus {
    /// Waits for the threads, so that nobody writes to the directory once it is another's.
    fn drop(&mut self) {
        self.queue.abandon();
        if let Some(thread) = self.thread()
            && thread.join().is_err()
        {
            tracing::error!("the bus's thread ended badly; nothing acknowledged is lost");
        }
        // Said and not left to closing the file: a child process that is just being started holds a copy of it.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the bus's directory can't be given back before this process ends");
        }
    }
}
