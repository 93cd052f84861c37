//! What must hold whatever happens to the process, the disk or the file.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bus_core::{
    Bus, BusError, Change, ConsumerName, Delivery, EntryBody, EntryKind, Interest, Publication, ReadFilter,
    Retention, Revision, Start, StateKey, Subscription,
};
use jiff::Timestamp;
use zetes_api::Event;
use zetes_runtime::Clock;

use crate::{EmbeddedBus, OpenReport, Options};

mod contract;
mod crash;
mod format;
mod full_disk;
mod inspect;
mod queue;
mod start;
mod window;

fn options(clock: &Clock) -> Options {
    Options { segment_bytes: 1 << 20, clock: clock.clone(), ..Options::default() }
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_second(1_800_000_000).unwrap())
}

async fn open(folder: &Path, clock: &Clock) -> (EmbeddedBus, OpenReport) {
    EmbeddedBus::open(folder, options(clock)).await.unwrap()
}

fn event(id: &str, data: &str) -> Publication {
    let event = Event::with_data("webhook", "hooks", "push", id, data.to_owned());
    Publication { namespace: "ci".into(), event: Arc::new(event) }
}

fn consumer() -> ConsumerName {
    ConsumerName { namespace: "ci".into(), sensor: "s".into(), trigger: "t".into() }
}

fn subscription() -> Subscription {
    Subscription {
        consumer: consumer(),
        interests: vec![Interest { source: Some("hooks".into()), subject: None, dependency: "d".into() }],
        start: Start::Now,
        ack_deadline: Duration::from_mins(1),
        max_in_flight: 1_000,
    }
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.event.id.as_str()).collect()
}

/// The newest segment's file.
fn last_segment(folder: &Path) -> PathBuf {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths.pop().unwrap()
}

/// The end of what is written in a file.
fn written(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    u64::try_from(bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1).unwrap()
}

async fn all_ids(bus: &EmbeddedBus) -> Vec<String> {
    let page = bus.read(EntryKind::Event, 0..u64::MAX, ReadFilter::default()).await.unwrap();
    let events = page.entries.into_iter().filter_map(|entry| match entry.body {
        EntryBody::Event(event) => Some(event.id.to_string()),
        EntryBody::Record(_) => None,
    });
    events.collect()
}

#[tokio::test]
async fn what_was_published_and_not_settled_comes_again_after_a_restart() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    let mut reader = bus.subscribe(subscription()).await.unwrap();
    bus.publish(vec![event("a", "1"), event("b", "2"), event("c", "3")]).await.unwrap();
    let deliveries = reader.fetch(10).await.unwrap();
    assert_eq!(ids(&deliveries), ["a", "b", "c"]);
    bus.commit(vec![Change::Ack(deliveries[1].ticket.clone())]).await.unwrap();
    drop((bus, reader));

    let (bus, report) = open(folder.path(), &clock).await;
    assert_eq!(report, OpenReport::default());
    let mut reader = bus.subscribe(subscription()).await.unwrap();
    let again = reader.fetch(10).await.unwrap();
    assert_eq!(ids(&again), ["a", "c"]);
    assert!(again.iter().all(|delivery| delivery.deliveries >= 2), "{again:?}");
}

#[tokio::test]
async fn a_duplicate_is_known_after_a_restart_and_forgotten_after_the_window() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    let first = bus.publish(vec![event("a", "1")]).await.unwrap()[0];
    drop(bus);
    let (bus, _) = open(folder.path(), &clock).await;
    let second = bus.publish(vec![event("a", "1"), event("a", "1")]).await.unwrap();
    assert!(second.iter().all(|receipt| receipt.duplicate && receipt.sequence == first.sequence));
    clock.advance(Duration::from_secs(400));
    assert!(!bus.publish(vec![event("a", "1")]).await.unwrap()[0].duplicate);
}

