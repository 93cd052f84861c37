//! What a machine says under `zetes`: joins by key, windows, order per key, debounce, batches; and the second action.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use zetes_api::{Event, Role};

use super::machine::{event, fail, fired, key, later, now, rules, told};
use crate::{Effect, Input, Machine, Round};

pub(super) fn keyed(dependency: &str, id: &str, value: &str) -> Arc<Event> {
    let data = json!({"key": value, "id": id}).to_string();
    Arc::new(Event { data: Some(data.into()), ..Event::clone(&event(dependency, id)) })
}

fn machine(conditions: &str, extension: &Value) -> Machine {
    Machine::new(rules(conditions, &json!({"zetes": extension})))
}

/// The event arrives so many seconds later; its value of `key` is the last letter of its id.
fn arrive(machine: &mut Machine, at: i64, ticket: u64, dependency: &str, id: &str) -> Vec<Effect> {
    let value = id.chars().last().unwrap_or_default().to_string();
    let matches = machine.rules().judge(&keyed(dependency, id, &value));
    machine.step(later(at), Input::Arrived { ticket, matches })
}

fn tick(machine: &mut Machine, at: i64) -> Vec<String> {
    told(&machine.step(later(at), Input::Tick))
}

fn correlate(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"dependencyName": name, "path": "key"})).collect()
}

fn key_of_a() -> Value {
    json!({"dependencyName": "a", "path": "key"})
}

fn has(effects: &[String], wanted: &str) -> bool {
    effects.iter().any(|effect| effect == wanted)
}

#[test]
fn only_events_of_one_key_are_joined() {
    let mut machine = machine("a && b", &json!({"correlate": correlate(&["a", "b"])}));
    arrive(&mut machine, 0, 1, "a", "a1-x");
    arrive(&mut machine, 0, 2, "a", "a2-y");
    let other = told(&arrive(&mut machine, 0, 3, "b", "b1-z"));
    assert!(!other.iter().any(|effect| effect.starts_with("fire")), "{other:?}");
    let joined = told(&arrive(&mut machine, 0, 4, "b", "b2-y"));
    assert!(has(&joined, "fire a2-y+b2-y attempt 1"), "{joined:?}");
    assert_eq!(machine.waiting_count(), 2);
}

#[test]
fn an_event_without_the_key_is_rejected_and_says_so() {
    let mut machine = machine("a && b", &json!({"correlate": correlate(&["a", "b"])}));
    let matches = machine.rules().judge(&event("a", "a1"));
    let effects = told(&machine.step(now(), Input::Arrived { ticket: 1, matches }));
    assert_eq!(effects, ["record rejected", "settle 1"]);
}

#[test]
fn a_set_whose_window_has_passed_is_dropped_with_a_record() {
    let mut machine = machine("a && b", &json!({"window": "10s", "correlate": correlate(&["a", "b"])}));
    assert!(has(&told(&arrive(&mut machine, 0, 1, "a", "a1-x")), "wake in 10 s"));
    arrive(&mut machine, 5, 2, "a", "a2-y");
    assert_eq!(tick(&mut machine, 9), ["wake in 10 s"], "not before its time");
    assert_eq!(tick(&mut machine, 10), ["forget waiting", "record expired", "wake in 15 s"]);
    let late = told(&arrive(&mut machine, 11, 3, "b", "b1-x"));
    assert!(!late.iter().any(|effect| effect.starts_with("fire")), "{late:?}");
}

#[test]
fn absence_fires_the_given_trigger_with_what_is_there() {
    let fire = json!({"window": "10s", "onExpire": {"action": "fire", "trigger": {"template": {"name": "alarm", "log": {}}}}});
    let mut machine = machine("a && b", &fire);
    arrive(&mut machine, 0, 1, "a", "a1-x");
    let effects = machine.step(later(10), Input::Tick);
    assert_eq!(told(&effects), ["forget waiting", "record expired", "store round", "fire a1-x attempt 1"]);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Fire { round, .. } if round.role == Role::OnExpire))
    );
    let failed = told(&fail(&mut machine, later(11), &key(&effects), false));
    assert_eq!(failed, ["record abandoned", "forget round"]);
}

#[test]
fn absence_can_be_dead_lettered_and_redriven() {
    let mut machine = machine("a && b", &json!({"window": "10s", "onExpire": {"action": "deadLetter"}}));
    arrive(&mut machine, 0, 1, "a", "a1-x");
    let effects = machine.step(later(10), Input::Tick);
    assert_eq!(told(&effects), ["forget waiting", "dead-letter window after 0", "record dead-lettered"]);
    let letter = effects.iter().find_map(|effect| match effect {
        Effect::DeadLetter { round, .. } => Some(Round::clone(round)),
        _ => None,
    });
    let again = told(&machine.step(later(20), Input::Redrive { round: letter.unwrap() }));
    assert_eq!(again, ["record redriven", "store round", "fire a1-x attempt 1"]);
}

