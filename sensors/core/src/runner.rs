//! Carries out what the machine of one trigger says.
//!
//! One loop: take what has happened (deliveries, ends of attempts, time), step the machine, make the durable effects of the whole
//! batch durable in one commit, then begin the attempts. Nothing is fetched beyond the rounds that may be in hand, so the
//! memory is bounded and a slow target holds up only its own trigger.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bus_core::{Bus, BusError, Change, Consumer, ConsumerName, Delivery, StateKey, Ticket};
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::gauge::Gauge;
use sensor_engine::{Effect, Failure, Input, Machine, Match, Round, TicketId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use zetes_api::{Decision, Role};
use zetes_runtime::Clock;

use crate::erased::Action;
use crate::lease::{Lease, RENEWAL};
use crate::metrics::TriggerMetrics;
use crate::sensors::{ACK_DEADLINE, Deps, RedriveError, Status};
use crate::{DeadLetter, Error, Outcome};

/// Deliveries of one fetch, and ends of attempts of one step.
const BATCH: usize = 256;
/// As `BATCH`, where scripts look at the events: each may take its time limit.
const SCRIPT_BATCH: usize = 32;
/// Waiting events that the status names.
const WAITING_SHOWN: usize = 20;
/// First pause after the bus has refused a commit; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Pause after the bus could not be read.
const FETCH_PAUSE: SignedDuration = SignedDuration::from_millis(500);

/// The bucket of a trigger's state.
pub(crate) fn bucket(consumer: &ConsumerName) -> String {
    format!("{}/sensor/{}/{}", consumer.namespace, consumer.sensor, consumer.trigger)
}

/// One trigger, with everything it needs to run.
pub(crate) struct Runner<'k> {
    bus: Arc<dyn Bus>,
    /// Held where this trigger must be alone and others use the same bus.
    lease: Option<Lease>,
    clock: Clock,
    consumer: ConsumerName,
    deliveries: Box<dyn Consumer>,
    machine: Machine,
    /// What the machine said when it was restored.
    first: Vec<Effect>,
    actions: Actions,
    redrives: &'k mut mpsc::Receiver<Redrive>,
    status: &'k Status,
    attempts: JoinSet<Ended>,
    tickets: BTreeMap<TicketId, Ticket>,
    next_ticket: TicketId,
    wake_at: Option<Timestamp>,
    /// Nothing is fetched before: the bus could not be used a moment ago.
    fetch_at: Option<Timestamp>,
    max_in_flight: usize,
    metrics: TriggerMetrics,
    /// Dead letters of the whole bus.
    dead_letters: Gauge,
}

/// How one attempt ended.
struct Ended {
    round: Arc<Round>,
    result: Result<Outcome, Error>,
    took: Duration,
}

/// The actions of a trigger.
#[derive(Clone)]
pub(crate) struct Actions {
    pub(crate) main: Arc<Action>,
    pub(crate) dlq_trigger: Option<Arc<Action>>,
    pub(crate) on_expire: Option<Arc<Action>>,
}

/// A dead letter that is to be fired again; the answer comes when that is durable.
pub(crate) struct Redrive {
    pub(crate) letter: DeadLetter,
    pub(crate) answer: oneshot::Sender<Result<(), RedriveError>>,
}

/// What woke the loop.
enum Woken {
    Again,
    Inputs(Vec<Input>),
    Deliveries(Vec<Delivery>),
    Redrive(Box<Redrive>),
    StillAtWork,
    Renew,
    Stop,
}

