//! Reading back, and what a bus tells of itself.

use super::{Factory, NAMESPACE, PATIENCE, ack, event, event_of, opened, publish, read_all, subscribe, take};
use crate::{BusError, Change, Entry, EntryBody, EntryKind, ReadFilter};

pub async fn events_are_read_back_in_pages(factory: &impl Factory) {
    let bus = opened(factory).await;
    // About 3 MiB, so that no bus can put it into one page.
    let data = format!("\"{}\"", "x".repeat(100 << 10));
    for batch in 0..3 {
        let batch = (0..10)
            .map(|number| event_of(NAMESPACE, "push", &format!("{}", batch * 10 + number), data.clone()));
        bus.publish(batch.collect()).await.expect("the bus takes it");
    }
    let (entries, pages) = read_all(&bus, EntryKind::Event, &ReadFilter::default()).await;
    let read: Vec<String> = entries
        .iter()
        .filter_map(|entry| match &entry.body {
            EntryBody::Event(event) => Some(event.id.to_string()),
            EntryBody::Record(_) => None,
        })
        .collect();
    assert_eq!(read, (0..30).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(pages > 1, "a page has about 1 MiB");
    let (from, end) = (entries[3].sequence, entries[5].sequence);
    let page = bus.read(EntryKind::Event, from..end, ReadFilter::default()).await.expect("the bus works");
    assert_eq!(
        page.entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(),
        [from, entries[4].sequence]
    );
}

pub async fn records_are_found_by_their_event(factory: &impl Factory) {
    let bus = opened(factory).await;
    publish(&bus, &["a", "b"]).await;
    let record = |about: &[&str], record: &'static str| Change::Record {
        namespace: NAMESPACE.into(),
        about: about.iter().map(|id| (*id).into()).collect(),
        record: record.into(),
    };
    bus.commit(vec![record(&["a"], "of a"), record(&["a", "b"], "of both"), record(&["c"], "of c")])
        .await
        .expect("the bus works");
    let about = |id: &str| ReadFilter { about: Some(id.into()), namespace: None };
    let (events, _) = read_all(&bus, EntryKind::Event, &about("b")).await;
    assert_eq!(events.len(), 1, "{events:?}");
    for (id, expected) in [("a", &["of a", "of both"][..]), ("b", &["of both"]), ("c", &["of c"])] {
        let (entries, _) = read_all(&bus, EntryKind::Record, &about(id)).await;
        assert_eq!(records(&entries), expected, "about {id}");
    }
    let (all, _) = read_all(&bus, EntryKind::Record, &ReadFilter::default()).await;
    assert_eq!(records(&all), ["of a", "of both", "of c"], "each once, in order");
}

fn records(entries: &[Entry]) -> Vec<&str> {
    let records = entries.iter().filter_map(|entry| match &entry.body {
        EntryBody::Record(record) => {
            Some(std::str::from_utf8(record).expect("records of this suite are text"))
        }
        EntryBody::Event(_) => None,
    });
    records.collect()
}

pub async fn statistics_tell_how_far_a_consumer_is(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a", "b", "c"]).await;
    let taken = take(&mut consumer, 2).await;
    ack(&bus, &taken[..1]).await;
    let stats = bus.stats().await.expect("the bus works");
    assert_eq!(stats.events, 3);
    assert!(stats.bytes > 0);
    assert!(stats.first_sequence <= taken[0].ticket.sequence);
    assert!(stats.next_sequence > taken[1].ticket.sequence);
    let told = stats.consumers.iter().find(|told| told.name == super::consumer("t")).expect("it is listed");
    assert_eq!((told.lag, told.in_flight), (2, 1), "{told:?}");
    assert_eq!(told.oldest_unread, Some(taken[1].published_at));
}

pub async fn what_a_consumer_has_not_settled_is_told(factory: &impl Factory) {
    let bus = opened(factory).await;
    publish(&bus, &["before"]).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a", "b", "c"]).await;
    let taken = take(&mut consumer, 2).await;
    ack(&bus, &taken[..1]).await;
    let told = bus.unsettled(super::consumer("t")).await.expect("the bus works");
    let has = |sequence: u64| told.iter().any(|range| range.contains(&sequence));
    let (entries, _) = read_all(&bus, EntryKind::Event, &ReadFilter::default()).await;
    let unsettled: Vec<bool> = entries.iter().map(|entry| has(entry.sequence)).collect();
    assert_eq!(unsettled, [false, false, true, true], "{told:?}");
    assert!(bus.unsettled(super::consumer("nobody")).await.expect("the bus works").is_empty());
}

pub async fn a_closed_bus_says_so(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    bus.close().await.expect("the bus works");
    let published = bus.publish(vec![event(NAMESPACE, "push", "a")]).await;
    assert!(matches!(published, Err(BusError::Closed)), "{published:?}");
    let fetched = tokio::time::timeout(PATIENCE, consumer.fetch(1)).await.expect("the fetch ends");
    assert!(matches!(fetched, Err(BusError::Closed)), "{fetched:?}");
    bus.close().await.expect("it is closed already");
}
