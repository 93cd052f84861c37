//! The promises of a bus, as cases that every bus passes. A driver's tests call [`contract_suite`](crate::contract_suite) with
//! what opens its bus.
#![expect(clippy::missing_panics_doc, reason = "a case that fails panics; that is what it is for")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use zetes_api::{Event, Namespace};

use crate::{
    Bus, BusError, Change, Consumer, ConsumerName, Delivery, EntryBody, Interest, Publication, ReadFilter,
    Revision, Start, StateKey, Subscription,
};

/// Opens the bus under test, with the time in the case's hand.
pub trait Factory {
    /// An empty bus.
    fn open(&self) -> impl Future<Output = Arc<dyn Bus>>;
    /// Moves the bus's clock on.
    fn advance(&self, by: Duration);
}

/// One test for each promise. The factory is made anew for each.
#[macro_export]
macro_rules! contract_suite {
    ($factory:expr) => {
        $crate::contract_suite!(@cases $factory,
            receipts_count_up_in_order
            a_duplicate_is_not_stored_again
            the_same_id_in_another_namespace_is_another_event
            a_consumer_sees_what_came_after_it
            a_consumer_from_the_earliest_sees_everything
            only_what_was_asked_for_is_handed_out
            settling_may_happen_in_any_order
            what_is_not_settled_in_time_comes_again
            a_nak_brings_a_delivery_again_after_its_delay
            progress_keeps_a_delivery_in_hand
            no_more_than_the_limit_is_in_flight
            a_second_subscriber_takes_over
            changed_interests_keep_the_position
            a_commit_is_made_whole_or_not_at_all
            state_has_revisions_and_is_listed_by_bucket
            records_are_found_by_their_event
            a_removed_consumer_is_forgotten
            a_closed_bus_says_so
        );
    };
    (@cases $factory:expr, $($case:ident)+) => {$(
        #[tokio::test]
        async fn $case() {
            $crate::contract::$case(&$factory).await;
        }
    )+};
}

/// How long a case waits for a bus that works.
const PATIENCE: Duration = Duration::from_secs(10);

fn event(namespace: &str, subject: &str, id: &str) -> Publication {
    let event = Event {
        id: id.into(),
        source: "hooks".into(),
        subject: subject.into(),
        event_type: "webhook".to_owned(),
        time: None,
        datacontenttype: Some("application/json".to_owned()),
        extensions: BTreeMap::new(),
        data: Some("{}".into()),
        document: zetes_api::Document::default(),
    };
    Publication { namespace: Namespace::from(namespace), event: Arc::new(event) }
}

fn subscription(trigger: &str) -> Subscription {
    Subscription {
        consumer: ConsumerName { namespace: "ci".into(), sensor: "s".into(), trigger: trigger.into() },
        interests: vec![Interest { source: Some("hooks".into()), subject: Some("push".into()) }],
        start: Start::Now,
        ack_deadline: Duration::from_secs(30),
        max_in_flight: 100,
    }
}

async fn publish(bus: &Arc<dyn Bus>, ids: &[&str]) {
    bus.publish(ids.iter().map(|id| event("ci", "push", id)).collect()).await.expect("the bus takes it");
}

async fn subscribe(bus: &Arc<dyn Bus>, trigger: &str) -> Box<dyn Consumer> {
    bus.subscribe(subscription(trigger)).await.expect("the consumer is created")
}

/// Exactly so many deliveries, however many fetches they take.
async fn take(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let fetch = tokio::time::timeout(PATIENCE, consumer.fetch(count - taken.len())).await;
        taken.extend(fetch.expect("deliveries come").expect("the bus works"));
    }
    taken
}

/// Nothing comes before something that is published now.
async fn nothing_but(bus: &Arc<dyn Bus>, consumer: &mut Box<dyn Consumer>, mark: &str) {
    publish(bus, &[mark]).await;
    assert_eq!(ids(&take(consumer, 1).await), [mark], "something else came first");
}

fn ids(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| delivery.event.id.to_string()).collect()
}

async fn ack(bus: &Arc<dyn Bus>, deliveries: &[Delivery]) {
    let acks = deliveries.iter().map(|delivery| Change::Ack(delivery.ticket.clone())).collect();
    bus.commit(acks).await.expect("the bus works");
}

pub async fn receipts_count_up_in_order(factory: &impl Factory) {
    let bus = factory.open().await;
    let receipts = bus
        .publish(vec![event("ci", "push", "a"), event("ci", "push", "b")])
        .await
        .expect("the bus takes it");
    assert!(receipts[0].sequence < receipts[1].sequence, "{receipts:?}");
    assert!(receipts.iter().all(|receipt| !receipt.duplicate), "{receipts:?}");
}

