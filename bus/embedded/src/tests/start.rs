//! A start reads what lies behind the last checkpoint, and what of its files is missing.

use super::*;
use crate::check;

/// Publishes so many events of 50 KB, twenty of which fill a segment.
async fn publish_large(bus: &EmbeddedBus, numbers: std::ops::Range<usize>) {
    let data = format!("\"{}\"", "x".repeat(50_000));
    for number in numbers {
        bus.publish(vec![event(&format!("{number:04}"), &data)]).await.unwrap();
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|one| one == extension));
    paths.sort();
    paths
}

/// Waits for the background to have done something.
pub(super) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let waits = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// All ids, however many pages.
async fn everything(bus: &EmbeddedBus) -> Vec<String> {
    let (mut ids, mut from) = (Vec::new(), 0);
    loop {
        let page = bus.read(EntryKind::Event, from..u64::MAX, ReadFilter::default()).await.unwrap();
        ids.extend(page.entries.iter().filter_map(|entry| match &entry.body {
            EntryBody::Event(event) => Some(event.id.to_string()),
            EntryBody::Record(_) => None,
        }));
        match page.next {
            Some(next) => from = next,
            None => return ids,
        }
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("{number:04}")).collect()
}

#[tokio::test]
async fn a_closed_segment_has_a_summary_and_is_not_read_at_a_start() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    publish_large(&bus, 0..70).await;
    bus.close().await.unwrap();
    drop(bus);
    let segments = files(folder.path(), "seg");
    assert!(segments.len() >= 4, "{segments:?}");
    assert_eq!(files(folder.path(), "sum").len(), segments.len() - 1);
    // If the first segment were read, its damage would be reported.
    let file = OpenOptions::new().write(true).open(&segments[0]).unwrap();
    file.write_all_at(b"????", 60_000).unwrap();
    let (bus, report) = open(folder.path(), &clock).await;
    assert_eq!(report, OpenReport::default(), "a closed segment was read");
    assert_eq!(bus.stats().await.unwrap().events, 70);
    // Reading finds it, names it, and serves the rest.
    let page = bus.read(EntryKind::Event, 0..u64::MAX, ReadFilter::default()).await.unwrap();
    assert_eq!(page.damaged.len(), 1, "{:?}", page.damaged);
    assert!(
        page.damaged[0].contains(segments[0].file_name().unwrap().to_str().unwrap()),
        "{:?}",
        page.damaged
    );
    assert_eq!(everything(&bus).await.len(), 69);
}

#[tokio::test]
async fn a_consumer_gets_everything_but_what_is_damaged() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    drop(bus.subscribe(subscription()).await.unwrap());
    publish_large(&bus, 0..70).await;
    bus.close().await.unwrap();
    drop(bus);
    let first = files(folder.path(), "seg").remove(0);
    OpenOptions::new().write(true).open(&first).unwrap().write_all_at(b"????", 60_000).unwrap();
    let (bus, _) = open(folder.path(), &clock).await;
    let mut reader = bus.subscribe(subscription()).await.unwrap();
    let mut read = Vec::new();
    while read.len() < 69 {
        let deliveries = reader.fetch(100).await.unwrap();
        read.extend(ids(&deliveries).into_iter().map(str::to_owned));
    }
    assert_eq!(read, [numbers(0..1), numbers(2..70)].concat());
}

#[tokio::test]
async fn a_summary_that_is_missing_or_damaged_is_made_anew() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    publish_large(&bus, 0..70).await;
    bus.close().await.unwrap();
    drop(bus);
    let summaries = files(folder.path(), "sum");
    let whole = std::fs::read(&summaries[1]).unwrap();
    std::fs::remove_file(&summaries[0]).unwrap();
    let mut damaged = whole.clone();
    damaged[20] ^= 1;
    std::fs::write(&summaries[1], damaged).unwrap();
    let (bus, report) = open(folder.path(), &clock).await;
    assert_eq!(report, OpenReport::default());
    assert_eq!(everything(&bus).await, numbers(0..70));
    eventually("both summaries are there again", || {
        summaries[0].exists() && std::fs::read(&summaries[1]).is_ok_and(|bytes| bytes == whole)
    })
    .await;
    drop(bus);
    assert!(check(folder.path()).unwrap().is_sound());
}

async fn unsettled_of(bus: &EmbeddedBus) -> Vec<u64> {
    bus.unsettled(consumer()).await.unwrap().into_iter().flatten().collect()
}

#[tokio::test]
async fn positions_and_state_are_the_same_with_and_without_a_checkpoint() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    let mut reader = bus.subscribe(subscription()).await.unwrap();
    publish_large(&bus, 0..30).await;
    let deliveries = reader.fetch(30).await.unwrap();
    let settled = deliveries.iter().step_by(3).map(|delivery| Change::Ack(delivery.ticket.clone()));
    bus.commit(settled.collect()).await.unwrap();
    let put = (0..2_500).map(|key| Change::Put {
        key: StateKey::new("ci/b", format!("{key}")),
        value: format!("{key}").into(),
        expected: None,
    });
    bus.commit(put.collect()).await.unwrap();
    bus.commit(vec![Change::Delete { key: StateKey::new("ci/b", "7") }]).await.unwrap();
    let state = bus.list("ci/b".into(), String::new()).await.unwrap();
    let unsettled = unsettled_of(&bus).await;
    bus.close().await.unwrap();
    drop((bus, reader));
    // With the checkpoint; with a damaged one, where the one before it is taken; without any.
    for case in ["whole", "damaged", "gone"] {
        let checkpoint = folder.path().join("checkpoint");
        match case {
            "damaged" => std::fs::write(&checkpoint, "ZETESCHK\x02\0\0\0????").unwrap(),
            "gone" => {
                std::fs::remove_file(&checkpoint).unwrap();
                drop(std::fs::remove_file(folder.path().join("checkpoint.old")));
            }
            _ => {}
        }
        let (bus, report) = open(folder.path(), &clock).await;
        assert_eq!(report.damaged.len(), usize::from(case == "damaged"), "{case}: {report:?}");
        assert_eq!(bus.list("ci/b".into(), String::new()).await.unwrap(), state, "{case}");
        assert_eq!(unsettled_of(&bus).await, unsettled, "{case}");
        assert_eq!(everything(&bus).await, numbers(0..30), "{case}");
    }
}

#[tokio::test]
async fn what_is_too_old_goes_when_nothing_is_published() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    publish_large(&bus, 0..70).await;
    let before = files(folder.path(), "seg").len();
    clock.advance(Duration::from_hours(169));
    eventually("only the newest segment is left", || files(folder.path(), "seg").len() == 1).await;
    assert!(before >= 4, "{before}");
    let left = everything(&bus).await;
    assert!(left.len() < 25, "{left:?}");
    drop(bus);
    let (bus, report) = open(folder.path(), &clock).await;
    assert_eq!((everything(&bus).await, report), (left, OpenReport::default()));
}

#[tokio::test]
async fn a_bus_that_is_synced_at_an_interval_says_so_and_survives_its_process() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let sync = crate::Sync::Interval(Duration::from_millis(20));
    let (bus, _) = EmbeddedBus::open(folder.path(), Options { sync, ..options(&clock) }).await.unwrap();
    assert_eq!(bus.stats().await.unwrap().durability, bus_core::Durability::PageCache);
    publish_large(&bus, 0..30).await;
    drop(bus);
    let (bus, report) = open(folder.path(), &clock).await;
    assert_eq!((everything(&bus).await, report), (numbers(0..30), OpenReport::default()));
    assert_eq!(bus.stats().await.unwrap().durability, bus_core::Durability::Fsync);
}
