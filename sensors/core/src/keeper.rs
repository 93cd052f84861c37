//! Keeps one trigger running: makes its consumer, waits for its turn where it must be alone, runs it, and begins anew when the bus could
//! not be used or the lease was lost.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bus_core::{BusError, ConsumerName, StateKey, Subscription};
use sensor_engine::{Machine, Rules};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::lease::{Contender, Lease, RENEWAL};
use crate::runner::{Actions, Redrive, Runner, bucket};
use crate::sensors::{Deps, Status, TriggerState};

/// First pause after the bus could not be used; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One trigger with everything it needs to begin, as often as it takes.
pub(crate) struct Keeper {
    pub(crate) deps: Deps,
    pub(crate) rules: Arc<Rules>,
    pub(crate) actions: Actions,
    pub(crate) subscription: Subscription,
    pub(crate) redrives: mpsc::Receiver<Redrive>,
    pub(crate) status: Status,
    /// Told when the consumer is durable.
    pub(crate) attached: watch::Sender<bool>,
}

impl Keeper {
    /// Runs until `stop`, then finishes what is in hand. Ends early only when the bus is closed or damaged; the status says so.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let (begun, ended) = self.once(&stop).await;
            if begun {
                pause = FIRST_PAUSE;
            }
            match ended {
                Ok(()) | Err(BusError::Closed) => return self.set(TriggerState::Stopped),
                Err(BusError::Conflict { .. }) => {
                    warn!(consumer = %self.name(), "another process has taken over this trigger");
                }
                Err(error) if error.is_transient() => {
                    // The bus itself tells the reason in the log, once for all that use it.
                    debug!(consumer = %self.name(), %error, "the trigger waits for its bus");
                    self.set(TriggerState::Waiting { reason: error.to_string() });
                }
                Err(error) => {
                    error!(consumer = %self.name(), %error, "the trigger has stopped");
                    return self.set(TriggerState::Failed { error: error.to_string() });
                }
            }
            tokio::select! {
                () = stop.cancelled() => return self.set(TriggerState::Stopped),
                () = self.deps.clock.sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// From the subscription to the end of the run; tells whether it came to run at all.
    async fn once(&mut self, stop: &CancellationToken) -> (bool, Result<(), BusError>) {
        let begun = match self.begin(stop).await {
            Ok(Some(runner)) => runner,
            Ok(None) => return (false, Ok(())),
            Err(error) => return (false, Err(error)),
        };
        (true, begun.run(stop).await)
    }

    /// `None`: it was time to stop.
    async fn begin(&mut self, stop: &CancellationToken) -> Result<Option<Runner<'_>>, BusError> {
        let bus = self.deps.bus.clone();
        let mut deliveries = bus.subscribe(self.subscription.clone()).await?;
        self.attached.send_replace(true);
        let mut lease = None;
        if bus.is_shared() && self.rules.must_be_alone() {
            // Who waits takes no share of the deliveries.
            drop(deliveries);
            match self.turn(stop).await? {
                None => return Ok(None),
                taken => lease = taken,
            }
            deliveries = bus.subscribe(self.subscription.clone()).await?;
        }
        let consumer = self.name().clone();
        let stored = bus.list(bucket(&consumer), String::new()).await?;
        let stored = stored.into_iter().map(|(StateKey { key, .. }, entry)| (key, entry.value.to_vec()));
        let machine = Machine::restore(self.rules.clone(), stored, self.deps.clock.now());
        self.set(TriggerState::Serving);
        let max_in_flight = self.subscription.max_in_flight;
        let Self { deps, actions, redrives, status, .. } = self;
        let how = (max_in_flight, lease);
        Ok(Some(Runner::new(deps, (consumer, deliveries), machine, actions.clone(), redrives, status, how)))
    }

    /// Waits for the lease; `None` when it is time to stop first.
    async fn turn(&self, stop: &CancellationToken) -> Result<Option<Lease>, BusError> {
        let (deps, name) = (&self.deps, self.name());
        let mut contender = Contender::new(deps.bus.clone(), deps.clock.clone(), name, &deps.process);
        loop {
            match contender.try_take().await? {
                Ok(lease) => return Ok(Some(lease)),
                Err(holder) => {
                    if self.set_and_differs(TriggerState::Standby { holder: holder.clone() }) {
                        info!(consumer = %name, holder, "another process runs this trigger");
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = deps.clock.sleep(RENEWAL) => {}
            }
        }
    }

    fn name(&self) -> &ConsumerName {
        &self.subscription.consumer
    }

    fn set(&self, state: TriggerState) {
        self.set_and_differs(state);
    }

    fn set_and_differs(&self, state: TriggerState) -> bool {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = status.state != state;
        status.state = state;
        differs
    }
}
