//! The bus as everybody else sees it, and the task that keeps it connected.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus_core::{
    Bus, BusError, BusStats, Change, Consumer, ConsumerName, Delivery, EntryKind, Health, HealthFailure,
    Page, Publication, ReadFilter, Receipt, StateEntry, StateKey, Subscription, Ticket,
};
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::desk::blocking;
use crate::inbox::End;
use crate::live::{Live, connect};
use crate::options::Options;
use crate::reader::Reader;
use crate::warnings::Warnings;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(15);
/// Between two looks at a bus that works, and at one that doesn't.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Old events are removed once in so many looks.
const LOOKS_PER_EXPIRY: u32 = 12;

/// A bus on Kafka brokers. Dropping it without [`Bus::close`] is like a crash: nothing acknowledged is lost.
pub struct KafkaBus {
    shared: Arc<Shared>,
    _keeper: AbortOnDropHandle<()>,
}

struct Shared {
    options: Options,
    warnings: Arc<Warnings>,
    phase: watch::Sender<Phase>,
    /// Why it can't be used now.
    failure: Mutex<Option<HealthFailure>>,
    hurry: Notify,
}

#[derive(Clone)]
enum Phase {
    Connecting,
    Connected(Arc<Live>),
    Closed,
}

impl std::fmt::Debug for KafkaBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaBus")
            .field("connection", &self.shared.options.connection)
            .finish_non_exhaustive()
    }
}

impl KafkaBus {
    /// Returns at once. The bus connects by itself and tries for ever; [`Bus::health`] tells why it has not yet.
    pub fn open(options: Options) -> Self {
        let failure = HealthFailure {
            error: format!("connecting to the brokers at {}", options.connection.url),
            since: options.clock.now(),
        };
        let shared = Arc::new(Shared {
            options,
            warnings: Arc::default(),
            phase: watch::Sender::new(Phase::Connecting),
            failure: Mutex::new(Some(failure)),
            hurry: Notify::new(),
        });
        let keeper = {
            let shared = shared.clone();
            spawn(async move { shared.keep().await })
        };
        Self { shared, _keeper: keeper }
    }

    /// One attempt to do all that [`KafkaBus::open`] does.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] with what is wrong and what to do.
    pub async fn check(options: Options) -> Result<Health, BusError> {
        let warnings = Arc::default();
        let live = connect(&options, &warnings).await?;
        blocking(move || drop(live)).await?;
        Ok(Health { failure: None, warnings: warnings.all() })
    }

    /// Waits until it can be used for the first time, or again.
    pub async fn connected(&self) {
        let mut phase = self.shared.phase.subscribe();
        let _connected = phase.wait_for(|phase| matches!(phase, Phase::Connected(_))).await.is_ok();
    }
}

/// A task that ends with its owner.
#[expect(clippy::disallowed_methods, reason = "the handle that is returned owns the task")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

impl Shared {
    /// Connects, looks whether it still works, and connects anew where it must.
    async fn keep(&self) {
        let mut pause = FIRST_PAUSE;
        while !self.is_closed() {
            match connect(&self.options, &self.warnings).await {
                Ok(live) => {
                    pause = FIRST_PAUSE;
                    self.tend(live).await;
                }
                Err(error) => {
                    self.fail(reason(error));
                    self.wait(pause).await;
                    pause = LAST_PAUSE.min(pause * 2);
                }
            }
        }
    }

    /// Returns when the connection must be made anew, or the bus is closed.
    async fn tend(&self, live: Live) {
        let live = Arc::new(live);
        // Before anybody is told that it is connected.
        self.recover();
        let entered = self.phase.send_if_modified(|phase| {
            let is_open = !matches!(phase, Phase::Closed);
            if is_open {
                *phase = Phase::Connected(live.clone());
            }
            is_open
        });
        if !entered {
            return;
        }
        let (mut pause, mut looks) = (LOOK_EVERY, 0);
        loop {
            self.wait(pause).await;
            if self.is_closed() {
                return;
            }
            looks += 1;
            match live.check().await {
                Ok(()) => {
                    self.recover();
                    pause = LOOK_EVERY;
                }
                Err(trouble) => {
                    self.fail(trouble.text);
                    pause = LOOK_AGAIN;
                    if trouble.is_final {
                        break;
                    }
                }
            }
            if looks % LOOKS_PER_EXPIRY == 0
                && let Err(error) = live.room.expire(&live.common, &live.readers()).await
            {
                tracing::warn!(%error, "events older than the bus's retention were not removed");
            }
        }
        self.phase.send_if_modified(|phase| {
            let is_open = !matches!(phase, Phase::Closed);
            if is_open {
                *phase = Phase::Connecting;
            }
            is_open
        });
        let ended = live.end(&End::Failed("the connection is made anew".to_owned())).await;
        if let Err(error) = ended {
            tracing::warn!(%error, "the old connection to Kafka did not end well");
        }
    }

    async fn wait(&self, pause: Duration) {
        let _hurried = tokio::time::timeout(pause, self.hurry.notified()).await.is_ok();
    }

