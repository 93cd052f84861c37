//! `check` and `dump`, beside an owner and without one.

use super::*;
use crate::{DumpKind, DumpLine, check, dump};

async fn fill(bus: &EmbeddedBus) {
    let mut reader = bus.subscribe(subscription()).await.unwrap();
    bus.publish(vec![event("a", "1"), event("b", "2")]).await.unwrap();
    let deliveries = reader.fetch(2).await.unwrap();
    let record =
        Change::Record { namespace: "ci".into(), about: vec!["a".into()], record: "{\"fired\":true}".into() };
    let put = Change::Put { key: StateKey::new("ci/b", "k"), value: "v".into(), expected: None };
    let acks = deliveries.iter().map(|delivery| Change::Ack(delivery.ticket.clone()));
    bus.commit([record, put].into_iter().chain(acks).collect()).await.unwrap();
    bus.commit(vec![Change::Delete { key: StateKey::new("ci/b", "k") }]).await.unwrap();
}

fn lines(folder: &Path, range: std::ops::Range<u64>) -> Vec<DumpLine> {
    let mut lines = Vec::new();
    dump(folder, range, &mut |line| lines.push(line)).unwrap();
    lines
}

#[tokio::test]
async fn check_counts_everything_beside_a_running_owner() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    fill(&bus).await;
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let counts =
        (report.events, report.records, report.acks, report.state, report.consumers, report.sequences);
    assert_eq!(counts, (2, 1, 2, 2, 1, Some((1, 3))), "{report:?}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((json["unfinishedBytes"].as_u64(), json["olderSegments"].as_u64()), (Some(0), Some(0)));
    // The owner was not disturbed.
    bus.publish(vec![event("c", "3")]).await.unwrap();
}

#[tokio::test]
async fn check_tells_a_damaged_place_and_a_summary_that_disagrees() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    let data = format!("\"{}\"", "x".repeat(50_000));
    for number in 0..50 {
        bus.publish(vec![event(&number.to_string(), &data)]).await.unwrap();
    }
    bus.close().await.unwrap();
    drop(bus);
    let segment = folder.path().join("log/00000000000000000001.seg");
    OpenOptions::new().write(true).open(&segment).unwrap().write_all_at(b"????", 60_000).unwrap();
    let report = check(folder.path()).unwrap();
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    let place = &report.damaged[0];
    assert!(place.file.ends_with("00000000000000000001.seg"), "{place:?}");
    assert!((place.from..place.to).contains(&60_000), "{place:?}");
    assert_eq!(report.disagreements.len(), 1, "the summary counts an event that is gone: {report:?}");
    assert_eq!(report.events, 49);
}

#[tokio::test]
async fn dump_gives_every_entry_with_its_place() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    fill(&bus).await;
    let all = lines(folder.path(), 0..u64::MAX);
    let kinds: Vec<_> = all.iter().map(|line| serde_json::to_value(line).unwrap()["kind"].clone()).collect();
    assert_eq!(kinds, ["consumer", "event", "event", "record", "put", "acks", "delete"]);
    assert!(all.windows(2).all(|two| two[0].byte <= two[1].byte), "{all:?}");
    assert_eq!(
        serde_json::to_value(&all[2]).unwrap(),
        serde_json::json!({
            "file": "00000000000000000001.seg", "byte": all[1].byte, "sequence": 2, "time": "2027-01-15T08:00:00Z",
            "kind": "event", "namespace": "ci", "source": "hooks", "event": "push", "id": "b",
            "eventType": "webhook", "dataBytes": 1,
        })
    );
    let acks = all.iter().find(|line| matches!(line.kind, DumpKind::Acks { .. })).unwrap();
    assert_eq!(acks.kind, DumpKind::Acks { consumer: "ci/s/t".to_owned(), ranges: vec![(1, 3)] });
    let some = lines(folder.path(), 2..3);
    assert_eq!(some.len(), 1, "{some:?}");
}