#[tokio::test]
async fn a_delivery_that_is_not_settled_in_time_comes_again_and_one_in_progress_does_not() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    let mut reader = bus.subscribe(subscription()).await.unwrap();
    bus.publish(vec![event("a", "1"), event("b", "2")]).await.unwrap();
    let deliveries = reader.fetch(10).await.unwrap();
    clock.advance(Duration::from_secs(50));
    reader.progress(&[deliveries[0].ticket.clone()]);
    clock.advance(Duration::from_secs(20));
    let again = reader.fetch(10).await.unwrap();
    assert_eq!((ids(&again), again[0].deliveries), (vec!["b"], 2));
    reader.nak(deliveries[0].ticket.clone(), Duration::from_secs(5));
    clock.advance(Duration::from_secs(5));
    assert_eq!(ids(&reader.fetch(10).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn changes_of_one_commit_are_made_together_or_not_at_all() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    let put = |key: &str, expected| Change::Put { key: StateKey::new("b", key), value: "v".into(), expected };
    bus.commit(vec![put("one", Some(None))]).await.unwrap();
    let conflict =
        bus.commit(vec![put("two", None), put("one", Some(Some(Revision(99))))]).await.unwrap_err();
    assert!(matches!(conflict, BusError::Conflict { .. }), "{conflict}");
    assert!(bus.get(StateKey::new("b", "two")).await.unwrap().is_none());
    drop(bus);
    let (bus, _) = open(folder.path(), &clock).await;
    assert_eq!(bus.list("b".into(), String::new()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_second_owner_of_the_directory_is_refused_with_its_name() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (_bus, _) = open(folder.path(), &clock).await;
    let error = EmbeddedBus::open(folder.path(), options(&clock)).await.unwrap_err();
    assert!(
        matches!(&error, BusError::InUse(text) if text.contains(&std::process::id().to_string())),
        "{error}"
    );
}

#[tokio::test]
async fn a_write_torn_at_any_byte_loses_nothing_that_was_acknowledged() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    bus.publish(vec![event("kept", "1")]).await.unwrap();
    let segment = last_segment(folder.path());
    let whole = written(&segment);
    bus.publish(vec![event("torn", "2")]).await.unwrap();
    drop(bus);
    let bytes = std::fs::read(&segment).unwrap();
    let end = usize::try_from(written(&segment)).unwrap();
    for cut in usize::try_from(whole).unwrap()..end {
        let file = OpenOptions::new().write(true).open(&segment).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        file.write_all_at(&vec![0; bytes.len() - cut], u64::try_from(cut).unwrap()).unwrap();
        let (bus, report) = open(folder.path(), &clock).await;
        assert_eq!(all_ids(&bus).await, ["kept"], "torn at byte {cut}");
        assert!(report.damaged.is_empty(), "torn at byte {cut}: {report:?}");
    }
}

#[tokio::test]
async fn a_damaged_place_in_the_middle_is_told_and_not_served_and_the_rest_is() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    bus.publish(vec![event("before", "1")]).await.unwrap();
    let segment = last_segment(folder.path());
    let place = written(&segment) + 40;
    bus.publish(vec![event("damaged", "2")]).await.unwrap();
    bus.publish(vec![event("after", "3")]).await.unwrap();
    drop(bus);
    let file = OpenOptions::new().write(true).open(&segment).unwrap();
    file.write_all_at(b"????", place).unwrap();
    let (bus, report) = open(folder.path(), &clock).await;
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    assert!(report.damaged[0].contains(segment.file_name().unwrap().to_str().unwrap()), "{report:?}");
    assert_eq!(all_ids(&bus).await, ["before", "after"]);
    bus.publish(vec![event("later", "4")]).await.unwrap();
    assert_eq!(all_ids(&bus).await, ["before", "after", "later"]);
}

/// Publishes until the bus refuses, and gives the number that it took.
async fn fill(bus: &EmbeddedBus) -> (usize, BusError) {
    let data = format!("\"{}\"", "x".repeat(50_000));
    for number in 0..1_000 {
        if let Err(error) = bus.publish(vec![event(&format!("e{number}"), &data)]).await {
            return (number, error);
        }
    }
    panic!("the bus has no limit");
}

#[tokio::test]
async fn a_full_bus_refuses_and_names_the_slowest_and_takes_again_what_was_read() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let retention = Retention { max_bytes: Some(3 << 20), ..Retention::default() };
    let (bus, _) = EmbeddedBus::open(folder.path(), Options { retention, ..options(&clock) }).await.unwrap();
    let mut reader = bus.subscribe(subscription()).await.unwrap();
    let (taken, error) = fill(&bus).await;
    assert!(taken > 40, "{taken}");
    assert!(matches!(&error, BusError::Full(text) if text.contains("ci/s/t")), "{error}");
    let mut read = 0;
    while read < taken {
        let deliveries = reader.fetch(100).await.unwrap();
        read += deliveries.len();
        bus.commit(deliveries.into_iter().map(|delivery| Change::Ack(delivery.ticket)).collect())
            .await
            .unwrap();
    }
    bus.publish(vec![event("again", "1")]).await.unwrap();
    assert_eq!(bus.stats().await.unwrap().evicted_unread, 0);
}