#[test]
fn keep_says_which_events_wait() {
    for (keep, expected) in [("newest", "fire a2-x+b1-x attempt 1"), ("oldest", "fire a1-x+b1-x attempt 1")] {
        let mut machine = machine("a && b", &json!({"keep": keep}));
        arrive(&mut machine, 0, 1, "a", "a1-x");
        arrive(&mut machine, 0, 2, "a", "a2-x");
        let effects = told(&arrive(&mut machine, 0, 3, "b", "b1-x"));
        assert!(has(&effects, expected), "{keep}: {effects:?}");
        assert_eq!(machine.waiting_count(), 0, "{keep}");
    }
}

#[test]
fn keep_all_gives_every_event_its_own_round() {
    let mut machine = machine("a && b", &json!({"keep": "all"}));
    for (ticket, id) in [(1, "a1-x"), (2, "a2-x"), (3, "a3-x")] {
        arrive(&mut machine, 0, ticket, "a", id);
    }
    assert!(has(&told(&arrive(&mut machine, 0, 4, "b", "b1-x")), "fire a1-x+b1-x attempt 1"));
    assert!(has(&told(&arrive(&mut machine, 0, 5, "b", "b2-x")), "fire a2-x+b2-x attempt 1"));
    assert_eq!(machine.waiting_count(), 1);
}

#[test]
fn rounds_of_one_key_keep_their_order_and_others_go_on() {
    let mut machine = machine("a", &json!({"key": key_of_a(), "maxInFlight": 1}));
    let first = arrive(&mut machine, 0, 1, "a", "a1-x");
    assert_eq!(told(&first), ["fire a1-x attempt 1"]);
    assert_eq!(told(&arrive(&mut machine, 0, 2, "a", "a2-x")), ["record queued"]);
    assert_eq!(told(&arrive(&mut machine, 0, 3, "a", "a3-y")), ["fire a3-y attempt 1"]);
    let ended = told(&machine.step(now(), fired(key(&first))));
    assert_eq!(ended, ["record fired", "settle 1", "fire a2-x attempt 1"]);
}

#[test]
fn a_round_whose_key_is_busy_can_be_skipped_or_replaced() {
    let mut skipping = machine("a", &json!({"key": key_of_a(), "whenBusy": "skip"}));
    arrive(&mut skipping, 0, 1, "a", "a1-x");
    assert_eq!(told(&arrive(&mut skipping, 0, 2, "a", "a2-x")), ["record skipped", "settle 2"]);

    let mut replacing = machine("a", &json!({"key": key_of_a(), "whenBusy": "replace"}));
    let first = arrive(&mut replacing, 0, 1, "a", "a1-x");
    assert_eq!(told(&arrive(&mut replacing, 0, 2, "a", "a2-x")), ["record queued"]);
    let newer = told(&arrive(&mut replacing, 0, 3, "a", "a3-x"));
    assert_eq!(newer, ["record overwritten", "settle 2", "record queued"]);
    assert!(has(&told(&replacing.step(now(), fired(key(&first)))), "fire a3-x attempt 1"));
}

#[test]
fn debounce_fires_the_newest_once_it_is_quiet() {
    let mut machine =
        machine("a", &json!({"key": key_of_a(), "debounce": {"wait": "10s", "maxWait": "25s"}}));
    assert_eq!(
        told(&arrive(&mut machine, 0, 1, "a", "a1-x")),
        ["store round", "record gathered", "settle 1", "wake in 10 s"]
    );
    let newer = told(&arrive(&mut machine, 8, 2, "a", "a2-x"));
    assert_eq!(newer, ["store round", "record overwritten", "forget round", "record gathered", "settle 2"]);
    assert_eq!(tick(&mut machine, 10), ["wake in 18 s"]);
    assert_eq!(tick(&mut machine, 18), ["store round", "fire a2-x attempt 1"]);
    assert_eq!(machine.in_hand(), 1);
}

#[test]
fn debounce_does_not_wait_for_ever() {
    let mut machine = machine("a", &json!({"debounce": {"wait": "10s", "maxWait": "25s"}}));
    for (at, id) in [(0, "a1-x"), (8, "a2-x"), (16, "a3-x"), (24, "a4-x")] {
        arrive(&mut machine, at, u64::try_from(at).unwrap() + 1, "a", id);
    }
    assert!(has(&tick(&mut machine, 25), "fire a4-x attempt 1"));
}

#[test]
fn a_batch_fires_once_with_the_list_of_payloads() {
    let mut machine = machine("a", &json!({"batch": {"size": 3, "wait": "10s"}}));
    arrive(&mut machine, 0, 1, "a", "a1-x");
    arrive(&mut machine, 1, 2, "a", "a2-y");
    let effects = arrive(&mut machine, 2, 3, "a", "a3-z");
    let round = effects.iter().find_map(|effect| match effect {
        Effect::Fire { round, .. } => Some(round.clone()),
        _ => None,
    });
    let round = round.expect("the batch is full");
    let data = round.events["a"].json().unwrap();
    assert_eq!(
        data,
        &json!([{"key": "x", "id": "a1-x"}, {"key": "y", "id": "a2-y"}, {"key": "z", "id": "a3-z"}])
    );
    assert_eq!(round.batch.len(), 3);
    let ended = told(&machine.step(later(3), fired(round.key.clone())));
    assert_eq!(ended, ["record fired", "forget round"]);
    assert_eq!(machine.in_hand(), 0);
}

