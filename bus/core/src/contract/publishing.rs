//! Events on their way in: stored once, refused when they must be, kept apart by namespace.

use super::{
    Factory, NAMESPACE, ack, consumer, event, event_of, ids, interest, nothing_but, opened, publish, put,
    reopened, subscribe, subscription, take,
};
use crate::{BusError, Change, ConsumerName, Retention, StateKey, Subscription};

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
