//! Whatever the order of arrivals, failures and crashes: nothing is lost, and nothing is done twice without a crash.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use zetes_api::{IdempotencyKey, Verdict};

use super::machine::{event, now, rules};
use crate::{Effect, Failure, Input, Machine};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Arrive(&'static str),
    /// The oldest attempt in hand ends, well or not.
    End(bool),
    Wait,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c"]).prop_map(Step::Arrive),
        5 => any::<bool>().prop_map(Step::End),
        2 => Just(Step::Wait),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 0..60)
}

/// A bus and a target as simple as can be, and what they have seen.
struct World {
    machine: Machine,
    rules: std::sync::Arc<crate::Rules>,
    now: Timestamp,
    stored: BTreeMap<String, Vec<u8>>,
    /// Deliveries that are not settled: ticket, dependency, id.
    unsettled: BTreeMap<u64, (&'static str, String)>,
    attempts: Vec<IdempotencyKey>,
    done: Vec<IdempotencyKey>,
    ends: BTreeMap<String, usize>,
    published: BTreeSet<String>,
    crashes: usize,
    tickets: u64,
}

impl World {
    fn new(conditions: &str) -> Self {
        let rules = rules(conditions, &json!({"retryStrategy": {"steps": 3, "duration": "1s", "jitter": 0}}));
        Self {
            machine: Machine::new(rules.clone()),
            rules,
            now: now(),
            stored: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            attempts: Vec::new(),
            done: Vec::new(),
            ends: BTreeMap::new(),
            published: BTreeSet::new(),
            crashes: 0,
            tickets: 0,
        }
    }

    fn deliver(&mut self, name: &'static str, id: &str) {
        self.tickets += 1;
        self.unsettled.insert(self.tickets, (name, id.to_owned()));
        let input = Input::Arrived { ticket: self.tickets, event: event(name, id) };
        self.input(input);
    }

    fn input(&mut self, input: Input) {
        let effects = self.machine.step(self.now, input);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Store { key, value } => drop(self.stored.insert(key, value)),
                Effect::Forget { key } => drop(self.stored.remove(&key)),
                Effect::Settle { ticket } => {
                    assert!(self.unsettled.remove(&ticket).is_some(), "settled twice: {ticket}");
                }
                Effect::Fire { round, .. } => self.attempts.push(round.key.clone()),
                Effect::Record(decision) if ends(&decision.verdict) => {
                    for one in decision.events {
                        *self.ends.entry(one.id.to_string()).or_default() += 1;
                    }
                }
                Effect::Record(_) | Effect::DeadLetter { .. } | Effect::WakeAt(_) => {}
            }
        }
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Arrive(name) => {
                let id = format!("{name}{}", self.published.len());
                self.published.insert(id.clone());
                self.deliver(name, &id);
            }
            Step::End(_) if self.attempts.is_empty() => {}
            Step::End(true) => {
                let key = self.attempts.remove(0);
                self.done.push(key.clone());
                self.input(Input::Fired { key, outcome: "done".to_owned() });
            }
            Step::End(false) => {
                let key = self.attempts.remove(0);
                let failure = Failure { message: "no".to_owned(), transient: true };
                self.input(Input::Failed { key, failure });
            }
            Step::Wait => {
                self.now += SignedDuration::from_secs(5);
                self.input(Input::Tick);
            }
            Step::Crash => self.crash(),
        }
    }

    /// Everything in memory is gone; what is not settled is delivered again.
    fn crash(&mut self) {
        self.crashes += 1;
        self.attempts.clear();
        let (machine, effects) = Machine::restore(self.rules.clone(), self.stored.clone(), self.now);
        self.machine = machine;
        let again = std::mem::take(&mut self.unsettled);
        self.carry_out(effects);
        for (name, id) in again.into_values() {
            self.deliver(name, &id);
        }
    }

    /// Lets every attempt end well.
    fn settle_down(&mut self) {
        for _ in 0..1_000 {
            self.play(&Step::Wait);
            if self.attempts.is_empty() && self.machine.in_hand() == 0 {
                return;
            }
            self.play(&Step::End(true));
        }
        panic!("it does not come to rest: {} in hand", self.machine.in_hand());
    }
}

fn ends(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Fired { .. }
            | Verdict::DeadLettered { .. }
            | Verdict::Overwritten { .. }
            | Verdict::Expired { .. }
            | Verdict::Rejected { .. }
    )
}

proptest! {
    #[test]
    fn every_event_has_one_end_or_still_waits(
        conditions in prop::sample::select(vec!["a || b || c", "a && b", "(a && b) || c", "a && b && c", "a && (b || c)"]),
        steps in steps(),
    ) {
        let mut world = World::new(conditions);
        for step in &steps {
            world.play(step);
        }
        world.settle_down();
        prop_assert!(world.unsettled.is_empty(), "not settled: {:?}", world.unsettled);
        let waiting: BTreeSet<String> = world.machine.waiting().map(|(_, event)| event.id.to_string()).collect();
        for id in world.published.iter().filter(|id| id.chars().next().is_some_and(|name| conditions.contains(name))) {
            let count = world.ends.get(id).copied().unwrap_or(0);
            let expected = usize::from(!waiting.contains(id));
            prop_assert!(count == expected, "{id}: {count} ends, waiting {}", waiting.contains(id));
        }
        if world.crashes == 0 {
            let different: BTreeSet<_> = world.done.iter().collect();
            prop_assert_eq!(different.len(), world.done.len(), "something was done twice without a crash");
        }
    }

    #[test]
    fn equal_inputs_give_equal_effects(steps in steps()) {
        let (mut one, mut other) = (World::new("(a && b) || c"), World::new("(a && b) || c"));
        for step in &steps {
            one.play(step);
            other.play(step);
        }
        prop_assert_eq!((one.stored, one.attempts, one.ends), (other.stored, other.attempts, other.ends));
    }
}
