//! The machine of one trigger: what waits, what is being fired, and what to do next.
//!
//! Everything that a restart must know is stored before the delivery that caused it is settled. Collections hold at most
//! one event per dependency, and the rounds that have not ended; the caller bounds those by [`Machine::in_hand`].

mod arrive;
mod attempt;
mod key;
mod restore;
mod stored;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use zetes_api::{Decision, DependencyName, Event, EventRef, IdempotencyKey, Verdict};

use crate::model::{Effect, HeldEvent, Input, Round, TicketId};
use crate::rules::Rules;

/// Why a waiting event was given up.
const RESET: &str = "conditions-reset";

/// Decides for one trigger. Equal inputs in equal order give equal effects.
#[derive(Debug)]
pub struct Machine {
    rules: Arc<Rules>,
    /// The newest accepted event of each dependency (S16).
    waiting: BTreeMap<DependencyName, HeldEvent>,
    /// Rounds that have not ended.
    rounds: BTreeMap<IdempotencyKey, Live>,
    /// For each delivery that is not settled yet, how many rounds it waits for.
    deliveries: BTreeMap<TicketId, usize>,
    /// Rounds whose next attempt may begin as soon as the rate limit allows.
    queue: VecDeque<IdempotencyKey>,
    /// Rounds between two attempts, and when the next one is due.
    pauses: BTreeSet<(Timestamp, IdempotencyKey)>,
    /// When the rate limit allows the next attempt.
    next_slot: Option<Timestamp>,
    /// When what waits is to be forgotten; known while something waits.
    next_reset: Option<Timestamp>,
    /// The earliest tick that has been asked for and has not come.
    wake: Option<Timestamp>,
}

/// A round that has not ended.
#[derive(Debug)]
struct Live {
    round: Arc<Round>,
    /// Attempts begun.
    attempts: u32,
    /// An attempt has begun and its answer has not come.
    is_firing: bool,
    /// Deliveries that are settled when it ends.
    tickets: Vec<TicketId>,
    /// It is stored, and to be forgotten when it ends.
    is_stored: bool,
    /// The record says that it is delayed by the rate limit.
    is_delay_recorded: bool,
}

impl Machine {
    /// A machine that has seen nothing.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            waiting: BTreeMap::new(),
            rounds: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            queue: VecDeque::new(),
            pauses: BTreeSet::new(),
            next_slot: None,
            next_reset: None,
            wake: None,
        }
    }

    /// What to do about an input, in order.
    pub fn step(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.reset(now, &mut effects);
        match input {
            Input::Arrived { ticket, event } => self.arrived(now, ticket, &event, &mut effects),
            Input::Fired { key, outcome } => self.fired(now, &key, outcome, &mut effects),
            Input::Failed { key, failure } => self.failed(now, &key, failure, &mut effects),
            Input::Tick => self.wake = None,
        }
        self.go_on(now, &mut effects);
        effects
    }

    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Rounds that have not ended, or deliveries that are not settled, whichever is more. Fetch no more from the bus
    /// while this is at the bound.
    pub fn in_hand(&self) -> usize {
        self.rounds.len().max(self.deliveries.len())
    }

    /// The events that wait for the conditions to hold.
    pub fn waiting(&self) -> impl Iterator<Item = (&DependencyName, EventRef)> {
        self.waiting.iter().map(|(dependency, held)| (dependency, held.event.to_ref()))
    }

    /// Begins what may begin, and asks for the next tick.
    fn go_on(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.begin_attempts(now, effects);
        let due = [self.next_pause(), self.next_queued(), self.next_reset_of_waiting()];
        let Some(next) = due.into_iter().flatten().min() else { return };
        if self.wake.is_none_or(|wake| next < wake) {
            self.wake = Some(next);
            effects.push(Effect::WakeAt(next));
        }
    }

    fn next_reset_of_waiting(&self) -> Option<Timestamp> {
        self.next_reset.filter(|_| !self.waiting.is_empty())
    }

    /// Gives up what was accepted before the latest reset (S18).
    fn reset(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.next_reset.is_none_or(|reset| now < reset) {
            return;
        }
        let latest = self.rules.last_reset(now);
        self.expire(now, effects, |_, held| {
            latest.is_some_and(|latest| held.accepted_at < latest).then_some(RESET)
        });
        self.next_reset = self.rules.next_reset(now);
    }

    /// Gives up the waiting events for which there is a reason.
    fn expire(
        &mut self,
        now: Timestamp,
        effects: &mut Vec<Effect>,
        reason: impl Fn(&DependencyName, &HeldEvent) -> Option<&'static str>,
    ) {
        let rules = self.rules.clone();
        self.waiting.retain(|dependency, held| match reason(dependency, held) {
            None => true,
            Some(reason) => {
                let verdict = Verdict::Expired { reason: reason.to_owned() };
                effects.push(Effect::Forget { key: stored::waiting_key(dependency) });
                effects.push(record(&rules, now, Some(dependency), &held.event, verdict));
                false
            }
        });
    }
}

/// The record of what was decided on one event.
fn record(
    rules: &Rules,
    now: Timestamp,
    dependency: Option<&DependencyName>,
    event: &Event,
    verdict: Verdict,
) -> Effect {
    decision(rules, now, vec![event.to_ref()], dependency.cloned(), None, verdict)
}

/// The record of what was decided on a round.
fn record_round(rules: &Rules, now: Timestamp, round: &Round, verdict: Verdict) -> Effect {
    // an event that stands for two dependencies is one event of the round
    let events: BTreeSet<_> = round.events.values().map(|event| event.to_ref()).collect();
    decision(rules, now, events.into_iter().collect(), None, Some(round.key.clone()), verdict)
}

fn decision(
    rules: &Rules,
    now: Timestamp,
    events: Vec<EventRef>,
    dependency: Option<DependencyName>,
    round: Option<IdempotencyKey>,
    verdict: Verdict,
) -> Effect {
    Effect::Record(Decision {
        at: now,
        namespace: rules.namespace().clone(),
        sensor: rules.sensor().clone(),
        trigger: rules.trigger().clone(),
        events,
        dependency,
        round,
        verdict,
    })
}
