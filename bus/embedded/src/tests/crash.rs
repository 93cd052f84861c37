//! A process that is killed while it publishes and settles: what it was told is durable is there, and nothing is told twice.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::*;
use crate::check;

/// Names the child's directory.
const FOLDER: &str = "ZETES_TEST_CRASH_FOLDER";
const ROUNDS: usize = 6;

/// The child: publishes batches and settles some of them until it is killed, and says what it has done once it is durable.
/// Without a directory, as part of all tests, it has nothing to do.
#[tokio::test]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (bus, report) = open(Path::new(&folder), &clock()).await;
    assert!(report.damaged.is_empty(), "{report:?}");
    let mut reader = bus.subscribe(Subscription { start: Start::Earliest, ..subscription() }).await.unwrap();
    let data = format!("\"{}\"", "x".repeat(3_000));
    let first = bus.stats().await.unwrap().next_sequence;
    for batch in 0.. {
        let batch: Vec<_> = (0..20).map(|one| event(&format!("{first}-{batch}-{one}"), &data)).collect();
        bus.publish(batch.clone()).await.unwrap();
        let published: Vec<_> = batch.iter().map(|one| one.event.id.to_string()).collect();
        println!("published {}", published.join(" "));
        let deliveries = reader.fetch(13).await.unwrap();
        let settled = ids(&deliveries).join(" ");
        let put =
            Change::Put { key: StateKey::new("ci/b", "last"), value: settled.clone().into(), expected: None };
        bus.commit(deliveries.iter().map(|one| Change::Ack(one.ticket.clone())).chain([put]).collect())
            .await
            .unwrap();
        println!("settled {settled}");
    }
}

/// Runs the child, kills it after so many lines, and gives what it said.
fn run_and_kill(folder: &Path, lines: usize) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "tests::crash::child", "--nocapture"]).env(FOLDER, folder);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said = said.filter(|line| line.contains("published ") || line.contains("settled "));
    let said: Vec<_> = said.take(lines).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said.len(), lines, "the child ended by itself: {said:?}");
    said
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_was_told_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (mut published, mut settled) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..ROUNDS {
        // Each time at another place among rotations, checkpoints and summaries.
        for line in run_and_kill(folder.path(), 60 + round * 37) {
            let line = line.rsplit_once("... ").map_or(line.as_str(), |(_, line)| line);
            let (what, names) = line.split_once(' ').unwrap();
            let names = names.split(' ').filter(|name| !name.is_empty()).map(str::to_owned);
            if what == "published" { published.extend(names) } else { settled.extend(names) }
        }
        let report = check(folder.path()).unwrap();
        assert!(report.is_sound(), "round {round}: {report:?}");
        let (bus, report) = open(folder.path(), &clock()).await;
        assert!(report.damaged.is_empty(), "round {round}: {report:?}");
        let mut unsettled = BTreeSet::new();
        let end = bus.stats().await.unwrap().next_sequence;
        let ranges = bus.unsettled(consumer()).await.unwrap();
        let (mut from, mut stored) = (0, BTreeSet::new());
        while from < end {
            let page = bus.read(EntryKind::Event, from..end, ReadFilter::default()).await.unwrap();
            for entry in page.entries {
                let EntryBody::Event(event) = entry.body else { panic!("a record was read as an event") };
                assert!(stored.insert(event.id.to_string()), "round {round}: {} is stored twice", event.id);
                if ranges.iter().any(|range| range.contains(&entry.sequence)) {
                    unsettled.insert(event.id.to_string());
                }
            }
            from = page.next.unwrap_or(end);
        }
        let lost: Vec<_> = published.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round}: {} of {} are lost: {lost:?}", lost.len(), published.len());
        let back: Vec<_> = settled.intersection(&unsettled).collect();
        assert!(back.is_empty(), "round {round}: settled and not settled: {back:?}");
        // An event that is published again is known.
        let again: Vec<_> = published.iter().step_by(7).map(|id| event(id, "1")).collect();
        let receipts = bus.publish(again).await.unwrap();
        assert!(receipts.iter().all(|receipt| receipt.duplicate), "round {round}");
    }
}
