//! What a consumer is handed: where it begins, what it asked for, how much at a time, and what is left after changes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{
    Factory, NAMESPACE, PATIENCE, ack, event, ids, interest, nothing_but, opened, publish, subscribe,
    subscription, take,
};
use crate::{BusError, Start, Subscription};

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

pub async fn a_removed_consumer_is_forgotten(factory: &impl Factory) {
    let bus = opened(factory).await;
    let mut consumer = subscribe(factory, &bus, "t").await;
    publish(&bus, &["a"]).await;
    bus.remove_consumer(super::consumer("t")).await.expect("the bus works");
    bus.remove_consumer(super::consumer("t")).await.expect("nothing is there to remove");
    let fetched = tokio::time::timeout(PATIENCE, consumer.fetch(1)).await.expect("the fetch ends");
    assert!(matches!(fetched, Err(BusError::Closed)), "{fetched:?}");
    assert!(bus.stats().await.expect("the bus works").consumers.is_empty());
    let mut anew = subscribe(factory, &bus, "t").await;
    nothing_but(&bus, &mut anew, "mark").await;
}