    fn is_closed(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Closed)
    }

    fn fail(&self, error: String) {
        let mut failure = self.failure();
        let since = failure.as_ref().map_or_else(|| self.options.clock.now(), |failure| failure.since);
        if failure.as_ref().is_none_or(|told| told.error != error) {
            tracing::warn!(error, "the Kafka bus can't be used");
        }
        *failure = Some(HealthFailure { error, since });
    }

    fn recover(&self) {
        if self.failure().take().is_some() {
            tracing::info!(brokers = self.options.connection.url, "the Kafka bus is connected");
        }
    }

    fn failure(&self) -> MutexGuard<'_, Option<HealthFailure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> Result<Arc<Live>, BusError> {
        let phase = self.phase.borrow().clone();
        match (phase, self.failure().as_ref()) {
            (Phase::Closed, _) => Err(BusError::Closed),
            (Phase::Connected(live), None) => Ok(live),
            (_, Some(failure)) => Err(BusError::Unavailable(failure.error.clone())),
            (Phase::Connecting, None) => Err(BusError::Unavailable("connecting to the brokers".to_owned())),
        }
    }
}

/// Without the words that every unavailable bus has.
fn reason(error: BusError) -> String {
    match error {
        BusError::Unavailable(reason) => reason,
        other => other.to_string(),
    }
}

impl Bus for KafkaBus {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'_, Result<Vec<Receipt>, BusError>> {
        Box::pin(async move { self.shared.live()?.publish(&batch).await })
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Box<dyn Consumer>, BusError>> {
        Box::pin(async move {
            let (reader, holder) = self.shared.live()?.subscribe(&subscription).await?;
            let shared = self.shared.clone();
            let hold = Some(Hold { reader, holder });
            Ok(Box::new(KafkaConsumer { shared, subscription, hold }) as Box<dyn Consumer>)
        })
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move { self.shared.live()?.commit(changes).await })
    }

    fn get(&self, key: StateKey) -> BoxFuture<'_, Result<Option<StateEntry>, BusError>> {
        Box::pin(async move { self.shared.live()?.state().get(&key).await })
    }

    fn list(
        &self,
        bucket: String,
        prefix: String,
    ) -> BoxFuture<'_, Result<Vec<(StateKey, StateEntry)>, BusError>> {
        Box::pin(async move { self.shared.live()?.state().list(&bucket, &prefix).await })
    }

    fn buckets(&self) -> BoxFuture<'_, Result<Vec<String>, BusError>> {
        Box::pin(async move { self.shared.live()?.state().buckets().await })
    }

    fn read(
        &self,
        kind: EntryKind,
        range: Range<u64>,
        filter: ReadFilter,
    ) -> BoxFuture<'_, Result<Page, BusError>> {
        Box::pin(async move { self.shared.live()?.read(kind, range, filter).await })
    }

    fn stats(&self) -> BoxFuture<'_, Result<BusStats, BusError>> {
        Box::pin(async move { self.shared.live()?.stats().await })
    }

    fn unsettled(&self, name: ConsumerName) -> BoxFuture<'_, Result<Vec<Range<u64>>, BusError>> {
        Box::pin(async move { self.shared.live()?.unsettled(&name).await })
    }

    fn remove_consumer(&self, name: ConsumerName) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move { self.shared.live()?.remove_consumer(&name).await })
    }

    fn health(&self) -> Health {
        Health { failure: self.shared.failure().clone(), warnings: self.shared.warnings.all() }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            let before = self.shared.phase.send_replace(Phase::Closed);
            self.shared.hurry.notify_one();
            match before {
                Phase::Connected(live) => {
                    live.end(&End::Closed).await?;
                    blocking(move || drop(live)).await
                }
                Phase::Connecting | Phase::Closed => Ok(()),
            }
        })
    }
}

/// One subscriber. Where its reader failed it begins anew with the next one.
struct KafkaConsumer {
    shared: Arc<Shared>,
    subscription: Subscription,
    hold: Option<Hold>,
}

/// A place at a reader, given up when it is dropped.
struct Hold {
    reader: Arc<Reader>,
    holder: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.reader.leave(self.holder);
    }
}

impl KafkaConsumer {
    async fn fetch_some(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        let hold = if let Some(hold) = &self.hold {
            hold
        } else {
            let (reader, holder) = self.shared.live()?.subscribe(&self.subscription).await?;
            self.hold.insert(Hold { reader, holder })
        };
        match hold.reader.fetch(hold.holder, max).await {
            Ok(deliveries) => Ok(deliveries),
            Err(End::Failed(reason)) if !self.shared.is_closed() => {
                self.hold = None;
                Err(BusError::Unavailable(reason))
            }
            Err(_) => Err(BusError::Closed),
        }
    }
}

impl Consumer for KafkaConsumer {
    fn fetch(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>, BusError>> {
        Box::pin(self.fetch_some(max))
    }

    fn nak(&self, ticket: Ticket, delay: Duration) {
        if let Some(hold) = &self.hold {
            hold.reader.nak(&ticket, delay);
        }
    }

    fn progress(&self, tickets: &[Ticket]) {
        if let Some(hold) = &self.hold {
            hold.reader.progress(tickets);
        }
    }
}
