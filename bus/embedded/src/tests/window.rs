//! The duplicate window on the disk.

use super::*;
use crate::check;

/// More than fit into memory before they become a run.
const MANY: usize = 140_000;
const BATCH: usize = 5_000;

async fn publish_many(bus: &EmbeddedBus) {
    for batch in 0..MANY / BATCH {
        let batch = (0..BATCH).map(|one| event(&format!("{}", batch * BATCH + one), "1"));
        bus.publish(batch.collect()).await.unwrap();
    }
}

/// How many of some of the events are known.
async fn known(bus: &EmbeddedBus) -> usize {
    let some = (0..MANY).step_by(1_000).map(|number| event(&number.to_string(), "1"));
    let receipts = bus.publish(some.collect()).await.unwrap();
    for (receipt, number) in receipts.iter().zip((0..MANY).step_by(1_000)) {
        assert!(
            !receipt.duplicate || usize::try_from(receipt.sequence).unwrap() == number + 1,
            "{receipt:?}"
        );
    }
    receipts.iter().filter(|receipt| receipt.duplicate).count()
}

fn runs(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder.join("identities")).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|one| one == "ids")).collect()
}

#[tokio::test]
async fn identities_are_found_in_runs_and_after_restarts_and_without_their_files() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    publish_many(&bus).await;
    assert_eq!(known(&bus).await, MANY / 1_000);
    // As after a crash.
    drop(bus);
    assert!(!runs(folder.path()).is_empty(), "{MANY} identities are all in memory");
    let (bus, _) = open(folder.path(), &clock).await;
    assert_eq!(known(&bus).await, MANY / 1_000);
    bus.close().await.unwrap();
    drop(bus);
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.identities, MANY as u64);

    // A run that is gone, and one that is damaged, are made anew from the log.
    let paths = runs(folder.path());
    std::fs::remove_file(&paths[0]).unwrap();
    for path in &paths[1..] {
        OpenOptions::new().write(true).open(path).unwrap().write_all_at(b"????", 100).unwrap();
    }
    let (bus, _) = open(folder.path(), &clock).await;
    assert_eq!(known(&bus).await, MANY / 1_000);

    // Behind the window they are forgotten, in memory and on the disk.
    clock.advance(Duration::from_mins(6));
    start::eventually("the runs are removed", || runs(folder.path()).is_empty()).await;
    assert_eq!(known(&bus).await, 0);
}

#[tokio::test]
async fn a_damaged_block_of_a_run_is_found_by_check() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    publish_many(&bus).await;
    bus.close().await.unwrap();
    drop(bus);
    let path = runs(folder.path()).remove(0);
    let size = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"????", size - 4_000).unwrap();
    let report = check(folder.path()).unwrap();
    assert_eq!(report.disagreements.len(), 1, "{report:?}");
}
