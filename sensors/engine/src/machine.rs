//! The machine of one trigger: what waits, what is being fired, and what to do next.
//!
//! Everything that a restart must know is stored before the delivery that caused it is settled. An event goes through
//! `arrive` (it is joined with others), `gather` (debounce, batch), `lane` (order per key) and `attempt`; each step owns its file.

mod arrive;
mod attempt;
mod gather;
mod key;
mod lane;
mod partial;
mod restore;
mod stored;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use zetes_api::{Decider, Decision, DependencyName, EventRef, IdempotencyKey, Role, Verdict};

use crate::model::{Effect, Input, Round, TicketId};
use crate::rules::Rules;
use gather::Gathering;
use lane::Lane;
use partial::Partials;

/// Rounds that may be gathered before they count as in hand.
const GATHERED_FREELY: usize = 20_000;

/// Decides for one trigger. Equal inputs in equal order give equal effects.
#[derive(Debug)]
pub struct Machine {
    rules: Arc<Rules>,
    /// Accepted events whose round is not complete.
    partials: Partials,
    /// Complete rounds that have not ended.
    rounds: BTreeMap<IdempotencyKey, Live>,
    /// Which events the rounds are about, where a repetition could come.
    taken: BTreeSet<(DependencyName, EventRef)>,
    /// For each delivery that is not settled yet, how many rounds it waits for.
    deliveries: BTreeMap<TicketId, usize>,
    /// Rounds held by `debounce` or `batch`, by the value of `key`.
    gatherings: BTreeMap<Arc<str>, Gathering>,
    gatherings_due: BTreeSet<(Timestamp, Arc<str>)>,
    gathered: usize,
    /// Rounds on their way, by the value of `key`, where `maxInFlight` limits them.
    lanes: BTreeMap<Arc<str>, Lane>,
    /// Rounds whose next attempt may begin as soon as the rate limit allows.
    queue: VecDeque<IdempotencyKey>,
    /// Rounds of `dlqTrigger` and `onExpire`, which no rate limit holds.
    unlimited: VecDeque<IdempotencyKey>,
    /// Rounds between two attempts, and when the next one is due.
    pauses: BTreeSet<(Timestamp, IdempotencyKey)>,
    /// When the rate limit allows the next attempt.
    next_slot: Option<Timestamp>,
    /// When what waits is to be forgotten; known while something waits.
    next_reset: Option<Timestamp>,
    /// The earliest tick that has been asked for and has not come.
    wake: Option<Timestamp>,
}

