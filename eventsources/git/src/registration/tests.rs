//! Decisions, without a provider.

use super::*;

fn hook(id: &str, url: &str, is_right: bool) -> Found {
    Found { id: id.to_owned(), url: url.to_owned(), is_right, is_active: true }
}

fn made(id: &str, seal: &str) -> Made {
    Made { id: id.to_owned(), seal: seal.to_owned() }
}

const OURS: &str = "https://ci.example.com/push";
const THEIRS: &str = "https://other.example.com";

/// What is there, what is remembered with its seal, and the seal that is wanted.
fn step(found: &[Found], remembered: Option<(&str, &str)>, seal: &str) -> Step {
    decide(found, OURS, remembered.map(|(id, seal)| made(id, seal)).as_ref(), seal)
}

fn leave(id: &str) -> Step {
    Step::Leave(id.to_owned())
}

fn update(id: &str) -> Step {
    Step::Update(id.to_owned())
}

#[test]
fn a_hook_at_our_address_is_ours() {
    assert_eq!(step(&[], None, ""), Step::Create);
    assert_eq!(step(&[hook("1", THEIRS, true)], None, ""), Step::Create);
    assert_eq!(step(&[hook("1", THEIRS, true), hook("2", OURS, true)], None, ""), leave("2"));
    assert_eq!(step(&[hook("2", OURS, false)], None, ""), update("2"), "it has other events");
    assert_eq!(
        step(&[hook("1", OURS, false), hook("2", OURS, true)], None, ""),
        leave("2"),
        "rather the right one"
    );
}

#[test]
fn a_hook_that_is_remembered_is_ours_wherever_it_sends_to() {
    assert_eq!(step(&[hook("1", THEIRS, true)], Some(("9", "")), ""), Step::Create, "it is gone");
    assert_eq!(step(&[hook("9", THEIRS, true)], Some(("9", "")), ""), update("9"), "our address has changed");
    assert_eq!(step(&[hook("1", OURS, true), hook("9", OURS, false)], Some(("9", "")), ""), update("9"));
}

#[test]
fn what_nobody_can_read_is_written_when_it_changes() {
    let found = [hook("1", OURS, true)];
    assert_eq!(step(&found, None, "s1"), update("1"), "it may be another secret");
    assert_eq!(step(&found, Some(("1", "s1")), "s1"), leave("1"));
    assert_eq!(step(&found, Some(("1", "s1")), "s2"), update("1"));
    assert_eq!(step(&found, Some(("1", "s1")), ""), update("1"));
}

#[test]
fn the_pause_grows_with_the_places_and_with_the_providers_limit() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let limit = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).ok();
    let rows = [
        (0, None, 60),
        (1, None, 60),
        (40, None, 60),
        (41, None, 120),
        (1, limit(600), 600),
        (1, limit(5), 60),
        (1, limit(-5), 60),
    ];
    for (places, limit, seconds) in rows {
        assert_eq!(pause(MINUTE, places, limit, now), Duration::from_secs(seconds), "{places} {limit:?}");
    }
    assert_eq!(pause(Duration::from_secs(10), 41, None, now), Duration::from_secs(20));
}
