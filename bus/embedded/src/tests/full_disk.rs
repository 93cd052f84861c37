//! A disk without room, as a small tmpfs has it.

use std::process::Command;

use super::*;

/// A mounted tmpfs, unmounted at the end.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None`: this process may not mount.
    fn of(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o"]).arg(format!("size={mebibytes}m")).arg("tmpfs").arg(folder.path());
        if mount.status().is_ok_and(|status| status.success()) {
            Some(Self(folder))
        } else {
            eprintln!(
                "SKIPPED: no right to mount a tmpfs; run this test as root to see what a full disk does"
            );
            None
        }
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("bus")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "unmount {} by hand",
            self.0.path().display()
        );
    }
}

/// Publishes until the bus refuses, and gives the ids that it took.
async fn fill_up(bus: &EmbeddedBus) -> (Vec<String>, String) {
    let data = format!("\"{}\"", "x".repeat(20_000));
    let mut taken = Vec::new();
    for number in 0..10_000 {
        let id = format!("{number:05}");
        match bus.publish(vec![event(&id, &data)]).await {
            Ok(_) => taken.push(id),
            Err(BusError::Full(error)) => return (taken, error),
            Err(other) => panic!("expected a full bus: {other}"),
        }
    }
    panic!("the disk has no end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_events_takes_acks_and_recovers_by_itself() {
    let Some(disk) = Disk::of(12) else { return };
    let clock = clock();
    // Nothing is evicted by the limits but what is read, once it is a day old.
    let retention = Retention { max_age: Some(Duration::from_hours(24)), ..Retention::default() };
    let options = Options { retention, ..options(&clock) };
    let (bus, _) = EmbeddedBus::open(&disk.path(), options.clone()).await.unwrap();
    let mut reader = bus.subscribe(Subscription { max_in_flight: 10_000, ..subscription() }).await.unwrap();
    let (taken, error) = fill_up(&bus).await;
    assert!(taken.len() > 200, "{}", taken.len());
    assert!(error.contains(&disk.path().display().to_string()) && error.contains("make room"), "{error}");
    let failure = bus.health().failure.expect("the bus says that it can't take events");
    assert_eq!((failure.since, &failure.error), (clock.now(), &error));

    // Acknowledgements and state are taken, however full: more of them than an event that found no place is large.
    for number in 0..10 {
        let key = StateKey::new("ci/b", format!("large {number}"));
        let put = Change::Put { key, value: vec![7; 15_000].into(), expected: None };
        bus.commit(vec![put]).await.unwrap_or_else(|error| panic!("state {number} was refused: {error}"));
    }
    let mut read = Vec::new();
    while read.len() < taken.len() {
        let deliveries = reader.fetch(50).await.unwrap();
        read.extend(deliveries.iter().map(|delivery| delivery.event.id.to_string()));
        let acks = deliveries.into_iter().map(|delivery| Change::Ack(delivery.ticket));
        let put = Change::Put { key: StateKey::new("ci/b", "k"), value: "v".into(), expected: None };
        bus.commit(acks.chain([put]).collect()).await.unwrap();
    }
    assert_eq!(read, taken, "each that was acknowledged, and once");
    assert!(bus.health().failure.is_some(), "reading makes no room by itself");

    // Age frees segments, and publishing goes on by itself.
    clock.advance(Duration::from_hours(25));
    let mut published = Err(BusError::Closed);
    for _ in 0..1_000 {
        published = bus.publish(vec![event("again", "1")]).await;
        if published.is_ok() {
            break;
        }
        tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>()).await.unwrap_err();
    }
    published.unwrap();
    assert!(bus.health().failure.is_none(), "{:?}", bus.health());
    drop((bus, reader));

    let (bus, report) = EmbeddedBus::open(&disk.path(), options).await.unwrap();
    assert_eq!(report, OpenReport::default());
    let mut reader = bus.subscribe(subscription()).await.unwrap();
    assert_eq!(ids(&reader.fetch(10).await.unwrap()), ["again"]);
    assert_eq!(bus.list("ci/b".into(), String::new()).await.unwrap().len(), 11);
    bus.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_when_the_process_ends_on_a_full_disk() {
    let Some(disk) = Disk::of(12) else { return };
    let clock = clock();
    let (bus, _) = open(&disk.path(), &clock).await;
    drop(bus.subscribe(subscription()).await.unwrap());
    let (taken, _) = fill_up(&bus).await;
    drop(bus);
    let (bus, _) = open(&disk.path(), &clock).await;
    let mut reader = bus.subscribe(Subscription { max_in_flight: 10_000, ..subscription() }).await.unwrap();
    let mut read = Vec::new();
    while read.len() < taken.len() {
        read.extend(reader.fetch(100).await.unwrap().iter().map(|delivery| delivery.event.id.to_string()));
    }
    assert_eq!(read, taken);
}
