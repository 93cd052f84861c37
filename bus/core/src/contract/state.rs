//! State entries: revisions, and the fence between two writers.

use super::{Factory, opened, put, reopened};
use crate::{BusError, Change, StateKey};

pub async fn state_has_revisions_and_is_listed_by_bucket(factory: &impl Factory) {
    let bus = opened(factory).await;
    bus.commit(vec![
        put("ci/a", "x/1", None),
        put("ci/a", "x/2", None),
        put("ci/a", "y", None),
        put("ci/b", "x/3", None),
    ])
    .await
    .expect("the bus works");
    let listed = bus.list("ci/a".to_owned(), "x/".to_owned()).await.expect("the bus works");
    assert_eq!(listed.iter().map(|(key, _)| key.key.as_str()).collect::<Vec<_>>(), ["x/1", "x/2"]);
    assert_eq!(listed[1].1.value, "x/2".as_bytes());
    assert_eq!(bus.buckets().await.expect("the bus works"), ["ci/a", "ci/b"]);
    let revision = listed[0].1.revision;
    bus.commit(vec![put("ci/a", "x/1", Some(Some(revision)))]).await.expect("the revision is right");
    let entry = bus.get(StateKey::new("ci/a", "x/1")).await.expect("the bus works").expect("it is there");
    assert!(entry.revision > revision);
    let deleted = ["x/1", "never there"].map(|key| Change::Delete { key: StateKey::new("ci/a", key) });
    bus.commit(deleted.to_vec()).await.expect("the bus works");
    assert!(bus.get(StateKey::new("ci/a", "x/1")).await.expect("the bus works").is_none());
    bus.commit(vec![put("ci/a", "x/1", Some(None))]).await.expect("nothing is there any more");
}

pub async fn state_outlives_the_process(factory: &impl Factory) {
    let bus = opened(factory).await;
    bus.commit(vec![put("ci/a", "kept", None), put("ci/a", "gone", None)]).await.expect("the bus works");
    bus.commit(vec![Change::Delete { key: StateKey::new("ci/a", "gone") }]).await.expect("the bus works");
    let before = bus.get(StateKey::new("ci/a", "kept")).await.expect("the bus works");
    let bus = reopened(factory, bus).await;
    assert_eq!(bus.get(StateKey::new("ci/a", "kept")).await.expect("the bus works"), before);
    let listed = bus.list("ci/a".to_owned(), String::new()).await.expect("the bus works");
    assert_eq!(listed.len(), 1, "{listed:?}");
}

pub async fn of_two_writers_with_the_same_revision_one_wins(factory: &impl Factory) {
    let one = opened(factory).await;
    let two = opened(factory).await;
    one.commit(vec![put("ci/a", "lease", Some(None))]).await.expect("nothing was there");
    let entry = two.get(StateKey::new("ci/a", "lease")).await.expect("the bus works").expect("it is there");
    let expected = Some(Some(entry.revision));
    let (first, second) = tokio::join!(
        one.commit(vec![put("ci/a", "lease", expected)]),
        two.commit(vec![put("ci/a", "lease", expected)])
    );
    let won = [&first, &second].iter().filter(|result| result.is_ok()).count();
    assert_eq!(won, 1, "{first:?} {second:?}");
    let lost = if first.is_ok() { second } else { first };
    assert!(matches!(lost, Err(BusError::Conflict { .. })), "{lost:?}");
    let late = one.commit(vec![put("ci/a", "lease", Some(None))]).await;
    assert!(matches!(late, Err(BusError::Conflict { .. })), "{late:?}");
}

pub async fn any_text_is_a_key(factory: &impl Factory) {
    let bus = opened(factory).await;
    let long = "long ".repeat(2_000);
    let keys = ["plain", "we.ird *>/ näme", "", " ", "=20", long.as_str()];
    bus.commit(keys.map(|key| put("ci/b. *>", key, None)).to_vec()).await.expect("the bus works");
    for key in keys {
        let entry = bus.get(StateKey::new("ci/b. *>", key)).await.expect("the bus works");
        assert_eq!(entry.expect("it is there").value, key.as_bytes());
    }
    let listed = bus.list("ci/b. *>".to_owned(), String::new()).await.expect("the bus works");
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    assert_eq!(listed.iter().map(|(key, _)| key.key.as_str()).collect::<Vec<_>>(), expected);
}