pub async fn a_duplicate_is_not_stored_again(factory: &impl Factory) {
    let bus = factory.open().await;
    let mut consumer = subscribe(&bus, "t").await;
    let first = bus.publish(vec![event("ci", "push", "a")]).await.expect("the bus takes it");
    let second = bus.publish(vec![event("ci", "push", "a")]).await.expect("the bus takes it");
    assert!(second[0].duplicate && second[0].sequence == first[0].sequence, "{second:?}");
    assert_eq!(ids(&take(&mut consumer, 1).await), ["a"]);
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn the_same_id_in_another_namespace_is_another_event(factory: &impl Factory) {
    let bus = factory.open().await;
    let receipts = bus
        .publish(vec![event("ci", "push", "a"), event("other", "push", "a")])
        .await
        .expect("the bus takes it");
    assert!(receipts.iter().all(|receipt| !receipt.duplicate), "{receipts:?}");
}

pub async fn a_consumer_sees_what_came_after_it(factory: &impl Factory) {
    let bus = factory.open().await;
    publish(&bus, &["before"]).await;
    let mut consumer = subscribe(&bus, "t").await;
    publish(&bus, &["a", "b"]).await;
    assert_eq!(ids(&take(&mut consumer, 2).await), ["a", "b"]);
}

pub async fn a_consumer_from_the_earliest_sees_everything(factory: &impl Factory) {
    let bus = factory.open().await;
    publish(&bus, &["before"]).await;
    let earliest = Subscription { start: Start::Earliest, ..subscription("t") };
    let mut consumer = bus.subscribe(earliest).await.expect("the consumer is created");
    assert_eq!(ids(&take(&mut consumer, 1).await), ["before"]);
}

pub async fn only_what_was_asked_for_is_handed_out(factory: &impl Factory) {
    let bus = factory.open().await;
    let mut consumer = subscribe(&bus, "t").await;
    bus.publish(vec![event("ci", "pull", "x"), event("other", "push", "y"), event("ci", "push", "a")])
        .await
        .expect("the bus takes it");
    assert_eq!(ids(&take(&mut consumer, 1).await), ["a"]);
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn settling_may_happen_in_any_order(factory: &impl Factory) {
    let bus = factory.open().await;
    let mut consumer = subscribe(&bus, "t").await;
    publish(&bus, &["a", "b", "c"]).await;
    let deliveries = take(&mut consumer, 3).await;
    ack(&bus, &deliveries[1..]).await;
    factory.advance(Duration::from_secs(31));
    assert_eq!(ids(&take(&mut consumer, 1).await), ["a"]);
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn what_is_not_settled_in_time_comes_again(factory: &impl Factory) {
    let bus = factory.open().await;
    let mut consumer = subscribe(&bus, "t").await;
    publish(&bus, &["a"]).await;
    assert_eq!(take(&mut consumer, 1).await[0].deliveries, 1);
    factory.advance(Duration::from_secs(31));
    let again = take(&mut consumer, 1).await;
    assert_eq!((ids(&again), again[0].deliveries), (vec!["a".to_owned()], 2));
}

pub async fn a_nak_brings_a_delivery_again_after_its_delay(factory: &impl Factory) {
    let bus = factory.open().await;
    let mut consumer = subscribe(&bus, "t").await;
    publish(&bus, &["a"]).await;
    let delivery = take(&mut consumer, 1).await.remove(0);
    consumer.nak(delivery.ticket, Duration::from_secs(5));
    nothing_but(&bus, &mut consumer, "mark").await;
    factory.advance(Duration::from_secs(5));
    assert_eq!(ids(&take(&mut consumer, 1).await), ["a"]);
}

pub async fn progress_keeps_a_delivery_in_hand(factory: &impl Factory) {
    let bus = factory.open().await;
    let mut consumer = subscribe(&bus, "t").await;
    publish(&bus, &["a"]).await;
    let delivery = take(&mut consumer, 1).await.remove(0);
    factory.advance(Duration::from_secs(20));
    consumer.progress(&[delivery.ticket]);
    factory.advance(Duration::from_secs(20));
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn no_more_than_the_limit_is_in_flight(factory: &impl Factory) {
    let bus = factory.open().await;
    let limited = Subscription { max_in_flight: 2, ..subscription("t") };
    let mut consumer = bus.subscribe(limited).await.expect("the consumer is created");
    publish(&bus, &["a", "b", "c"]).await;
    let first = take(&mut consumer, 2).await;
    let third = tokio::time::timeout(Duration::from_millis(50), consumer.fetch(1)).await;
    assert!(third.is_err(), "a third one was handed out: {third:?}");
    ack(&bus, &first[..1]).await;
    assert_eq!(ids(&take(&mut consumer, 1).await), ["c"]);
}

pub async fn a_second_subscriber_takes_over(factory: &impl Factory) {
    let bus = factory.open().await;
    let mut first = subscribe(&bus, "t").await;
    publish(&bus, &["a"]).await;
    take(&mut first, 1).await;
    let mut second = subscribe(&bus, "t").await;
    assert!(matches!(first.fetch(1).await, Err(BusError::Closed)));
    assert_eq!(ids(&take(&mut second, 1).await), ["a"], "what the first had in hand comes again");
}

pub async fn changed_interests_keep_the_position(factory: &impl Factory) {
    let bus = factory.open().await;
    let mut consumer = subscribe(&bus, "t").await;
    publish(&bus, &["a", "b"]).await;
    let deliveries = take(&mut consumer, 2).await;
    ack(&bus, &deliveries[..1]).await;
    let wider =
        Subscription { interests: vec![Interest { source: None, subject: None }], ..subscription("t") };
    let mut consumer = bus.subscribe(wider).await.expect("the consumer is there");
    bus.publish(vec![event("ci", "pull", "c")]).await.expect("the bus takes it");
    assert_eq!(ids(&take(&mut consumer, 2).await), ["b", "c"]);
}

pub async fn a_commit_is_made_whole_or_not_at_all(factory: &impl Factory) {
    let bus = factory.open().await;
    let put = |key: &str, expected| Change::Put { key: StateKey::new("b", key), value: "v".into(), expected };
    bus.commit(vec![put("one", Some(None))]).await.expect("nothing was there");
    let conflict = bus.commit(vec![put("two", None), put("one", Some(Some(Revision(u64::MAX))))]).await;
    assert!(matches!(conflict, Err(BusError::Conflict { .. })), "{conflict:?}");
    assert!(bus.get(StateKey::new("b", "two")).await.expect("the bus works").is_none());
}

pub async fn state_has_revisions_and_is_listed_by_bucket(factory: &impl Factory) {
    let bus = factory.open().await;
    let put = |bucket: &str, key: &str, expected| Change::Put {
        key: StateKey::new(bucket, key),
        value: key.to_owned().into(),
        expected,
    };
    bus.commit(vec![
        put("a", "x/1", None),
        put("a", "x/2", None),
        put("a", "y", None),
        put("b", "x/3", None),
    ])
    .await
    .expect("the bus works");
    let listed = bus.list("a".to_owned(), "x/".to_owned()).await.expect("the bus works");
    assert_eq!(listed.iter().map(|(key, _)| key.key.as_str()).collect::<Vec<_>>(), ["x/1", "x/2"]);
    let revision = listed[0].1.revision;
    bus.commit(vec![put("a", "x/1", Some(Some(revision)))]).await.expect("the revision is right");
    let entry = bus.get(StateKey::new("a", "x/1")).await.expect("the bus works").expect("it is there");
    assert!(entry.revision > revision);
    bus.commit(vec![Change::Delete { key: StateKey::new("a", "x/1") }]).await.expect("the bus works");
    assert!(bus.get(StateKey::new("a", "x/1")).await.expect("the bus works").is_none());
}

pub async fn records_are_found_by_their_event(factory: &impl Factory) {
    let bus = factory.open().await;
    publish(&bus, &["a", "b"]).await;
    let record = |id: &str| Change::Record {
        namespace: "ci".into(),
        about: vec![id.into()],
        record: id.to_owned().into(),
    };
    bus.commit(vec![record("a"), record("b")]).await.expect("the bus works");
    let filter = ReadFilter { about: Some("b".into()), events: true, records: true, namespace: None };
    let page = bus.read(0..u64::MAX, filter).await.expect("the bus works");
    let (events, records): (Vec<_>, Vec<_>) =
        page.entries.into_iter().partition(|entry| matches!(entry.body, EntryBody::Event(_)));
    assert_eq!((events.len(), records.len()), (1, 1));
}

pub async fn a_removed_consumer_is_forgotten(factory: &impl Factory) {
    let bus = factory.open().await;
    let mut consumer = subscribe(&bus, "t").await;
    publish(&bus, &["a"]).await;
    bus.remove_consumer(subscription("t").consumer).await.expect("the bus works");
    assert!(matches!(consumer.fetch(1).await, Err(BusError::Closed)));
    assert!(bus.stats().await.expect("the bus works").consumers.is_empty());
    let mut anew = subscribe(&bus, "t").await;
    nothing_but(&bus, &mut anew, "mark").await;
}

pub async fn a_closed_bus_says_so(factory: &impl Factory) {
    let bus = factory.open().await;
    let mut consumer = subscribe(&bus, "t").await;
    bus.close().await.expect("the bus works");
    assert!(matches!(bus.publish(vec![event("ci", "push", "a")]).await, Err(BusError::Closed)));
    assert!(matches!(consumer.fetch(1).await, Err(BusError::Closed)));
}
