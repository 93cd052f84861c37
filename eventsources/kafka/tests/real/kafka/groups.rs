//! Where readers begin, and how members share.

use std::collections::BTreeSet;

use eventsource_core::testkit::{Kit, eventually};
use eventsource_kafka::Kafka;
use serde_json::{Value, json};

use crate::topic::{Topic, number};

#[tokio::test]
async fn a_partition_without_a_group_begins_with_the_next_record_and_then_goes_on_where_it_was() {
    let topic = Topic::new(2).await;
    let config = topic.config_with(&json!({"consumerGroup": null, "partition": "1"}));
    topic.send_to(1, 0).await;
    let kit = Kit::new();
    let source = kit.start::<Kafka>(config.clone());
    source.serving().await;
    topic.send_to(1, 1).await;
    topic.send_to(0, 100).await;
    kit.events(1).await;
    source.stop().await;
    topic.send_to(1, 2).await;
    let source = kit.start::<Kafka>(config.clone());
    kit.events(2).await;
    source.kill();
    topic.send_to(1, 3).await;
    let source = kit.start::<Kafka>(config);
    let numbers: Vec<_> = kit.data(3).await.iter().map(number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let id = kit.events(3).await[2].id.as_str().to_owned();
    assert_eq!(id, format!("source:event:{}:{}:1:3", topic.address, topic.name));
    source.stop().await;
}

#[tokio::test]
async fn a_place_that_nothing_was_read_from_is_kept_too() {
    let topic = Topic::new(2).await;
    for reader in [
        json!({"consumerGroup": null, "partition": "0"}),
        json!({"consumerGroup": {"groupName": topic.name, "rebalanceStrategy": "roundrobin"}}),
    ] {
        let kit = Kit::new();
        let source = kit.start::<Kafka>(topic.config_with(&reader));
        source.serving().await;
        source.stop().await;
        topic.send_to(0, 5).await;
        let source = kit.start::<Kafka>(topic.config_with(&reader));
        assert_eq!(number(&kit.data(1).await[0]), 5, "{reader}");
        source.stop().await;
    }
}

#[tokio::test]
async fn a_new_group_begins_at_its_oldest_or_with_the_next_record() {
    let topic = Topic::new(1).await;
    topic.send_number(0).await;
    let kit = Kit::new();
    let newest = json!({"consumerGroup": {"groupName": format!("{}-newest", topic.name)}});
    let source = kit.start::<Kafka>(topic.config_with(&newest));
    source.serving().await;
    topic.send_number(1).await;
    assert_eq!(number(&kit.data(1).await[0]), 1);
    source.stop().await;
    let kit = Kit::new();
    let source = kit.start::<Kafka>(topic.config());
    let numbers: Vec<_> = kit.data(2).await.iter().map(number).collect();
    assert_eq!(numbers, [0, 1]);
    source.stop().await;
}

async fn members_come_and_go(strategy: &str) {
    const STEP: usize = 400;
    let topic = Topic::new(6).await;
    let group = json!({"groupName": topic.name, "oldest": true, "rebalanceStrategy": strategy});
    let config = topic.config_with(&json!({"consumerGroup": group}));
    let kit = Kit::new();
    let mut members = vec![kit.start::<Kafka>(config.clone())];
    members[0].serving().await;
    topic.send_many(0..STEP).await;
    for member in 1..3 {
        members.push(kit.start::<Kafka>(config.clone()));
        topic.send_many(STEP * member..STEP * (member + 1)).await;
    }
    kit.events(STEP).await;
    members.remove(0).stop().await;
    topic.send_many(STEP * 3..STEP * 4).await;
    members.remove(0).kill();
    topic.send_many(STEP * 4..STEP * 5).await;
    let expected: BTreeSet<usize> = (0..STEP * 5).collect();
    let mut data: Vec<Value> = Vec::new();
    eventually("every record to be on the bus", async || {
        data = kit.data(0).await;
        (data.iter().map(number).collect::<BTreeSet<_>>() == expected).then_some(())
    })
    .await;
    assert_eq!(data.len(), expected.len(), "a record that came twice has one id");
    members.remove(0).stop().await;
}

#[tokio::test]
async fn three_members_that_come_and_go_lose_nothing() {
    members_come_and_go("range").await;
}

#[tokio::test]
async fn three_members_that_keep_what_they_have_lose_nothing() {
    members_come_and_go("sticky").await;
}

#[tokio::test]
async fn members_that_share_in_different_ways_are_told() {
    let topic = Topic::new(2).await;
    let kit = Kit::new();
    let config = |strategy: &str| {
        let group = json!({"groupName": topic.name, "oldest": true, "rebalanceStrategy": strategy});
        topic.config_with(&json!({"consumerGroup": group}))
    };
    let first = kit.start::<Kafka>(config("range"));
    topic.send_number(0).await;
    kit.events(1).await;
    let second = kit.start::<Kafka>(config("sticky"));
    let told = second.failure().await;
    assert!(told.contains("give all of them the same `rebalanceStrategy`"), "{told}");
    second.stop().await;
    first.stop().await;
}