impl<'k> Runner<'k> {
    pub(crate) fn new(
        deps: &Deps,
        (consumer, deliveries): (ConsumerName, Box<dyn Consumer>),
        (machine, first): (Machine, Vec<Effect>),
        actions: Actions,
        redrives: &'k mut mpsc::Receiver<Redrive>,
        status: &'k Status,
        (max_in_flight, lease): (usize, Option<Lease>),
    ) -> Self {
        let metrics = deps.metrics.of_trigger(&consumer.namespace, &consumer.sensor, &consumer.trigger);
        Self {
            bus: deps.bus.clone(),
            lease,
            clock: deps.clock.clone(),
            consumer,
            deliveries,
            machine,
            first,
            actions,
            redrives,
            status,
            attempts: JoinSet::new(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            wake_at: None,
            fetch_at: None,
            max_in_flight,
            metrics,
            dead_letters: deps.metrics.dead_letters(&deps.bus_name),
        }
    }

    /// Runs until `stop`, then finishes the attempts in hand.
    ///
    /// # Errors
    /// [`BusError::Conflict`] when the lease was lost: what was not committed is handed to whoever has it now. Others as the bus says.
    pub(crate) async fn run(mut self, stop: &CancellationToken) -> Result<(), BusError> {
        let first = std::mem::take(&mut self.first);
        self.carry_out(first).await?;
        loop {
            self.tell();
            match self.woken(stop).await? {
                Woken::Again => {}
                Woken::Inputs(inputs) => self.step(inputs).await?,
                Woken::Deliveries(deliveries) => {
                    let inputs = self.judged(deliveries).await;
                    self.step(inputs).await?;
                }
                Woken::Redrive(redrive) => self.redrive(*redrive).await?,
                Woken::StillAtWork => {
                    self.deliveries.progress(&self.tickets.values().cloned().collect::<Vec<_>>());
                }
                Woken::Renew => self.commit(Vec::new()).await?,
                Woken::Stop => break,
            }
        }
        while let Some(inputs) = self.ended().await {
            self.step(inputs).await?;
            self.tell();
        }
        match self.lease {
            Some(lease) => lease.release().await,
            None => Ok(()),
        }
    }

    fn tell(&self) {
        let count = self.machine.waiting_count();
        self.metrics.waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
        let waiting = self.machine.waiting().map(|(_, event)| event).take(WAITING_SHOWN).collect();
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.in_hand = self.machine.in_hand();
        status.waiting_events = count;
        status.waiting = waiting;
    }

    /// Waits for the next thing that happens. Everything that is waited for is cancel safe.
    async fn woken(&mut self, stop: &CancellationToken) -> Result<Woken, BusError> {
        let batch = if self.machine.rules().runs_scripts() { SCRIPT_BATCH } else { BATCH };
        let room = self.max_in_flight.saturating_sub(self.machine.in_hand()).min(batch);
        let (clock, wake_at) = (self.clock.clone(), self.wake_at);
        let still = clock.sleep(ACK_DEADLINE / 3);
        let renew = clock.sleep(RENEWAL);
        let fetch_at = self.fetch_at;
        tokio::select! {
            () = stop.cancelled() => Ok(Woken::Stop),
            Some(ended) = self.attempts.join_next(), if !self.attempts.is_empty() => {
                let mut inputs = Vec::new();
                inputs.extend(ended.ok().map(|ended| self.end(ended)));
                self.more_ended(&mut inputs);
                Ok(Woken::Inputs(inputs))
            }
            () = clock.sleep_until(wake_at.unwrap_or(Timestamp::MAX)), if wake_at.is_some() => {
                self.wake_at = None;
                Ok(Woken::Inputs(vec![Input::Tick]))
            }
            deliveries = self.deliveries.fetch(room), if room > 0 && fetch_at.is_none() => {
                match deliveries {
                    Err(error) if error.is_transient() => {
                        debug!(consumer = %self.consumer, %error, "nothing can be fetched now");
                        self.fetch_at = Some(self.clock.now() + FETCH_PAUSE);
                        Ok(Woken::Again)
                    }
                    deliveries => Ok(Woken::Deliveries(deliveries?)),
                }
            }
            () = clock.sleep_until(fetch_at.unwrap_or(Timestamp::MAX)), if fetch_at.is_some() => {
                self.fetch_at = None;
                Ok(Woken::Again)
            }
            Some(redrive) = self.redrives.recv() => Ok(Woken::Redrive(Box::new(redrive))),
            () = still, if !self.tickets.is_empty() => Ok(Woken::StillAtWork),
            () = renew, if self.lease.is_some() => Ok(Woken::Renew),
        }
    }

    /// The ends of attempts in hand, at a stop; `None` when there are none left.
    async fn ended(&mut self) -> Option<Vec<Input>> {
        let ended = self.attempts.join_next().await?;
        let mut inputs = Vec::new();
        inputs.extend(ended.ok().map(|ended| self.end(ended)));
        self.more_ended(&mut inputs);
        Some(inputs)
    }

    fn more_ended(&mut self, inputs: &mut Vec<Input>) {
        while inputs.len() < BATCH
            && let Some(ended) = self.attempts.try_join_next()
        {
            inputs.extend(ended.ok().map(|ended| self.end(ended)));
        }
    }

    fn end(&self, ended: Ended) -> Input {
        let key = ended.round.key.clone();
        self.metrics.attempt(ended.result.is_ok(), ended.took);
        match ended.result {
            Ok(outcome) => {
                self.observe_end_to_end(&ended.round);
                Input::Fired { key, outcome: outcome.summary, fallbacks: outcome.fallbacks }
            }
            Err(error) => {
                warn!(
                    namespace = %ended.round.namespace, sensor = %ended.round.sensor, triggerName = %ended.round.trigger,
                    %error, "attempt failed"
                );
                Input::Failed {
                    key,
                    failure: Failure { transient: error.is_transient(), message: error.to_string() },
                }
            }
        }
    }

    fn observe_end_to_end(&self, round: &Round) {
        let now = self.clock.now();
        for time in round.events.values().filter_map(|event| event.time) {
            self.metrics.end_to_end.observe(now.duration_since(time).as_secs_f64().max(0.0));
        }
    }

    /// What the dependencies make of the events. Scripts run where they hold up nobody else.
    async fn judged(&mut self, deliveries: Vec<Delivery>) -> Vec<Input> {
        let rules = self.machine.rules().clone();
        let events: Vec<_> = deliveries.iter().map(|delivery| delivery.event.clone()).collect();
        let judge = move || -> Vec<Vec<Match>> { events.iter().map(|event| rules.judge(event)).collect() };
        let matches = if self.machine.rules().runs_scripts() {
            // A panic in a script's engine must not take the trigger: its events are handed out again.
            tokio::task::spawn_blocking(judge).await.unwrap_or_default()
        } else {
            judge()
        };
        deliveries
            .into_iter()
            .zip(matches)
            .map(|(delivery, matches)| {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.tickets.insert(ticket, delivery.ticket);
                Input::Arrived { ticket, matches }
            })
            .collect()
    }

    /// The letter leaves the dead letters in the commit that takes its round in hand.
    async fn redrive(&mut self, redrive: Redrive) -> Result<(), BusError> {
        let Redrive { letter, answer } = redrive;
        let round = match letter.round() {
            Ok(round) => round,
            Err(error) => {
                drop(answer.send(Err(RedriveError::Damaged(error.to_string()))));
                return Ok(());
            }
        };
        let effects = self.machine.step(self.clock.now(), Input::Redrive { round });
        self.carry_out_with(effects, vec![Change::Delete { key: letter.id.state_key() }]).await?;
        self.dead_letters.dec();
        drop(answer.send(Ok(())));
        Ok(())
    }

    async fn step(&mut self, inputs: Vec<Input>) -> Result<(), BusError> {
        let now = self.clock.now();
        let effects: Vec<Effect> =
            inputs.into_iter().flat_map(|input| self.machine.step(now, input)).collect();
        self.carry_out(effects).await
    }

    /// The durable effects of the whole batch in one commit, then the attempts.
    async fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), BusError> {
        self.carry_out_with(effects, Vec::new()).await
    }

