//! The bus as everybody else sees it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bus_core::{
    Bus, BusError, BusStats, Change, Consumer, ConsumerName, EntryKind, Health, Page, Publication,
    ReadFilter, Receipt, StateEntry, StateKey, Subscription,
};
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::api::PATIENCE;
use crate::held::Tables;
use crate::layout::Layout;
use crate::link::{self, Live, Status, WINDOW};
use crate::options::Options;
use crate::room::Room;
use crate::signals::{self, Signals};

/// A bus on a NATS server or cluster. Dropping it without [`Bus::close`] is like a crash: nothing acknowledged is lost.
pub struct JetStreamBus {
    shared: Arc<Shared>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// What bus and subscribers share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) layout: Layout,
    pub(crate) signals: Signals,
    pub(crate) tables: Tables,
    pub(crate) room: Room,
    /// Messages of all callers that wait for their acknowledgement.
    pub(crate) window: Semaphore,
    pub(crate) evicted: AtomicU64,
    pub(crate) evicted_below: AtomicU64,
    status: watch::Sender<Status>,
}

impl Shared {
    /// The connection, or why there is none.
    pub(crate) fn live(&self) -> Result<Arc<Live>, BusError> {
        self.status.borrow().live()
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    async fn close(&self) {
        let live = self.live();
        if let Ok(live) = &live {
            for reply in self.tables.take_all() {
                self.signals.nak(reply, std::time::Duration::ZERO);
            }
            let sent = async {
                self.signals.flush().await;
                live.client.flush().await
            };
            // A server that is slow to take them leaves it to the ack deadline.
            let _is_sent = tokio::time::timeout(PATIENCE, sent).await.is_ok();
        }
        self.status.send_replace(Status::Closed);
        if let Ok(live) = live {
            live.gone.cancel();
        }
    }
}

impl JetStreamBus {
    /// Returns at once; the connection is made by a task, which tries for ever. Needs a tokio runtime.
    pub fn open(options: Options) -> Self {
        let layout = Layout::new(&options.namespace, &options.name, options.names);
        let (status, _) = watch::channel(Status::beginning(&options));
        let (signals, queue) = Signals::new();
        let tasks = [
            spawn(link::keep(options.clone(), layout.clone(), status.clone())),
            spawn(signals::send(queue, status.subscribe())),
        ];
        let shared = Shared {
            options,
            layout,
            signals,
            tables: Tables::default(),
            room: Room::default(),
            window: Semaphore::new(WINDOW),
            evicted: AtomicU64::new(0),
            evicted_below: AtomicU64::new(0),
            status,
        };
        Self { shared: Arc::new(shared), _tasks: tasks }
    }

    /// Waits until [`Bus::health`] tells something new, then gives it.
    pub async fn changed(&self) -> Health {
        let mut status = self.shared.status();
        status.mark_unchanged();
        let _is_open = status.changed().await.is_ok();
        self.health()
    }

    /// One attempt, for `validate --connect`: whether the bus could be used, and what would be otherwise than asked. Streams that were
    /// not there are not there afterwards.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] with what is wrong and what to do.
    pub async fn check(options: Options) -> Result<Health, BusError> {
        let layout = Layout::new(&options.namespace, &options.name, options.names);
        crate::check::check(&options, &layout).await
    }
}

#[expect(clippy::disallowed_methods, reason = "the handle is kept, and ends the task when it is dropped")]
fn spawn(future: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(future))
}

impl Bus for JetStreamBus {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'_, Result<Vec<Receipt>, BusError>> {
        Box::pin(self.shared.publish(batch))
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Box<dyn Consumer>, BusError>> {
        Box::pin(async move { Ok(Box::new(self.shared.subscribe(subscription).await?) as Box<dyn Consumer>) })
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(self.shared.commit(changes))
    }

    fn get(&self, key: StateKey) -> BoxFuture<'_, Result<Option<StateEntry>, BusError>> {
        Box::pin(async move { self.shared.get(&key).await })
    }

    fn list(
        &self,
        bucket: String,
        prefix: String,
    ) -> BoxFuture<'_, Result<Vec<(StateKey, StateEntry)>, BusError>> {
        Box::pin(async move { self.shared.list(&bucket, &prefix).await })
    }

    fn buckets(&self) -> BoxFuture<'_, Result<Vec<String>, BusError>> {
        Box::pin(self.shared.buckets())
    }

    fn read(
        &self,
        kind: EntryKind,
        range: Range<u64>,
        filter: ReadFilter,
    ) -> BoxFuture<'_, Result<Page, BusError>> {
        Box::pin(self.shared.read(kind, range, filter))
    }

    fn stats(&self) -> BoxFuture<'_, Result<BusStats, BusError>> {
        Box::pin(self.shared.stats())
    }

    fn unsettled(&self, name: ConsumerName) -> BoxFuture<'_, Result<Vec<Range<u64>>, BusError>> {
        Box::pin(async move { self.shared.unsettled(&name).await })
    }

    fn remove_consumer(&self, name: ConsumerName) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move { self.shared.remove_consumer(&name).await })
    }

    fn health(&self) -> Health {
        self.shared.status.borrow().health()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            self.shared.close().await;
            Ok(())
        })
    }
}