#[tokio::test]
async fn discarding_old_events_is_counted() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let retention = Retention { max_bytes: Some(3 << 20), discard_old: true, ..Retention::default() };
    let (bus, _) = EmbeddedBus::open(folder.path(), Options { retention, ..options(&clock) }).await.unwrap();
    let _reader = bus.subscribe(subscription()).await.unwrap();
    let data = format!("\"{}\"", "x".repeat(50_000));
    for number in 0..200 {
        bus.publish(vec![event(&format!("e{number}"), &data)]).await.unwrap();
    }
    let stats = bus.stats().await.unwrap();
    assert!(stats.evicted_unread > 0 && stats.bytes < 6 << 20, "{stats:?}");
}

#[tokio::test]
async fn a_consumer_that_is_far_behind_reads_everything_from_the_disk() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let small = Options { cache_bytes: 10_000, ..options(&clock) };
    let (bus, _) = EmbeddedBus::open(folder.path(), small).await.unwrap();
    let mut reader = bus.subscribe(subscription()).await.unwrap();
    let data = format!("\"{}\"", "x".repeat(1_000));
    for number in 0..50 {
        let batch = (0..50).map(|one| event(&format!("{:04}", number * 50 + one), &data)).collect();
        bus.publish(batch).await.unwrap();
    }
    let mut read = Vec::new();
    while read.len() < 2_500 {
        let deliveries = reader.fetch(300).await.unwrap();
        read.extend(deliveries.iter().map(|delivery| delivery.event.id.to_string()));
        bus.commit(deliveries.into_iter().map(|delivery| Change::Ack(delivery.ticket)).collect())
            .await
            .unwrap();
    }
    let expected: Vec<String> = (0..2_500).map(|number| format!("{number:04}")).collect();
    assert_eq!(read, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_at_the_same_time_share_a_sync() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let (bus, _) = open(folder.path(), &clock).await;
    let bus = Arc::new(bus);
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..64 {
        let bus = bus.clone();
        publishers.spawn(async move {
            bus.publish(vec![event(&format!("e{publisher}"), "1")]).await.unwrap()[0].sequence
        });
    }
    let mut sequences = publishers.join_all().await;
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences.len(), 64, "each has its own place");
    assert_eq!(all_ids(&bus).await.len(), 64);
}

#[tokio::test]
async fn a_closed_bus_says_so_and_loses_nothing() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    bus.publish(vec![event("a", "1")]).await.unwrap();
    bus.close().await.unwrap();
    assert!(matches!(bus.publish(vec![event("b", "1")]).await, Err(BusError::Closed)));
    drop(bus);
    let (bus, _) = open(folder.path(), &clock).await;
    assert_eq!(all_ids(&bus).await, ["a"]);
}

#[tokio::test]
async fn decisions_are_found_by_the_event_that_they_are_about() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    bus.publish(vec![event("a", "1"), event("b", "2")]).await.unwrap();
    let record = |id: &str| Change::Record {
        namespace: "ci".into(),
        about: vec![id.into()],
        record: id.to_owned().into(),
    };
    bus.commit(vec![record("a"), record("b")]).await.unwrap();
    let filter = ReadFilter { about: Some("b".into()), namespace: None };
    for kind in [EntryKind::Event, EntryKind::Record] {
        assert_eq!(bus.read(kind, 0..u64::MAX, filter.clone()).await.unwrap().entries.len(), 1, "{kind:?}");
    }
}