/// A complete round that has not ended.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "four things that are true or not, in any mixture")]
struct Live {
    round: Arc<Round>,
    /// Attempts begun.
    attempts: u32,
    /// An attempt has begun and its answer has not come.
    is_firing: bool,
    /// It counts in its lane.
    is_in_lane: bool,
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
            partials: Partials::default(),
            rounds: BTreeMap::new(),
            taken: BTreeSet::new(),
            deliveries: BTreeMap::new(),
            gatherings: BTreeMap::new(),
            gatherings_due: BTreeSet::new(),
            gathered: 0,
            lanes: BTreeMap::new(),
            queue: VecDeque::new(),
            unlimited: VecDeque::new(),
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
        self.expire_windows(now, &mut effects);
        match input {
            Input::Arrived { ticket, matches } => self.arrived(now, ticket, matches, &mut effects),
            Input::Fired { key, outcome, fallbacks } => {
                self.fired(now, &key, outcome, fallbacks, &mut effects);
            }
            Input::Failed { key, failure } => self.failed(now, &key, failure, &mut effects),
            Input::Redrive { round } => self.redrive(now, round, &mut effects),
            Input::Tick => self.wake = None,
        }
        self.go_on(now, &mut effects);
        effects
    }

    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Rounds that have not ended, or deliveries that are not settled, whichever is more. Fetch no more from the bus
    /// while this is at the bound. Rounds that `debounce` or `batch` holds don't count until there are very many.
    pub fn in_hand(&self) -> usize {
        let on_their_way = self.rounds.len().saturating_sub(self.gathered);
        on_their_way.max(self.deliveries.len()) + self.gathered.saturating_sub(GATHERED_FREELY)
    }

    /// The events that wait for the conditions to hold, in no order that matters.
    pub fn waiting(&self) -> impl Iterator<Item = (&DependencyName, EventRef)> {
        self.partials.events().map(|held| (&held.dependency, held.event.to_ref()))
    }

    /// How many events wait for the conditions to hold.
    pub fn waiting_count(&self) -> usize {
        self.partials.len()
    }

    /// Begins what may begin, and asks for the next tick.
    fn go_on(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.close_gatherings(now, effects);
        self.begin_attempts(now, effects);
        let due = [
            self.next_pause(),
            self.next_queued(),
            self.next_reset.filter(|_| !self.partials.is_empty()),
            self.next_window(),
            self.next_gathering(),
        ];
        let Some(next) = due.into_iter().flatten().min() else { return };
        if self.wake.is_none_or(|wake| next < wake) {
            self.wake = Some(next);
            effects.push(Effect::WakeAt(next));
        }
    }

    /// Takes a complete round in hand. `tickets` are settled when it ends; without any it is stored, if it is to survive.
    fn take_in_hand(
        &mut self,
        now: Timestamp,
        round: Round,
        tickets: Vec<TicketId>,
        effects: &mut Vec<Effect>,
    ) {
        let is_stored = tickets.is_empty() && self.rules.survives_a_crash();
        let is_gathered = round.role == Role::Main && round.batch.is_empty() && self.rules.flow().gathers();
        if is_stored {
            effects.push(Effect::Store {
                key: stored::round_key(&round.key),
                value: stored::round(&round, is_gathered),
            });
        }
        let key = self.insert(round, tickets, is_stored);
        if is_gathered {
            self.gather(now, &key, effects);
        } else {
            self.enter(now, &key, effects);
        }
    }

    fn insert(&mut self, round: Round, tickets: Vec<TicketId>, is_stored: bool) -> IdempotencyKey {
        let key = round.key.clone();
        if round.role == Role::Main && self.rules.remembers_events() {
            self.taken.extend(round.about());
        }
        let live = Live {
            round: Arc::new(round),
            attempts: 0,
            is_firing: false,
            is_in_lane: false,
            tickets,
            is_stored,
            is_delay_recorded: false,
        };
        self.rounds.insert(key.clone(), live);
        key
    }

    fn redrive(&mut self, now: Timestamp, round: Round, effects: &mut Vec<Effect>) {
        if self.rounds.contains_key(&round.key) {
            return;
        }
        effects.push(record_round(&self.rules, now, &round, Verdict::Redriven));
        effects
            .push(Effect::Store { key: stored::round_key(&round.key), value: stored::round(&round, false) });
        let key = self.insert(round, Vec::new(), true);
        self.enter(now, &key, effects);
    }
}

impl Round {
    /// The events it stands for, each with its dependency.
    fn about(&self) -> Vec<(DependencyName, EventRef)> {
        if self.batch.is_empty() {
            self.events.iter().map(|(name, event)| (name.clone(), event.to_ref())).collect()
        } else {
            self.batch.clone()
        }
    }
}

/// The record of what was decided on one event.
fn record(
    rules: &Rules,
    now: Timestamp,
    dependency: &DependencyName,
    event: EventRef,
    verdict: Verdict,
) -> Effect {
    decision(rules, now, vec![event], Some(dependency.clone()), None, verdict)
}

/// The record of what was decided on a round.
fn record_round(rules: &Rules, now: Timestamp, round: &Round, verdict: Verdict) -> Effect {
    // an event that stands for two dependencies is one event of the round
    let events: BTreeSet<_> = round.about().into_iter().map(|(_, event)| event).collect();
    decision(rules, now, events.into_iter().collect(), None, Some(round), verdict)
}

fn decision(
    rules: &Rules,
    now: Timestamp,
    events: Vec<EventRef>,
    dependency: Option<DependencyName>,
    round: Option<&Round>,
    verdict: Verdict,
) -> Effect {
    Effect::Record(Decision {
        at: now,
        namespace: rules.namespace().clone(),
        decider: Decider::Trigger { sensor: rules.sensor().clone(), trigger: rules.trigger().clone() },
        events,
        dependency,
        round: round.map(|round| round.key.clone()),
        role: round.map(|round| round.role).unwrap_or_default(),
        verdict,
    })
}