    /// As [`Self::carry_out`], with other changes in the same commit.
    async fn carry_out_with(
        &mut self,
        effects: Vec<Effect>,
        mut changes: Vec<Change>,
    ) -> Result<(), BusError> {
        let (mut rounds, mut decisions, mut settled, mut letters) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for effect in effects {
            match effect {
                Effect::Fire { round, attempt } => rounds.push((round, attempt)),
                Effect::WakeAt(at) => self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at))),
                Effect::Settle { ticket } => settled.push(ticket),
                Effect::Record(decision) => {
                    changes.extend(record(&decision));
                    decisions.push(decision);
                }
                Effect::Store { key, value } => {
                    let key = StateKey::new(bucket(&self.consumer), key);
                    changes.push(Change::Put { key, value: value.into(), expected: None });
                }
                Effect::Forget { key } => {
                    changes.push(Change::Delete { key: StateKey::new(bucket(&self.consumer), key) });
                }
                Effect::DeadLetter { round, attempts, reason, error } => {
                    letters += 1;
                    changes.extend(self.dead_letter(&round, attempts, reason, &error));
                }
            }
        }
        // Behind everything else of the batch: a delivery is settled when its outcome stands.
        changes.extend(settled.iter().filter_map(|ticket| self.tickets.remove(ticket)).map(Change::Ack));
        self.commit(changes).await?;
        self.dead_letters.inc_by(letters);
        for decision in &decisions {
            debug!(consumer = %self.consumer, verdict = ?decision.verdict, "decided");
            self.metrics.decided(decision);
        }
        for (round, _attempt) in rounds {
            self.begin(round);
        }
        Ok(())
    }

    fn begin(&mut self, round: Arc<Round>) {
        let action = match round.role {
            Role::Main => Some(self.actions.main.clone()),
            Role::DlqTrigger => self.actions.dlq_trigger.clone(),
            Role::OnExpire => self.actions.on_expire.clone(),
        };
        self.attempts.spawn(async move {
            let begin = tokio::time::Instant::now();
            let result = match action {
                None => Err(Error::permanent("the trigger has no such action any more")),
                Some(action) => {
                    AssertUnwindSafe(action.fire(&round)).catch_unwind().await.unwrap_or_else(|_| {
                        Err(Error::permanent("the trigger panicked; this is a defect of Zetes"))
                    })
                }
            };
            Ended { round, result, took: begin.elapsed() }
        });
    }

    fn dead_letter(&self, round: &Round, attempts: u32, reason: &'static str, error: &str) -> Option<Change> {
        error!(consumer = %self.consumer, reason, error, "dead-lettered");
        let rules = self.machine.rules().version();
        DeadLetter::of(round, self.clock.now(), rules, (attempts, reason, error)).put()
    }

    /// Commits, as often as it takes: what was decided is neither skipped nor reordered.
    async fn commit(&mut self, changes: Vec<Change>) -> Result<(), BusError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let committed = match &mut self.lease {
                Some(lease) => lease.commit(changes.clone()).await,
                None if changes.is_empty() => Ok(()),
                None => self.bus.commit(changes.clone()).await,
            };
            match committed {
                Err(error) if error.is_transient() => {
                    warn!(consumer = %self.consumer, %error, ?pause, "the bus did not take a decision, trying again");
                    self.clock.sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                ended => return ended,
            }
        }
    }
}

fn record(decision: &Decision) -> Option<Change> {
    let about = decision.events.iter().map(|event| event.id.clone()).collect();
    let record = serde_json::to_vec(decision).ok()?;
    Some(Change::Record { namespace: decision.namespace.clone(), about, record: record.into() })
}
