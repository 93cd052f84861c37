//! The promises of a bus, as cases that every bus passes. A driver's tests call [`contract_suite`](crate::contract_suite) with
//! what opens its bus.
#![expect(clippy::missing_panics_doc, reason = "a case that fails panics; that is what it is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use zetes_api::{Event, Namespace};

use crate::{
    Bus, BusError, Change, Consumer, ConsumerName, Delivery, EntryBody, EntryKind, Interest, Publication,
    ReadFilter, Retention, Revision, Start, StateKey, Subscription,
};

/// Opens the bus under test. Made anew for each case, with nothing on it.
pub trait Factory {
    /// The bus as a namespace sees it. Opened again, it is another process on the same bus; the same one where a bus belongs to one
    /// process.
    fn open(&self, namespace: &str, retention: Retention) -> impl Future<Output = Arc<dyn Bus>>;

    /// Closes the bus and opens it again, as a restart of the process does.
    fn reopen(
        &self,
        bus: Arc<dyn Bus>,
        namespace: &str,
        retention: Retention,
    ) -> impl Future<Output = Arc<dyn Bus>>;

    /// Lets time pass for the bus.
    fn advance(&self, by: Duration) -> impl Future<Output = ()>;

    /// What a case takes for a second: a server's clock can't be turned, so that a bus on one is given shorter times.
    fn second(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// One test for each promise. `$factory` is evaluated anew for each.
#[macro_export]
macro_rules! contract_suite {
    ($factory:expr) => {
        $crate::contract_suite!(@cases $factory,
            receipts_count_up_in_order
            a_duplicate_is_not_stored_again
            a_duplicate_within_a_batch_is_not_stored_again
            a_duplicate_is_known_after_a_restart
            an_event_that_is_too_large_is_refused_and_the_rest_of_its_batch_can_be_published
            a_full_bus_refuses_and_takes_again_what_has_room
            namespaces_share_nothing
            a_consumer_sees_what_came_after_it
            a_consumer_from_the_earliest_sees_everything
            a_consumer_from_a_time_sees_what_came_since
            a_consumer_from_a_sequence_begins_with_it
            only_what_was_asked_for_is_handed_out
            an_interest_in_anything_sees_everything_of_its_namespace
            a_fetch_waits_for_what_is_published_later
            settling_may_happen_in_any_order
            what_is_not_settled_in_time_comes_again
            a_nak_brings_a_delivery_again_after_its_delay
            progress_keeps_a_delivery_in_hand
            no_more_than_the_limit_is_in_flight
            subscribers_share_the_deliveries
            what_a_dropped_subscriber_held_comes_again
            a_position_outlives_the_process
            changed_interests_keep_the_position
            a_commit_is_made_whole_or_not_at_all
            state_has_revisions_and_is_listed_by_bucket
            state_outlives_the_process
            of_two_writers_with_the_same_revision_one_wins
            any_text_is_a_key
            events_are_read_back_in_pages
            records_are_found_by_their_event
            statistics_tell_how_far_a_consumer_is
            what_a_consumer_has_not_settled_is_told
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
const PATIENCE: Duration = Duration::from_secs(20);
const NAMESPACE: &str = "ci";

fn event(namespace: &str, subject: &str, id: &str) -> Publication {
    event_of(namespace, subject, id, "{}".to_owned())
}

fn event_of(namespace: &str, subject: &str, id: &str, data: String) -> Publication {
    let event = Event {
        id: id.into(),
        source: "hooks".into(),
        subject: subject.into(),
        event_type: "webhook".to_owned(),
        time: None,
        datacontenttype: Some("application/json".to_owned()),
        extensions: BTreeMap::new(),
        data: Some(data.into()),
        document: zetes_api::Document::default(),
    };
    Publication { namespace: Namespace::from(namespace), event: Arc::new(event) }
}

fn interest(source: Option<&str>, subject: Option<&str>) -> Interest {
    Interest { source: source.map(Into::into), subject: subject.map(Into::into), dependency: "d".into() }
}

fn subscription(factory: &impl Factory, trigger: &str) -> Subscription {
    Subscription {
        consumer: consumer(trigger),
        interests: vec![interest(Some("hooks"), Some("push"))],
        start: Start::Now,
        ack_deadline: factory.second() * 30,
        max_in_flight: 100,
    }
}

fn consumer(trigger: &str) -> ConsumerName {
    ConsumerName { namespace: NAMESPACE.into(), sensor: "s".into(), trigger: trigger.into() }
}

async fn opened(factory: &impl Factory) -> Arc<dyn Bus> {
    factory.open(NAMESPACE, Retention::default()).await
}

async fn reopened(factory: &impl Factory, bus: Arc<dyn Bus>) -> Arc<dyn Bus> {
    factory.reopen(bus, NAMESPACE, Retention::default()).await
}

async fn publish(bus: &Arc<dyn Bus>, ids: &[&str]) {
    bus.publish(ids.iter().map(|id| event(NAMESPACE, "push", id)).collect()).await.expect("the bus takes it");
}

async fn subscribe(factory: &impl Factory, bus: &Arc<dyn Bus>, trigger: &str) -> Box<dyn Consumer> {
    bus.subscribe(subscription(factory, trigger)).await.expect("the consumer is created")
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

/// As in [`Change::Put`].
type Expected = Option<Option<Revision>>;

fn put(bucket: &str, key: &str, expected: Expected) -> Change {
    Change::Put { key: StateKey::new(bucket, key), value: key.to_owned().into(), expected }
}

/// All that a range has, however many pages it takes.
async fn read_all(bus: &Arc<dyn Bus>, kind: EntryKind, filter: &ReadFilter) -> (Vec<crate::Entry>, usize) {
    let (mut entries, mut from, mut pages) = (Vec::new(), 0, 0);
    loop {
        let page = bus.read(kind, from..u64::MAX, filter.clone()).await.expect("the bus works");
        pages += 1;
        entries.extend(page.entries);
        match page.next {
            Some(next) => {
                assert!(next > from, "a page ends before it began");
                from = next;
            }
            None => return (entries, pages),
        }
    }
}

pub async fn receipts_count_up_in_order(factory: &impl Factory) {
    let bus = opened(factory).await;
    let receipts = bus
        .publish(vec![event(NAMESPACE, "push", "a"), event(NAMESPACE, "push", "b")])
        .await
        .expect("the bus takes it");
    assert!(receipts[0].sequence < receipts[1].sequence, "{receipts:?}");
    assert!(receipts.iter().all(|receipt| !receipt.duplicate), "{receipts:?}");
}

pub async fn a_duplicate_is_not_stored_again(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    let first = bus.publish(vec![event(NAMESPACE, "push", "a")]).await.expect("the bus takes it");
    let second = bus.publish(vec![event(NAMESPACE, "push", "a")]).await.expect("the bus takes it");
    assert!(second[0].duplicate && second[0].sequence == first[0].sequence, "{second:?}");
    // The same id of another event of the event source is another event.
    let other = bus.publish(vec![event(NAMESPACE, "pull", "a")]).await.expect("the bus takes it");
    assert!(!other[0].duplicate, "{other:?}");
    assert_eq!(ids(&take(&mut consumer, 1).await), ["a"]);
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn a_duplicate_within_a_batch_is_not_stored_again(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    let batch = ["a", "b", "a"].map(|id| event(NAMESPACE, "push", id)).to_vec();
    let receipts = bus.publish(batch).await.expect("the bus takes it");
    assert_eq!(receipts[0].sequence, receipts[2].sequence);
    assert!(receipts[2].duplicate && !receipts[0].duplicate, "{receipts:?}");
    assert_eq!(ids(&take(&mut consumer, 2).await), ["a", "b"]);
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn a_duplicate_is_known_after_a_restart(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a"]).await;
    ack(&bus, &take(&mut consumer, 1).await).await;
    drop(consumer);
    let bus = reopened(factory, bus).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    let again = bus.publish(vec![event(NAMESPACE, "push", "a")]).await.expect("the bus takes it");
    assert!(again[0].duplicate, "{again:?}");
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn an_event_that_is_too_large_is_refused_and_the_rest_of_its_batch_can_be_published(
    factory: &impl Factory,
) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    let large = event_of(NAMESPACE, "push", "large", format!("\"{}\"", "x".repeat(16 << 20)));
    let batch = bus.publish(vec![event(NAMESPACE, "push", "a"), large]).await;
    assert!(matches!(batch, Err(BusError::TooLarge { .. })), "{batch:?}");
    nothing_but(&bus, &mut consumer, "a").await;
}

pub async fn a_full_bus_refuses_and_takes_again_what_has_room(factory: &impl Factory) {
    let small = Retention { max_events: Some(3), ..Retention::default() };
    let bus = factory.open(NAMESPACE, small).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a", "b", "c"]).await;
    let full = bus.publish(vec![event(NAMESPACE, "push", "d")]).await;
    let told = full.err().map(|error| (matches!(error, BusError::Full(_)), error.to_string()));
    let (is_full, told) = told.expect("a full bus takes nothing");
    assert!(is_full && told.contains("ci/s/t"), "expected the slowest consumer's name: {told}");
    // Acknowledgements and state are taken all the same.
    let first = take(&mut consumer, 3).await;
    assert_eq!(ids(&first), ["a", "b", "c"]);
    bus.commit(vec![put("ci/b", "k", None), Change::Ack(first[0].ticket.clone())])
        .await
        .expect("there is room for state");
    ack(&bus, &first[1..]).await;
    nothing_but(&bus, &mut consumer, "d").await;
}

pub async fn namespaces_share_nothing(factory: &impl Factory) {
    let ours = opened(factory).await;
    let theirs = factory.open("other", Retention::default()).await;
    let their_name = ConsumerName { namespace: "other".into(), ..consumer("t") };
    let anything = Subscription {
        consumer: their_name.clone(),
        interests: vec![interest(None, None)],
        ..subscription(factory, "t")
    };
    let mut our_consumer = subscribe(factory, &ours, "t").await;
    let mut their_consumer = theirs.subscribe(anything).await.expect("the consumer is created");
    publish(&ours, &["a"]).await;
    let published = theirs.publish(vec![event("other", "push", "a")]).await.expect("the bus takes it");
    assert!(!published[0].duplicate, "the same id in another namespace is another event");
    let their_delivery = take(&mut their_consumer, 1).await;
    theirs.commit(vec![Change::Ack(their_delivery[0].ticket.clone())]).await.expect("the bus works");
    assert_eq!(ids(&take(&mut our_consumer, 1).await), ["a"], "their position is not ours");
    nothing_but(&ours, &mut our_consumer, "mark").await;
    ours.commit(vec![put("ci/b", "k", None)]).await.expect("the bus works");
    theirs.commit(vec![put("other/b", "k", Some(None))]).await.expect("nothing of theirs was there");
    assert!(theirs.get(StateKey::new("other/b", "k")).await.expect("the bus works").is_some());
    theirs.remove_consumer(their_name).await.expect("the bus works");
    nothing_but(&ours, &mut our_consumer, "mark 2").await;
}

pub async fn a_consumer_sees_what_came_after_it(factory: &impl Factory) {
    let bus = opened(factory).await;
    publish(&bus, &["before"]).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a", "b"]).await;
    let taken = take(&mut consumer, 2).await;
    assert_eq!(ids(&taken), ["a", "b"]);
    assert_eq!(taken[0].deliveries, 1);
}

pub async fn a_consumer_from_the_earliest_sees_everything(factory: &impl Factory) {
    let bus = opened(factory).await;
    publish(&bus, &["before"]).await;
    let earliest = Subscription { start: Start::Earliest, ..subscription(factory, "t") };
    let mut consumer = bus.subscribe(earliest).await.expect("the consumer is created");
    assert_eq!(ids(&take(&mut consumer, 1).await), ["before"]);
}

pub async fn a_consumer_from_a_time_sees_what_came_since(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut all = subscribe(factory, &bus, "all").await;
    publish(&bus, &["a"]).await;
    factory.advance(factory.second()).await;
    publish(&bus, &["b"]).await;
    let since = take(&mut all, 2).await[1].published_at;
    let from = Subscription { start: Start::Time(since), ..subscription(factory, "t") };
    let mut consumer = bus.subscribe(from).await.expect("the consumer is created");
    assert_eq!(ids(&take(&mut consumer, 1).await), ["b"]);
}

pub async fn a_consumer_from_a_sequence_begins_with_it(factory: &impl Factory) {
    let bus = opened(factory).await;
    let batch = ["a", "b", "c"].map(|id| event(NAMESPACE, "push", id)).to_vec();
    let receipts = bus.publish(batch).await.expect("the bus takes it");
    let from = Subscription { start: Start::Sequence(receipts[1].sequence), ..subscription(factory, "t") };
    let mut consumer = bus.subscribe(from).await.expect("the consumer is created");
    let taken = take(&mut consumer, 2).await;
    assert_eq!(ids(&taken), ["b", "c"]);
    assert_eq!(taken[0].ticket.sequence, receipts[1].sequence, "a delivery has its receipt's sequence");
}

pub async fn only_what_was_asked_for_is_handed_out(factory: &impl Factory) {
    let bus = opened(factory).await;
    let several = Subscription {
        interests: vec![interest(Some("hooks"), Some("push")), interest(Some("hooks"), Some("tag"))],
        ..subscription(factory, "t")
    };
    let mut consumer = bus.subscribe(several).await.expect("the consumer is created");
    let batch = [("pull", "x"), ("push", "a"), ("tag", "b"), ("pull", "y")];
    bus.publish(batch.map(|(subject, id)| event(NAMESPACE, subject, id)).to_vec())
        .await
        .expect("the bus takes it");
    let taken: BTreeSet<_> = ids(&take(&mut consumer, 2).await).into_iter().collect();
    assert_eq!(taken, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn an_interest_in_anything_sees_everything_of_its_namespace(factory: &impl Factory) {
    let bus = opened(factory).await;
    let anything =
        Subscription { interests: vec![interest(None, None)], ..subscription(factory, "anything") };
    let any_of_the_source =
        Subscription { interests: vec![interest(Some("hooks"), None)], ..subscription(factory, "source") };
    let mut anything = bus.subscribe(anything).await.expect("the consumer is created");
    let mut any_of_the_source = bus.subscribe(any_of_the_source).await.expect("the consumer is created");
    bus.publish(vec![event(NAMESPACE, "push", "a"), event(NAMESPACE, "we.ird *>/ näme", "b")])
        .await
        .expect("the bus takes it");
    for consumer in [&mut anything, &mut any_of_the_source] {
        let taken: BTreeSet<_> = ids(&take(consumer, 2).await).into_iter().collect();
        assert_eq!(taken, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    }
}

pub async fn a_fetch_waits_for_what_is_published_later(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    let early = tokio::time::timeout(Duration::from_millis(50), consumer.fetch(10)).await;
    assert!(early.is_err(), "nothing was published: {early:?}");
    // A cancelled fetch has lost nothing.
    let (taken, ()) = tokio::join!(take(&mut consumer, 1), publish(&bus, &["a"]));
    assert_eq!(ids(&taken), ["a"]);
}

pub async fn settling_may_happen_in_any_order(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a", "b", "c"]).await;
    let deliveries = take(&mut consumer, 3).await;
    ack(&bus, &deliveries[1..]).await;
    factory.advance(factory.second() * 31).await;
    assert_eq!(ids(&take(&mut consumer, 1).await), ["a"]);
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn what_is_not_settled_in_time_comes_again(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a"]).await;
    assert_eq!(take(&mut consumer, 1).await[0].deliveries, 1);
    factory.advance(factory.second() * 31).await;
    let again = take(&mut consumer, 1).await;
    assert_eq!((ids(&again), again[0].deliveries), (vec!["a".to_owned()], 2));
    ack(&bus, &again).await;
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn a_nak_brings_a_delivery_again_after_its_delay(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a"]).await;
    let delivery = take(&mut consumer, 1).await.remove(0);
    consumer.nak(delivery.ticket, factory.second() * 5);
    nothing_but(&bus, &mut consumer, "mark").await;
    factory.advance(factory.second() * 5).await;
    let again = take(&mut consumer, 1).await;
    assert_eq!((ids(&again), again[0].deliveries), (vec!["a".to_owned()], 2));
}

pub async fn progress_keeps_a_delivery_in_hand(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a"]).await;
    let delivery = take(&mut consumer, 1).await.remove(0);
    factory.advance(factory.second() * 20).await;
    consumer.progress(std::slice::from_ref(&delivery.ticket));
    factory.advance(factory.second() * 20).await;
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn no_more_than_the_limit_is_in_flight(factory: &impl Factory) {
    let bus = opened(factory).await;
    let limited = Subscription { max_in_flight: 2, ..subscription(factory, "t") };
    let mut consumer = bus.subscribe(limited).await.expect("the consumer is created");
    publish(&bus, &["a", "b", "c"]).await;
    let first = take(&mut consumer, 2).await;
    let third = tokio::time::timeout(Duration::from_millis(200), consumer.fetch(1)).await;
    assert!(third.is_err(), "a third one was handed out: {third:?}");
    ack(&bus, &first[..1]).await;
    assert_eq!(ids(&take(&mut consumer, 1).await), ["c"]);
}

pub async fn subscribers_share_the_deliveries(factory: &impl Factory) {
    let bus = opened(factory).await;
    let other = opened(factory).await;
    let mut one = subscribe(factory, &bus, "t").await;
    let mut two = subscribe(factory, &other, "t").await;
    let names: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    publish(&bus, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut seen = BTreeSet::new();
    while seen.len() < names.len() {
        let fetched = async {
            tokio::select! {
                fetched = one.fetch(3) => (&bus, fetched),
                fetched = two.fetch(3) => (&other, fetched),
            }
        };
        let (whose, fetched) = tokio::time::timeout(PATIENCE, fetched).await.expect("deliveries come");
        let fetched = fetched.expect("the bus works");
        for delivery in &fetched {
            assert_eq!(delivery.deliveries, 1, "{delivery:?}");
            assert!(seen.insert(delivery.event.id.to_string()), "handed out twice: {delivery:?}");
        }
        ack(whose, &fetched).await;
    }
}

pub async fn what_a_dropped_subscriber_held_comes_again(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut first = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a", "b"]).await;
    let held = take(&mut first, 2).await;
    ack(&bus, &held[1..]).await;
    drop(first);
    let mut second = subscribe(factory, &bus, "t").await;
    let again = take(&mut second, 1).await;
    assert_eq!((ids(&again), again[0].deliveries), (vec!["a".to_owned()], 2));
    nothing_but(&bus, &mut second, "mark").await;
}

pub async fn a_position_outlives_the_process(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a", "b", "c"]).await;
    let taken = take(&mut consumer, 2).await;
    ack(&bus, &taken[1..]).await;
    drop(consumer);
    let bus = reopened(factory, bus).await;
    // It keeps its position, whatever a later subscription says of the start (S21).
    let earliest = Subscription { start: Start::Earliest, ..subscription(factory, "t") };
    let mut consumer = bus.subscribe(earliest).await.expect("the consumer is there");
    let again = take(&mut consumer, 2).await;
    let deliveries: BTreeMap<_, _> =
        again.iter().map(|delivery| (delivery.event.id.to_string(), delivery.deliveries)).collect();
    assert_eq!(deliveries.keys().collect::<Vec<_>>(), ["a", "c"]);
    assert!(deliveries["a"] >= 2, "{deliveries:?}");
    nothing_but(&bus, &mut consumer, "mark").await;
}

pub async fn changed_interests_keep_the_position(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a", "b"]).await;
    let deliveries = take(&mut consumer, 2).await;
    ack(&bus, &deliveries[..1]).await;
    drop(consumer);
    let wider = Subscription { interests: vec![interest(None, None)], ..subscription(factory, "t") };
    let mut consumer = bus.subscribe(wider).await.expect("the consumer is there");
    bus.publish(vec![event(NAMESPACE, "pull", "c")]).await.expect("the bus takes it");
    let taken: BTreeSet<_> = ids(&take(&mut consumer, 2).await).into_iter().collect();
    assert_eq!(taken, BTreeSet::from(["b".to_owned(), "c".to_owned()]));
}

pub async fn a_commit_is_made_whole_or_not_at_all(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a"]).await;
    let taken = take(&mut consumer, 1).await;
    bus.commit(vec![put("ci/b", "one", Some(None))]).await.expect("nothing was there");
    let conflict = bus
        .commit(vec![
            Change::Ack(taken[0].ticket.clone()),
            put("ci/b", "two", None),
            put("ci/b", "one", Some(Some(Revision(u64::MAX)))),
        ])
        .await;
    assert!(matches!(conflict, Err(BusError::Conflict { .. })), "{conflict:?}");
    assert!(bus.get(StateKey::new("ci/b", "two")).await.expect("the bus works").is_none());
    factory.advance(factory.second() * 31).await;
    assert_eq!(ids(&take(&mut consumer, 1).await), ["a"], "it was not settled");
}

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

fn records(entries: &[crate::Entry]) -> Vec<&str> {
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
    let told = stats.consumers.iter().find(|told| told.name == self::consumer("t")).expect("it is listed");
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
    let told = bus.unsettled(self::consumer("t")).await.expect("the bus works");
    let has = |sequence: u64| told.iter().any(|range| range.contains(&sequence));
    let (entries, _) = read_all(&bus, EntryKind::Event, &ReadFilter::default()).await;
    let unsettled: Vec<bool> = entries.iter().map(|entry| has(entry.sequence)).collect();
    assert_eq!(unsettled, [false, false, true, true], "{told:?}");
    assert!(bus.unsettled(self::consumer("nobody")).await.expect("the bus works").is_empty());
}

pub async fn a_removed_consumer_is_forgotten(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a"]).await;
    bus.remove_consumer(self::consumer("t")).await.expect("the bus works");
    bus.remove_consumer(self::consumer("t")).await.expect("nothing is there to remove");
    let fetched = tokio::time::timeout(PATIENCE, consumer.fetch(1)).await.expect("the fetch ends");
    assert!(matches!(fetched, Err(BusError::Closed)), "{fetched:?}");
    assert!(bus.stats().await.expect("the bus works").consumers.is_empty());
    let mut anew = subscribe(factory, &bus, "t").await;
    nothing_but(&bus, &mut anew, "mark").await;
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
