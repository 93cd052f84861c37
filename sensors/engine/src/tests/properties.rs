//! Whatever the order of arrivals, failures and crashes, with every feature on: nothing is lost, nothing is done twice without a
//! crash, nothing is joined across keys, and equal inputs have equal effects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use zetes_api::{IdempotencyKey, Role, Verdict};

use super::extension::keyed;
use super::machine::{fired, now, rules};
use crate::{Effect, Failure, Input, Machine, Round, Rules};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// An event of a dependency, with a value of the key.
    Arrive(&'static str, &'static str),
    /// The oldest attempt in hand ends, well or not.
    End(bool),
    Wait,
    /// The oldest dead letter is taken back.
    Redrive,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names = || prop::sample::select(vec!["a", "b", "c"]);
    let step = prop_oneof![
        8 => (names(), prop::sample::select(vec!["x", "y"])).prop_map(|(name, key)| Step::Arrive(name, key)),
        6 => any::<bool>().prop_map(Step::End),
        2 => Just(Step::Wait),
        1 => Just(Step::Redrive),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 0..60)
}

fn conditions() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a || b || c", "a && b", "(a && b) || c", "a && b && c", "a && (b || c)"])
}

/// Every feature in some mixture.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each feature is on or off")]
struct Features {
    is_correlated: bool,
    window: Option<&'static str>,
    keep: &'static str,
    has_key: bool,
    in_flight: Option<u32>,
    when_busy: &'static str,
    gate: &'static str,
    has_dlq_trigger: bool,
    has_rate_limit: bool,
}

fn features() -> impl Strategy<Value = Features> {
    let select = |values: Vec<&'static str>| prop::sample::select(values);
    (
        (any::<bool>(), prop::sample::select(vec![None, Some("drop"), Some("deadLetter"), Some("fire")])),
        (
            select(vec!["newest", "oldest", "all"]),
            any::<bool>(),
            prop::sample::select(vec![None, Some(1), Some(2)]),
        ),
        (select(vec!["queue", "skip", "replace"]), select(vec!["none", "debounce", "batch"])),
        (any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |((is_correlated, window), (keep, has_key, in_flight), (when_busy, gate), (dlq, limit))| {
                Features {
                    is_correlated,
                    window,
                    keep,
                    has_key,
                    in_flight,
                    when_busy,
                    gate,
                    has_dlq_trigger: dlq,
                    has_rate_limit: limit,
                }
            },
        )
}

impl Features {
    fn trigger(&self, conditions: &str) -> Value {
        let names: Vec<&str> = ["a", "b", "c"].into_iter().filter(|name| conditions.contains(name)).collect();
        let source = |name: &str| json!({"dependencyName": name, "path": "key"});
        let second = json!({"template": {"name": "second", "log": {}}});
        let mut extension = json!({"keep": self.keep});
        if self.is_correlated {
            extension["correlate"] = names.iter().map(|name| source(name)).collect();
        }
        if let Some(action) = self.window {
            extension["window"] = json!("20s");
            extension["onExpire"] = json!({"action": action});
            if action == "fire" {
                extension["onExpire"]["trigger"] = second.clone();
            }
        }
        if self.has_key {
            extension["key"] = source("a");
        }
        if let Some(limit) = self.in_flight {
            extension["maxInFlight"] = json!(limit);
            extension["whenBusy"] = json!(self.when_busy);
        }
        match self.gate {
            "debounce" => extension["debounce"] = json!({"wait": "7s", "maxWait": "30s"}),
            "batch" => extension["batch"] = json!({"size": 3, "wait": "12s"}),
            _ => {}
        }
        let mut trigger =
            json!({"zetes": extension, "retryStrategy": {"steps": 3, "duration": "1s", "jitter": 0}});
        if self.has_dlq_trigger {
            trigger["dlqTrigger"] = second;
        }
        if self.has_rate_limit {
            trigger["rateLimit"] = json!({"unit": "Second", "requestsPerUnit": 1});
        }
        trigger
    }
}

/// A bus and a target as simple as can be, and what they have seen.
struct World {
    machine: Machine,
    rules: Arc<Rules>,
    features: Features,
    now: Timestamp,
    stored: BTreeMap<String, Vec<u8>>,
    /// Deliveries that are not settled: ticket, dependency, id, value of the key.
    unsettled: BTreeMap<u64, (&'static str, String, &'static str)>,
    attempts: Vec<Arc<Round>>,
    done: Vec<IdempotencyKey>,
    letters: Vec<Round>,
    redriven: BTreeSet<IdempotencyKey>,
    ends: BTreeMap<String, i64>,
    /// Every event, with its value of the key.
    published: BTreeMap<String, &'static str>,
    crashes: usize,
    tickets: u64,
}

impl World {
    fn new(conditions: &str, features: &Features) -> Self {
        let rules = rules(conditions, &features.trigger(conditions));
        Self {
            machine: Machine::new(rules.clone()),
            rules,
            features: features.clone(),
            now: now(),
            stored: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            attempts: Vec::new(),
            done: Vec::new(),
            letters: Vec::new(),
            redriven: BTreeSet::new(),
            ends: BTreeMap::new(),
            published: BTreeMap::new(),
            crashes: 0,
            tickets: 0,
        }
    }

    fn deliver(&mut self, name: &'static str, id: &str, value: &'static str) {
        self.tickets += 1;
        self.unsettled.insert(self.tickets, (name, id.to_owned(), value));
        let matches = self.rules.judge(&keyed(name, id, value));
        self.input(Input::Arrived { ticket: self.tickets, matches });
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
                Effect::Fire { round, .. } => self.fire(round),
                Effect::DeadLetter { round, .. } => self.letters.push(Round::clone(&round)),
                Effect::Record(decision) if decision.role == Role::Main => {
                    let count = match decision.verdict {
                        Verdict::Redriven => -1,
                        verdict => i64::from(verdict.is_end()),
                    };
                    for one in decision.events {
                        *self.ends.entry(one.id.to_string()).or_default() += count;
                    }
                }
                Effect::Record(_) | Effect::WakeAt(_) => {}
            }
        }
    }

    fn fire(&mut self, round: Arc<Round>) {
        let is_joined = self.features.is_correlated && round.batch.is_empty();
        let values: BTreeSet<_> =
            round.events.values().map(|event| self.published.get(event.id.as_str())).collect();
        assert!(!is_joined || values.len() == 1, "joined across keys: {values:?}");
        self.attempts.push(round);
        if let Some(limit) = self.features.in_flight {
            let mut lanes = BTreeMap::<_, u32>::new();
            for round in self.attempts.iter().filter(|round| round.role == Role::Main) {
                *lanes.entry(self.lane(round)).or_default() += 1;
            }
            assert!(lanes.values().all(|count| *count <= limit), "more than {limit} in flight: {lanes:?}");
        }
    }

    /// The value of `key` in the event of `a`, or in one of a batch.
    fn lane(&self, round: &Round) -> Option<String> {
        let data = round.events.get("a").filter(|_| self.features.has_key)?.json()?;
        let one = data.get(0).unwrap_or(data);
        one.get("key")?.as_str().map(str::to_owned)
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Arrive(name, value) => {
                let id = format!("{name}{}", self.published.len());
                self.published.insert(id.clone(), value);
                self.deliver(name, &id, value);
            }
            Step::End(_) if self.attempts.is_empty() => {}
            Step::End(true) => {
                let key = self.attempts.remove(0).key.clone();
                self.done.push(key.clone());
                self.input(fired(key));
            }
            Step::End(false) => {
                let key = self.attempts.remove(0).key.clone();
                let failure = Failure { message: "no".to_owned(), transient: true };
                self.input(Input::Failed { key, failure });
            }
            Step::Wait => {
                self.now += SignedDuration::from_secs(5);
                self.input(Input::Tick);
            }
            Step::Redrive if self.letters.is_empty() => {}
            Step::Redrive => {
                let round = self.letters.remove(0);
                self.redriven.insert(round.key.clone());
                self.input(Input::Redrive { round });
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
        for (name, id, value) in again.into_values() {
            self.deliver(name, &id, value);
        }
    }

    /// Lets every attempt end well.
    fn settle_down(&mut self) {
        for _ in 0..1_000 {
            self.play(&Step::Wait);
            if self.attempts.is_empty()
                && self.machine.in_hand() == 0
                && self.stored.keys().all(|key| key.starts_with("waiting"))
            {
                return;
            }
            self.play(&Step::End(true));
        }
        panic!("it does not come to rest: {} in hand", self.machine.in_hand());
    }
}

