//! What a machine says, case by case.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use zetes_api::{Event, Sensor, Verdict};

use crate::{Effect, Failure, Input, Machine, Rules};

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

pub(super) fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

pub(super) fn event(dependency: &str, id: &str) -> Arc<Event> {
    Arc::new(Event {
        time: Some(now()),
        ..Event::with_data("webhook", "src", dependency, id, r#"{"wanted":true}"#)
    })
}

/// Rules over the dependencies `a`, `b` and `c`; `trigger` is merged into the trigger.
pub(super) fn rules(conditions: &str, trigger: &Value) -> Arc<Rules> {
    let dependency = |name: &str| json!({"name": name, "eventSourceName": "src", "eventName": name});
    let mut one = json!({"template": {"name": "t", "conditions": conditions, "log": {}}});
    one.as_object_mut().unwrap().extend(trigger.as_object().unwrap().clone());
    let sensor: Sensor = serde_json::from_value(json!({
        "metadata": {"name": "s"},
        "spec": {"dependencies": [dependency("a"), dependency("b"), dependency("c")], "triggers": [one]},
    }))
    .unwrap();
    Arc::new(Rules::compile(&"ci".into(), &sensor, 0).unwrap())
}

fn machine(conditions: &str, trigger: &Value) -> Machine {
    Machine::new(rules(conditions, trigger))
}

fn arrive(machine: &mut Machine, ticket: u64, dependency: &str, id: &str) -> Vec<Effect> {
    let matches = machine.rules().judge(&event(dependency, id));
    machine.step(now(), Input::Arrived { ticket, matches })
}

/// Effects in a few words.
pub(super) fn told(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(word).collect()
}

fn word(effect: &Effect) -> String {
    match effect {
        Effect::Store { key, .. } => format!("store {}", key.split('/').next().unwrap()),
        Effect::Forget { key } => format!("forget {}", key.split('/').next().unwrap()),
        Effect::Settle { ticket } => format!("settle {ticket}"),
        Effect::Fire { round, attempt } => {
            let events: Vec<_> = round.events.values().map(|event| event.id.as_str()).collect();
            format!("fire {} attempt {attempt}", events.join("+"))
        }
        Effect::DeadLetter { reason, attempts, .. } => format!("dead-letter {reason} after {attempts}"),
        Effect::Record(decision) => format!("record {}", verdict(&decision.verdict)),
        Effect::WakeAt(at) => format!("wake in {} s", at.duration_since(now()).as_secs()),
    }
}

fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Rejected { .. } => "rejected",
        Verdict::Waiting { .. } => "waiting",
        Verdict::Overwritten { .. } => "overwritten",
        Verdict::Expired { .. } => "expired",
        Verdict::RateLimited { .. } => "rate-limited",
        Verdict::Gathered { .. } => "gathered",
        Verdict::Queued { .. } => "queued",
        Verdict::Skipped { .. } => "skipped",
        Verdict::Redriven => "redriven",
        Verdict::Abandoned { .. } => "abandoned",
        Verdict::Attempted { .. } => "attempted",
        Verdict::Fired { .. } => "fired",
        Verdict::DeadLettered { .. } => "dead-lettered",
    }
}

pub(super) fn key(effects: &[Effect]) -> zetes_api::IdempotencyKey {
    effects
        .iter()
        .find_map(
            |effect| if let Effect::Fire { round, .. } = effect { Some(round.key.clone()) } else { None },
        )
        .expect("a fire")
}

pub(super) fn fired(key: zetes_api::IdempotencyKey) -> Input {
    Input::Fired { key, outcome: "done".to_owned(), fallbacks: Vec::new() }
}

pub(super) fn fail(
    machine: &mut Machine,
    at: Timestamp,
    key: &zetes_api::IdempotencyKey,
    transient: bool,
) -> Vec<Effect> {
    let failure = Failure { message: "no".to_owned(), transient };
    machine.step(at, Input::Failed { key: key.clone(), failure })
}

#[test]
fn of_dependencies_that_ask_for_the_same_the_last_one_mentioned_gives_the_name() {
    let dependency =
        |name: &str, event: &str| json!({"name": name, "eventSourceName": "src", "eventName": event});
    let sensor: Sensor = serde_json::from_value(json!({
        "metadata": {"name": "s"},
        "spec": {
            "dependencies": [dependency("a", "push"), dependency("b", "push"), dependency("c", "p*")],
            "triggers": [{"template": {"name": "t", "conditions": "(b && c) || a || b", "log": {}}}],
        },
    }))
    .unwrap();
    let interests = Rules::compile(&"ci".into(), &sensor, 0).unwrap().interests();
    let told: Vec<_> = interests
        .iter()
        .map(|one| (one.subject.as_ref().map(ToString::to_string), one.dependency.as_str()))
        .collect();
    assert_eq!(told, [(None, "c"), (Some("push".to_owned()), "b")]);
}

#[test]
fn a_machine_that_keeps_nothing_between_events_need_not_be_alone() {
    let alone = |conditions: &str, trigger: Value| rules(conditions, &trigger).must_be_alone();
    assert!(!alone("a || b", json!({"retryStrategy": {"steps": 3}})));
    assert!(alone("a && b", json!({})));
    assert!(alone("a", json!({"rateLimit": {"unit": "Second", "requestsPerUnit": 1}})));
    assert!(alone("a", json!({"zetes": {"maxInFlight": 1}})));
    assert!(alone("a", json!({"zetes": {"debounce": {"wait": "5s"}}})));
}

