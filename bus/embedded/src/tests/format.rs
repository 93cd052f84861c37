//! What versions of the format mean to each other.

use super::*;
use crate::codec::checksum;

/// A directory as version 1 wrote it, made byte by byte: a closed segment, an open one, and its checkpoint.
fn version_1(folder: &Path) {
    let log = folder.join("log");
    std::fs::create_dir_all(&log).unwrap();
    let text = |text: &str| [&u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat();
    let event = |id: &str| {
        let json = format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"hooks\",\"type\":\"webhook\",\"subject\":\"push\",\"data\":{{\"n\":1}}}}"
        );
        [vec![1], text("ci"), text(&json)].concat()
    };
    let name = [text("ci"), text("s"), text("t")].concat();
    let ack = |sequence: u64| [&[3][..], &name, &sequence.to_le_bytes()].concat();
    let interests = "[{\"source\":\"hooks\",\"subject\":null}]";
    let consumer = [&[6][..], &name, &1_u64.to_le_bytes(), &text(interests)].concat();
    let put = [vec![4], text("ci/b"), text("k"), text("v"), 7_u64.to_le_bytes().to_vec()].concat();
    let record = [vec![2], text("ci"), 1_u32.to_le_bytes().to_vec(), text("a"), text("of a")].concat();
    let segment = |number: u64, first_sequence: u64, frames: &[(u64, &[&[u8]])]| {
        let mut bytes = b"ZETESLOG\x01\0\0\0\0\0\0\0".to_vec();
        bytes.extend(number.to_le_bytes());
        bytes.extend(first_sequence.to_le_bytes());
        bytes.resize(64, 0);
        for (sequence, entries) in frames {
            let mut checked = 1_u32.to_le_bytes().to_vec();
            checked.extend(u32::try_from(entries.len()).unwrap().to_le_bytes());
            checked.extend(sequence.to_le_bytes());
            checked.extend(1_800_000_000_000_000_i64.to_le_bytes());
            checked.extend(entries.concat());
            bytes.extend(u32::try_from(checked.len() + 8).unwrap().to_le_bytes());
            bytes.extend(checksum(number, &checked).to_le_bytes());
            bytes.extend(checked);
        }
        let end = bytes.len();
        bytes.resize(1 << 20, 0);
        std::fs::write(log.join(format!("{number:020}.log")), bytes).unwrap();
        end
    };
    segment(1, 1, &[(1, &[&consumer]), (1, &[&event("a"), &event("b")]), (3, &[&record, &put])]);
    let end = segment(2, 4, &[(4, &[&event("c")]), (5, &[&ack(1)])]);
    // The checkpoint stands before what the second segment says of the acknowledgement.
    let checkpoint = serde_json::json!({
        "segment": 2, "offset": end - 32 - 1 - 8 - 4 * 3 - 4, "next_sequence": 5, "next_revision": 8,
        "consumers": [{
            "name": {"namespace": "ci", "sensor": "s", "trigger": "t"},
            "interests": [{"source": "hooks", "subject": null}],
            "unsettled": [{"start": 1, "end": u64::MAX}], "high_water": 3,
        }],
        "state": [[{"bucket": "ci/b", "key": "k"}, [118], 7]],
    });
    std::fs::write(folder.join("checkpoint.json"), checkpoint.to_string()).unwrap();
}