proptest! {
    #[test]
    fn every_event_has_one_end_or_still_waits(
        conditions in conditions(), features in features(), steps in steps(),
    ) {
        let mut world = World::new(conditions, &features);
        for step in &steps {
            world.play(step);
        }
        world.settle_down();
        prop_assert!(world.unsettled.is_empty(), "not settled: {:?}", world.unsettled);
        let waiting: BTreeSet<String> = world.machine.waiting().map(|(_, event)| event.id.to_string()).collect();
        let concerned = |id: &&String| id.chars().next().is_some_and(|name| conditions.contains(name));
        for id in world.published.keys().filter(concerned) {
            let count = world.ends.get(id).copied().unwrap_or(0);
            let expected = i64::from(!waiting.contains(id));
            prop_assert!(count == expected, "{id}: {count} ends, waiting {}", waiting.contains(id));
        }
        if world.crashes == 0 {
            let done: Vec<_> = world.done.iter().filter(|key| !world.redriven.contains(*key)).collect();
            let different: BTreeSet<_> = done.iter().collect();
            prop_assert_eq!(different.len(), done.len(), "something was done twice without a crash");
        }
    }

    #[test]
    fn equal_inputs_give_equal_effects(conditions in conditions(), features in features(), steps in steps()) {
        let (mut one, mut other) = (World::new(conditions, &features), World::new(conditions, &features));
        for step in &steps {
            one.play(step);
            other.play(step);
        }
        prop_assert_eq!((one.stored, one.attempts, one.ends), (other.stored, other.attempts, other.ends));
    }
}