#[test]
fn an_immediate_event_is_settled_when_its_action_has_ended() {
    let mut machine = machine("a", &json!({}));
    let effects = arrive(&mut machine, 1, "a", "a1");
    assert_eq!(told(&effects), ["fire a1 attempt 1"]);
    let ended = machine.step(now(), fired(key(&effects)));
    assert_eq!(told(&ended), ["record fired", "settle 1"]);
    assert_eq!(machine.in_hand(), 0);
}

#[test]
fn at_most_once_is_settled_before_it_begins() {
    let mut machine = machine("a", &json!({"atLeastOnce": false}));
    assert_eq!(told(&arrive(&mut machine, 1, "a", "a1")), ["settle 1", "fire a1 attempt 1"]);
}

#[test]
fn a_newer_event_replaces_the_waiting_one_and_both_are_recorded() {
    let mut machine = machine("a && b", &json!({}));
    assert_eq!(told(&arrive(&mut machine, 1, "a", "a1")), ["store waiting", "record waiting", "settle 1"]);
    let newer = told(&arrive(&mut machine, 2, "a", "a2"));
    assert!(
        newer.contains(&"record overwritten".to_owned()) && newer.last() == Some(&"settle 2".to_owned()),
        "{newer:?}"
    );
    let complete = told(&arrive(&mut machine, 3, "b", "b1"));
    assert_eq!(complete.last().unwrap(), "fire a2+b1 attempt 1");
    assert!(
        complete.contains(&"settle 3".to_owned()) && complete.contains(&"store round".to_owned()),
        "{complete:?}"
    );
}

#[test]
fn firing_on_one_branch_keeps_the_other() {
    let mut machine = machine("(a && b) || c", &json!({}));
    arrive(&mut machine, 1, "a", "a1");
    let fired = arrive(&mut machine, 2, "c", "c1");
    assert!(told(&fired).iter().any(|effect| effect.starts_with("fire c1")), "{:?}", told(&fired));
    assert_eq!(machine.waiting().count(), 1, "a1 still waits");
}

#[test]
fn attempts_and_pauses_are_exact_and_then_it_is_dead_lettered() {
    let mut machine =
        machine("a", &json!({"retryStrategy": {"steps": 3, "duration": "2s", "factor": 2, "jitter": 0}}));
    let key = key(&arrive(&mut machine, 1, "a", "a1"));
    assert_eq!(told(&fail(&mut machine, now(), &key, true)), ["record attempted", "wake in 2 s"]);
    let early = told(&machine.step(later(1), Input::Tick));
    assert!(!early.iter().any(|effect| effect.starts_with("fire")), "not before its time: {early:?}");
    assert_eq!(told(&machine.step(later(2), Input::Tick)), ["fire a1 attempt 2"]);
    assert_eq!(told(&fail(&mut machine, later(2), &key, true)), ["record attempted", "wake in 6 s"]);
    assert_eq!(told(&machine.step(later(6), Input::Tick)), ["fire a1 attempt 3"]);
    let last = told(&fail(&mut machine, later(6), &key, true));
    assert!(last[0].starts_with("dead-letter") && last[0].ends_with("after 3"), "{last:?}");
    assert_eq!(last[1..], ["record dead-lettered", "settle 1"]);
}

#[test]
fn a_permanent_failure_is_not_tried_again() {
    let mut machine = machine("a", &json!({"retryStrategy": {"steps": 3}}));
    let key = key(&arrive(&mut machine, 1, "a", "a1"));
    let ended = told(&fail(&mut machine, now(), &key, false));
    assert!(ended[0].ends_with("after 1") && ended.last().unwrap() == "settle 1", "{ended:?}");
}

#[test]
fn a_rate_limit_spaces_actions_exactly() {
    let mut machine = machine("a", &json!({"rateLimit": {"unit": "minute", "requestsPerUnit": 6}}));
    assert_eq!(told(&arrive(&mut machine, 1, "a", "a1")), ["fire a1 attempt 1"]);
    let second = told(&arrive(&mut machine, 2, "a", "a2"));
    assert_eq!(second, ["record rate-limited", "wake in 10 s"]);
    assert_eq!(
        told(&machine.step(later(9), Input::Tick)).iter().filter(|effect| effect.starts_with("fire")).count(),
        0
    );
    assert!(told(&machine.step(later(10), Input::Tick)).contains(&"fire a2 attempt 1".to_owned()));
}

#[test]
fn an_event_that_nothing_waits_for_is_settled_without_a_record() {
    let mut machine = machine("a", &json!({}));
    assert_eq!(told(&arrive(&mut machine, 1, "z", "z1")), ["settle 1"]);
}

#[test]
fn what_waits_and_what_is_in_hand_survives_a_restart_with_the_same_key() {
    let rules = rules("a && b", &json!({}));
    let mut machine = Machine::new(rules.clone());
    let mut stored: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut fired = None;
    for (ticket, name, id) in [(1, "a", "a1"), (2, "b", "b1"), (3, "a", "a2")] {
        for effect in arrive(&mut machine, ticket, name, id) {
            match effect {
                Effect::Store { key, value } => drop(stored.insert(key, value)),
                Effect::Forget { key } => drop(stored.remove(&key)),
                Effect::Fire { round, .. } => fired = Some(round.key.clone()),
                _ => {}
            }
        }
    }
    let (restored, effects) = Machine::restore(rules, stored, now());
    assert_eq!(Some(key(&effects)), fired, "the round is fired again, by the same key");
    assert_eq!(restored.waiting().map(|(_, event)| event.id.to_string()).collect::<Vec<_>>(), ["a2"]);
}