#[tokio::test]
async fn a_directory_of_version_1_is_read_and_carried_on() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    version_1(folder.path());
    for start in ["first", "second", "third"] {
        let (bus, report) = open(folder.path(), &clock).await;
        assert_eq!(report, OpenReport::default(), "{start}");
        let entry = bus.get(StateKey::new("ci/b", "k")).await.unwrap().unwrap();
        assert_eq!((entry.value.as_ref(), entry.revision), (&b"v"[..], Revision(7)), "{start}");
        assert_eq!(bus.unsettled(consumer()).await.unwrap().first().unwrap().start, 2, "{start}");
        let about = ReadFilter { about: Some("a".into()), namespace: None };
        assert_eq!(bus.read(EntryKind::Record, 0..9, about).await.unwrap().entries.len(), 1, "{start}");
        let known = bus.publish(vec![event("b", "1")]).await.unwrap()[0];
        assert!(known.duplicate && known.sequence == 2, "{start}: {known:?}");
        bus.publish(vec![event(start, "1")]).await.unwrap();
        bus.close().await.unwrap();
    }
    let (bus, _) = open(folder.path(), &clock).await;
    let mut reader = bus.subscribe(subscription()).await.unwrap();
    assert_eq!(ids(&reader.fetch(10).await.unwrap()), ["b", "c", "first", "second", "third"]);
    assert!(
        !folder.path().join("checkpoint.json").exists(),
        "version 1's checkpoint would be taken for newer"
    );
    let report = crate::check(folder.path()).unwrap();
    assert!(report.is_sound() && report.older_segments == 2, "{report:?}");
}

#[tokio::test]
async fn a_segment_of_version_1_is_kept_until_a_checkpoint_says_what_it_said() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    version_1(folder.path());
    std::fs::remove_file(folder.path().join("checkpoint.json")).unwrap();
    clock.advance(Duration::from_hours(500));
    let discard = Retention { discard_old: true, ..Retention::default() };
    let (bus, _) =
        EmbeddedBus::open(folder.path(), Options { retention: discard, ..options(&clock) }).await.unwrap();
    // Nothing is written, so that there is no place for a checkpoint: everything must still be there after a crash.
    let looked = tokio::time::timeout(Duration::from_millis(1_500), std::future::pending::<()>()).await;
    assert!(looked.is_err() && folder.path().join("log/00000000000000000001.log").exists());
    bus.publish(vec![event("new", "1")]).await.unwrap();
    start::eventually("what is too old goes", || {
        !folder.path().join("log/00000000000000000001.log").exists()
    })
    .await;
    drop(bus);
    let (bus, report) = open(folder.path(), &clock).await;
    assert_eq!(report, OpenReport::default());
    assert!(bus.get(StateKey::new("ci/b", "k")).await.unwrap().is_some(), "state went with its segment");
}

#[tokio::test]
async fn a_newer_version_is_refused_and_nothing_is_touched() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let (bus, _) = open(folder.path(), &clock).await;
    bus.publish(vec![event("a", "1")]).await.unwrap();
    bus.close().await.unwrap();
    drop(bus);
    let segment = last_segment(folder.path());
    OpenOptions::new().write(true).open(&segment).unwrap().write_all_at(&[3], 8).unwrap();
    let before = std::fs::read(&segment).unwrap();
    let error = EmbeddedBus::open(folder.path(), options(&clock)).await.unwrap_err();
    assert!(
        matches!(&error, BusError::Damaged(text) if text.contains("version 3") && text.contains("up to 2")),
        "{error}"
    );
    assert!(crate::check(folder.path()).is_err());
    assert_eq!(std::fs::read(&segment).unwrap(), before);
}

#[test]
fn an_event_is_the_same_after_its_round_through_bytes() {
    let mut event = Arc::unwrap_or_clone(event("ä", "{\"a\": [1, 2.0]}").event);
    let mut all = vec![event.clone()];
    event.time = Some("2026-11-25T08:00:00.123456789Z".parse().unwrap());
    event.extensions = BTreeMap::from([("traceparent".to_owned(), serde_json::json!("00-1"))]);
    all.push(event.clone());
    event.data = Some(vec![0, 255, 7].into());
    event.datacontenttype = Some("application/octet-stream".to_owned());
    all.push(event.clone());
    event.data = None;
    event.datacontenttype = None;
    all.push(event);
    for event in all {
        let mut bytes = Vec::new();
        crate::event::encode(&mut bytes, &event);
        assert_eq!(crate::event::decode(&bytes).as_ref(), Some(&event));
        for cut in 0..bytes.len() {
            assert_eq!(crate::event::decode(&bytes[..cut]), None, "cut at {cut}");
        }
    }
}
