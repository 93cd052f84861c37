//! What a bus promises.
//!
//! A bus carries events from event sources to triggers, keeps the small state that triggers and sources need between
//! restarts, and keeps the record of what was decided. Neither side knows which bus it has.
//!
//! The promises, which the contract suite (feature `contract`) checks on every bus:
//! 1. [`Bus::publish`] returns after the events are durable. An event whose (namespace, source, event, id) the bus has
//!    seen within its duplicate window is not stored again, also after a restart.
//! 2. A consumer exists from the moment [`Bus::subscribe`] returned, outlives the process, and is handed every matching
//!    event published since, in order of sequence for first deliveries, until it is settled by [`Change::Ack`].
//! 3. Settling may happen in any order. What is not settled is handed out again after the ack deadline, after a nak's
//!    delay, and after a restart, with a higher delivery count.
//! 4. [`Bus::commit`] carries out its changes in order, durably, and on one bus directory all or none of them.
//! 5. Unread events are never evicted unless the bus was told to discard old ones; a full bus refuses to publish.
//!
//! It never decides anything, and it never looks into an event's data.

mod duplicates;
mod memory;
mod model;
mod position;

#[cfg(feature = "contract")]
pub mod contract;

use std::ops::Range;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use duplicates::{Duplicates, Identity};
pub use memory::MemoryBus;
pub use model::{
    BusError, BusStats, Change, ConsumerName, ConsumerStats, Delivery, Durability, Entry, EntryBody,
    Interest, Page, Publication, ReadFilter, Receipt, Retention, Revision, Start, StateEntry, StateKey,
    Subscription, Ticket,
};
pub use position::Position;

/// The bus, chosen at run time. All methods may be called from many tasks at once.
pub trait Bus: Send + Sync + 'static {
    /// Stores the batch; returns once all of it is durable, with one receipt per publication in order.
    ///
    /// **Errors** [`BusError::Full`] when retention may not evict and there is no room, [`BusError::TooLarge`] for an event
    /// over the bus's limit; then nothing of the batch is stored. **Cancel safety** the batch may or may not be stored when
    /// the future is dropped; publishing it again is made harmless by the events' ids.
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'_, Result<Vec<Receipt>, BusError>>;

    /// Opens the named consumer, creating it (durably) at `start` when it does not exist yet. A second subscriber of the
    /// same name in one process takes over from the first, whose fetches then fail with [`BusError::Closed`].
    /// Changed interests apply to events from the consumer's position on.
    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Box<dyn Consumer>, BusError>>;

    /// Carries out the changes in order and returns once they are durable.
    ///
    /// **Errors** [`BusError::Conflict`] when an expected revision is not the current one; then none of the changes is made.
    /// **Cancel safety** as for `publish`.
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), BusError>>;

    /// The state entry, as of the last commit that returned.
    fn get(&self, key: StateKey) -> BoxFuture<'_, Result<Option<StateEntry>, BusError>>;

    /// All entries of a bucket whose key begins with `prefix`, in order of key.
    fn list(
        &self,
        bucket: String,
        prefix: String,
    ) -> BoxFuture<'_, Result<Vec<(StateKey, StateEntry)>, BusError>>;

    /// Reads back what the bus still has from a range of sequences, oldest first, at most about 1 MiB a page; for replay
    /// and `explain`. A damaged place is skipped and named in [`Page::damaged`].
    fn read(&self, range: Range<u64>, filter: ReadFilter) -> BoxFuture<'_, Result<Page, BusError>>;

    /// What is on the bus, and how far its consumers are.
    fn stats(&self) -> BoxFuture<'_, Result<BusStats, BusError>>;

    /// Removes a consumer and its position; its unsettled deliveries are gone. Nothing happens when it does not exist.
    fn remove_consumer(&self, name: ConsumerName) -> BoxFuture<'_, Result<(), BusError>>;

    /// Makes everything durable and refuses further work with [`BusError::Closed`].
    fn close(&self) -> BoxFuture<'_, Result<(), BusError>>;
}

/// One open consumer. Its deliveries are settled through [`Bus::commit`].
pub trait Consumer: Send + Sync {
    /// Waits until there is something to hand out, then gives 1 to `max` deliveries.
    ///
    /// **Cancel safety** cancel safe: a delivery that was not returned is handed out by the next fetch.
    fn fetch(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>, BusError>>;

    /// Hands the delivery out again after `delay`, with a higher delivery count. Settled or unknown tickets are no error.
    fn nak(&self, ticket: Ticket, delay: std::time::Duration);

    /// Still at work on these: their ack deadline begins anew.
    fn progress(&self, tickets: &[Ticket]);
}

/// A value in the state store; empty bytes are a value, too.
pub type StateValue = Bytes;
