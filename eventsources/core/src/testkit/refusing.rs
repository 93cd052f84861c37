//! A bus in memory that can be told to take nothing.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bus_core::{
    Bus, BusError, BusStats, Change, Consumer, ConsumerName, EntryKind, Health, MemoryBus, Page, Publication,
    ReadFilter, Receipt, StateEntry, StateKey, Subscription,
};
use futures_util::future::BoxFuture;

/// Refuses to publish and to commit while it is told to.
pub(super) struct RefusingBus {
    memory: MemoryBus,
    refuses: AtomicBool,
    refusals: AtomicUsize,
}

impl RefusingBus {
    pub(super) fn new(memory: MemoryBus) -> Self {
        Self { memory, refuses: AtomicBool::new(false), refusals: AtomicUsize::new(0) }
    }

    pub(super) fn memory(&self) -> &MemoryBus {
        &self.memory
    }

    pub(super) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    pub(super) fn refusals(&self) -> usize {
        self.refusals.load(Ordering::SeqCst)
    }

    fn refusal<T: Send + 'static>(&self) -> Option<BoxFuture<'_, Result<T, BusError>>> {
        if !self.refuses.load(Ordering::SeqCst) {
            return None;
        }
        self.refusals.fetch_add(1, Ordering::SeqCst);
        Some(Box::pin(async { Err(BusError::Full("the test said so".to_owned())) }))
    }
}

impl Bus for RefusingBus {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'_, Result<Vec<Receipt>, BusError>> {
        self.refusal().unwrap_or_else(|| self.memory.publish(batch))
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Box<dyn Consumer>, BusError>> {
        self.memory.subscribe(subscription)
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), BusError>> {
        self.refusal().unwrap_or_else(|| self.memory.commit(changes))
    }

    fn get(&self, key: StateKey) -> BoxFuture<'_, Result<Option<StateEntry>, BusError>> {
        self.memory.get(key)
    }

    fn list(
        &self,
        bucket: String,
        prefix: String,
    ) -> BoxFuture<'_, Result<Vec<(StateKey, StateEntry)>, BusError>> {
        self.memory.list(bucket, prefix)
    }

    fn buckets(&self) -> BoxFuture<'_, Result<Vec<String>, BusError>> {
        self.memory.buckets()
    }

    fn read(
        &self,
        kind: EntryKind,
        range: Range<u64>,
        filter: ReadFilter,
    ) -> BoxFuture<'_, Result<Page, BusError>> {
        self.memory.read(kind, range, filter)
    }

    fn stats(&self) -> BoxFuture<'_, Result<BusStats, BusError>> {
        self.memory.stats()
    }

    fn unsettled(&self, name: ConsumerName) -> BoxFuture<'_, Result<Vec<Range<u64>>, BusError>> {
        self.memory.unsettled(name)
    }

    fn remove_consumer(&self, name: ConsumerName) -> BoxFuture<'_, Result<(), BusError>> {
        self.memory.remove_consumer(name)
    }

    fn health(&self) -> Health {
        self.memory.health()
    }

    fn is_shared(&self) -> bool {
        self.memory.is_shared()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BusError>> {
        self.memory.close()
    }
}