#[test]
fn a_batch_that_is_not_full_is_fired_after_its_wait() {
    let mut machine = machine("a", &json!({"batch": {"size": 100, "wait": "10s"}}));
    arrive(&mut machine, 0, 1, "a", "a1-x");
    arrive(&mut machine, 4, 2, "a", "a2-y");
    let effects = tick(&mut machine, 10);
    assert_eq!(effects.iter().filter(|effect| effect.starts_with("fire")).count(), 1, "{effects:?}");
    assert_eq!(effects.iter().filter(|effect| *effect == "forget round").count(), 2, "{effects:?}");
}

#[test]
fn what_is_gathered_survives_a_restart() {
    let rules = rules("a", &json!({"zetes": {"batch": {"size": 2, "wait": "10s"}}}));
    let mut machine = Machine::new(rules.clone());
    let stored: BTreeMap<_, _> = arrive(&mut machine, 0, 1, "a", "a1-x")
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Store { key, value } => Some((key, value)),
            _ => None,
        })
        .collect();
    let (mut restored, effects) = Machine::restore(rules, stored, later(3));
    assert!(!told(&effects).iter().any(|effect| effect.starts_with("fire")), "{:?}", told(&effects));
    let again = told(&arrive(&mut restored, 4, 9, "a", "a1-x"));
    assert_eq!(again, ["settle 9"], "a repetition is known");
    assert!(told(&arrive(&mut restored, 5, 10, "a", "a2-y")).iter().any(|effect| effect.starts_with("fire")));
}

#[test]
fn the_dlq_trigger_has_its_turn_after_the_dead_letter() {
    let second = json!({"dlqTrigger": {"template": {"name": "alarm", "log": {}}, "retryStrategy": {"steps": 2, "duration": "1s", "jitter": 0}}});
    let mut machine = Machine::new(rules("a", &second));
    let first = arrive(&mut machine, 0, 1, "a", "a1-x");
    let effects = fail(&mut machine, now(), &key(&first), false);
    assert_eq!(
        told(&effects),
        [
            "dead-letter permanent-failure after 1",
            "record dead-lettered",
            "store round",
            "settle 1",
            "fire a1-x attempt 1"
        ]
    );
    let second = key(&effects);
    assert_ne!(second, key(&first), "another action, another key");
    assert_eq!(told(&fail(&mut machine, now(), &second, true)), ["record attempted", "wake in 1 s"]);
    assert_eq!(tick(&mut machine, 1), ["fire a1-x attempt 2"]);
    assert_eq!(told(&fail(&mut machine, later(1), &second, true)), ["record abandoned", "forget round"]);
}

/// Bytes that this process holds; 0 where the system does not tell.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kilobytes.unwrap_or(0) << 10
}

/// One test, because memory is that of the process.
#[test]
fn open_keys_are_joined_in_time_and_in_little_memory() {
    events_that_wait_are_their_bytes_and_nothing_else();
    a_hundred_thousand_open_keys();
}

/// What was made of an event's data to look inside must not live as long as the event waits.
fn events_that_wait_are_their_bytes_and_nothing_else() {
    let by_json_path: Value =
        ["a", "b"].iter().map(|name| json!({"dependencyName": name, "jsonPath": "$.key"})).collect();
    let mut machine = machine("a && b", &json!({"correlate": by_json_path, "window": "1h"}));
    let before = resident_bytes();
    let list = vec!["x"; 1_000];
    for number in 0..2_000_u64 {
        let data = json!({"key": number.to_string(), "list": list}).to_string();
        let event = Event { data: Some(data.into()), ..Event::clone(&event("a", &number.to_string())) };
        let matches = machine.rules().judge(&Arc::new(event));
        machine.step(now(), Input::Arrived { ticket: number, matches });
    }
    assert_eq!(machine.waiting_count(), 2_000);
    let held = resident_bytes().saturating_sub(before);
    assert!(held < 40 << 20, "8 MB of waiting events hold {} MiB", held >> 20);
}

fn a_hundred_thousand_open_keys() {
    let mut machine = machine("a && b", &json!({"correlate": correlate(&["a", "b"]), "window": "1h"}));
    let before = resident_bytes();
    for number in 0..100_000_u64 {
        let matches = machine.rules().judge(&keyed("a", &format!("a{number}"), &format!("commit-{number}")));
        machine.step(now(), Input::Arrived { ticket: number, matches });
    }
    assert_eq!(machine.waiting_count(), 100_000);
    let held = resident_bytes().saturating_sub(before);
    assert!(held < 200 << 20, "100,000 open keys hold {} MiB", held >> 20);
    println!("100,000 open keys: {} MiB", held >> 20);
    let matches = machine.rules().judge(&keyed("b", "b1", "commit-77777"));
    let effects = told(
        &machine.step(now() + SignedDuration::from_secs(1), Input::Arrived { ticket: 100_001, matches }),
    );
    assert!(has(&effects, "fire a77777+b1 attempt 1"), "{effects:?}");
}
