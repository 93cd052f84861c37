//! What a bus promises.
//!
//! A bus carries events from event sources to triggers, keeps the small state that triggers and sources need between
//! restarts, and keeps the record of what was decided. Neither side knows which bus it has.
//!
//! The promises, which the contract suite (feature `contract`) checks on every bus:
//! 1. [`Bus::publish`] returns after the events are durable. An event whose (namespace, source, event, id) the bus has
//!    seen within its duplicate window is not stored again, also after a restart (S22).
//! 2. A consumer exists from the moment [`Bus::subscribe`] returned, outlives the process, and is handed every matching
//!    event from its start on until it is settled by [`Change::Ack`]. First deliveries come in the order in which the bus
//!    keeps them: of one event of one event source, the order of publishing.
//! 3. Several subscribers of one consumer, in one process or in many, share its deliveries: each goes to one of them.
//! 4. Settling may happen in any order. What is not settled is handed out again after the ack deadline, after a nak's
//!    delay, when its subscriber is dropped, and after a restart, with a higher delivery count.
//! 5. [`Bus::commit`] carries out its changes durably, acknowledgements last. A conflict leaves all of them undone. What a crash leaves is
//!    the first part of them; a bus in one directory leaves all or none.
//! 6. Unread events are never evicted unless the bus was told to discard old ones; a full bus refuses to publish (S42), and takes again
//!    when there is room. Acknowledgements and state are taken for as long as there is any room at all.
//! 7. Namespaces share nothing: no event, no position, no entry of one is seen by another (S44).
//!
//! It never decides anything, and it never looks into an event's data.

mod duplicates;
mod memory;
mod model;
mod position;

#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "contract")]
pub mod contract;

use std::ops::Range;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use duplicates::{Duplicates, Identity};
pub use memory::MemoryBus;
pub use model::{
    BusError, BusStats, Change, ConsumerName, ConsumerStats, Delivery, Durability, Entry, EntryBody,
    EntryKind, Health, HealthFailure, Interest, Page, Publication, ReadFilter, Receipt, Retention, Revision,
    Start, StateEntry, StateKey, Subscription, Ticket,
};
pub use position::{Position, later};

/// The bus, chosen at run time. All methods may be called from many tasks at once.
pub trait Bus: Send + Sync + 'static {
    /// Stores the batch; returns once all of it is durable, with one receipt per publication in order.
    ///
    /// **Errors** [`BusError::Full`] when retention may not evict and there is no room, [`BusError::TooLarge`] for an event
    /// over the bus's limit: then nothing of the batch is stored, except that a server may have stored a first part before it was
    /// full. **Cancel safety** the batch may or may not be stored when the future is dropped. Publishing it again is harmless in
    /// either case, by the events' ids.
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'_, Result<Vec<Receipt>, BusError>>;

    /// Opens a subscriber of the named consumer, creating the consumer (durably) at `start` when it does not exist yet.
    /// Changed interests apply to events from the consumer's position on.
    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Box<dyn Consumer>, BusError>>;

    /// Carries out the changes and returns once they are durable. Acknowledgements stand behind the rest.
    ///
    /// **Errors** [`BusError::Conflict`] when an expected revision is not the current one; then none of the changes is made.
    /// **Cancel safety** as for `publish`.
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), BusError>>;

    /// The state entry, as of the last commit that returned, in whichever process.
    fn get(&self, key: StateKey) -> BoxFuture<'_, Result<Option<StateEntry>, BusError>>;

    /// All entries of a bucket whose key begins with `prefix`, in order of key.
    fn list(
        &self,
        bucket: String,
        prefix: String,
    ) -> BoxFuture<'_, Result<Vec<(StateKey, StateEntry)>, BusError>>;

    /// The buckets that have entries, in order.
    fn buckets(&self) -> BoxFuture<'_, Result<Vec<String>, BusError>>;

    /// Reads back what the bus still has from a range of sequences, in order, at most about 1 MiB a page; for replay
    /// and `explain`. A damaged place is skipped and named in [`Page::damaged`].
    fn read(
        &self,
        kind: EntryKind,
        range: Range<u64>,
        filter: ReadFilter,
    ) -> BoxFuture<'_, Result<Page, BusError>>;

    /// What is on the bus, and how far its consumers are.
    fn stats(&self) -> BoxFuture<'_, Result<BusStats, BusError>>;

    /// The sequences that a consumer has not settled and the bus still has, as ranges in order: what `zetes bus copy` carries. It may hold
    /// more than that (a server that does not tell what it has handed out), never less. Empty where there is no such consumer.
    fn unsettled(&self, name: ConsumerName) -> BoxFuture<'_, Result<Vec<Range<u64>>, BusError>>;

    /// Removes a consumer and its position; its unsettled deliveries are gone. Nothing happens when it does not exist.
    fn remove_consumer(&self, name: ConsumerName) -> BoxFuture<'_, Result<(), BusError>>;

    /// Whether it can be used now. Does not wait; a driver of a server finds out by itself.
    fn health(&self) -> Health;

    /// Whether other processes may use it at the same time. Then who must be alone holds a lease.
    fn is_shared(&self) -> bool;

    /// Makes everything durable and refuses further work with [`BusError::Closed`].
    fn close(&self) -> BoxFuture<'_, Result<(), BusError>>;
}

/// One subscriber of a consumer. Its deliveries are settled through [`Bus::commit`] of the bus that gave it; when it is dropped, what it has
/// not settled is handed out again.
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
