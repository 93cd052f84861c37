//! What becomes of a delivery: settled in any order, or handed out again.

use std::collections::BTreeMap;

use super::{Factory, ack, ids, nothing_but, opened, publish, put, reopened, subscribe, subscription, take};
use crate::{BusError, Change, Revision, Start, StateKey, Subscription};

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
