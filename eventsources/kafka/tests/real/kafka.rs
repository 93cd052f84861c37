//! Against Kafka 4.1.

mod avro;
mod groups;
mod slow;

use std::time::Duration;

use eventsource_core::testkit::{self, Kit, eventually};
use eventsource_kafka::Kafka;
use serde_json::{Value, json};
use zetes_services::Certificates;

use crate::topic::{Topic, number, shared};

#[tokio::test]
async fn every_message_becomes_one_event() {
    let mut topic = Topic::new(1).await;
    let config = topic.config();
    testkit::every_message_becomes_one_event::<Kafka>(&Kit::new(), &config, &mut topic).await;
}

#[tokio::test]
async fn a_crash_loses_nothing() {
    let mut topic = Topic::new(1).await;
    let config = topic.config();
    testkit::a_crash_loses_nothing::<Kafka>(&Kit::new(), &config, &mut topic).await;
}

#[tokio::test]
async fn a_poison_message_is_dead_lettered() {
    let topic = Topic::new(1).await;
    let kit = Kit::new();
    let source = kit.start::<Kafka>(topic.config());
    topic.send_number(0).await;
    topic.send_value(b"{not json").await;
    topic.send_number(1).await;
    let numbers: Vec<_> = kit.data(2).await.iter().map(number).collect();
    assert_eq!(numbers, [0, 1]);
    let dead = kit.dead(1).await.remove(0);
    assert_eq!((&*dead.reason, &*dead.raw), ("unreadable", "e25vdCBqc29u"));
    assert_eq!(dead.event_id.as_str(), format!("source:event:{}:{}:0:1", topic.address, topic.name));
    source.stop().await;
}

#[tokio::test]
async fn tls_is_verified() {
    let (shared, topic) = (shared(), Topic::new(1).await);
    let read = |file: &std::path::Path| std::fs::read_to_string(file).unwrap();
    let kit = Kit::new()
        .with_secret("tls", "ca", &Certificates::new().wrong_ca.certificate)
        .with_secret("tls", "cert", &read(&shared.client_certificate))
        .with_secret("tls", "key", &read(&shared.client_key));
    let tls = json!({
        "caCertSecret": {"name": "tls", "key": "ca"},
        "clientCertSecret": {"name": "tls", "key": "cert"},
        "clientKeySecret": {"name": "tls", "key": "key"},
    });
    topic.send_number(7).await;
    let source = kit.start::<Kafka>(topic.config_with(&json!({"url": shared.ssl, "tls": tls})));
    let told = source.failure().await;
    assert!(told.contains("was not accepted") && told.contains("caCertSecret"), "{told}");
    kit.set_secret("tls", "ca", &read(&shared.ca));
    assert_eq!(number(&kit.data(1).await[0]), 7);
    source.stop().await;
}

fn sasl(mechanism: &str) -> Value {
    let key = |key: &str| json!({"name": "kafka", "key": key});
    json!({"mechanism": mechanism, "userSecret": key("user"), "passwordSecret": key("password")})
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let (shared, topic) = (shared(), Topic::new(1).await);
    topic.send_number(0).await;
    for mechanism in ["", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let kit =
            Kit::new().with_secret("kafka", "user", "zetes").with_secret("kafka", "password", "wrong-secret");
        let config = topic.config_with(&json!({
            "url": shared.sasl_plaintext,
            "sasl": sasl(mechanism),
            "consumerGroup": {"groupName": format!("{}{mechanism}", topic.name), "oldest": true},
        }));
        let source = kit.start::<Kafka>(config);
        let told = source.failure().await;
        assert!(told.contains("refused the login") && !told.contains("wrong-secret"), "{mechanism}: {told}");
        kit.set_secret("kafka", "password", &shared.users["zetes"]);
        kit.events(1).await;
        source.stop().await;
    }
}

#[tokio::test]
async fn credentials_that_change_while_it_reads_are_told_and_mended() {
    let (shared, topic) = (shared(), Topic::new(1).await);
    let right = &shared.users["zetes"];
    let kit = Kit::new().with_secret("kafka", "user", "zetes").with_secret("kafka", "password", right);
    let config = topic.config_with(&json!({"url": shared.sasl_plaintext, "sasl": sasl("SCRAM-SHA-512")}));
    let source = kit.start::<Kafka>(config);
    topic.send_number(0).await;
    kit.events(1).await;
    kit.set_secret("kafka", "password", "revoked");
    topic.send_number(1).await;
    let told = source.failure().await;
    assert!(told.contains("refused the login"), "{told}");
    kit.set_secret("kafka", "password", right);
    let numbers: Vec<_> = kit.data(2).await.iter().map(number).collect();
    assert_eq!(numbers, [0, 1]);
    source.stop().await;
}

#[tokio::test]
async fn a_missing_right_names_topic_and_user() {
    let (shared, topic) = (shared(), Topic::new(1).await);
    let kit = Kit::new().with_secret("kafka", "user", "limited").with_secret(
        "kafka",
        "password",
        &shared.users["limited"],
    );
    let config = topic.config_with(&json!({"url": shared.sasl_plaintext, "sasl": sasl("PLAIN")}));
    let told = kit.start::<Kafka>(config).failure().await;
    assert!(told.contains(&format!("no right to read topic {}", topic.name)), "{told}");
}

#[tokio::test]
async fn what_does_not_exist_is_told_and_found_when_it_is_made() {
    let topic = Topic::new(1).await;
    let kit = Kit::new();
    let told = kit.start::<Kafka>(topic.config_with(&json!({"topic": "nowhere"}))).failure().await;
    assert_eq!(told, "the topic nowhere does not exist; create it");
    let nobody = topic.config_with(&json!({"url": "127.0.0.1:1"}));
    let told = kit.start::<Kafka>(nobody).failure().await;
    assert!(told.contains("none of the brokers at 127.0.0.1:1 can be reached"), "{told}");
    let beyond = topic.config_with(&json!({"consumerGroup": null, "partition": "3"}));
    let told = kit.start::<Kafka>(beyond).failure().await;
    assert!(told.contains("partition 3 of topic") && told.contains("0 to 0"), "{told}");
}

#[tokio::test]
async fn a_topic_that_is_deleted_is_told_and_read_again_when_it_is_made() {
    let topic = Topic::new(1).await;
    let kit = Kit::new();
    let source = kit.start::<Kafka>(topic.config());
    topic.send_number(0).await;
    kit.events(1).await;
    topic.delete().await;
    let told = source.failure().await;
    assert_eq!(told, format!("the topic {} does not exist; create it", topic.name));
    topic.create(1).await;
    source.serving().await;
    source.stop().await;
}

#[tokio::test]
async fn a_record_that_the_bus_can_never_take_is_dead_lettered() {
    let topic = Topic::new(1).await;
    let kit = Kit::new();
    let source = kit.start::<Kafka>(topic.config_with(&json!({"jsonBody": false})));
    topic.send_value(&vec![b'x'; 1_900_000]).await;
    topic.send_value(b"small").await;
    assert_eq!(kit.data(1).await[0]["body"], "c21hbGw=");
    assert_eq!(kit.dead(1).await[0].reason, "too-large");
    source.stop().await;
}

#[tokio::test]
async fn a_record_that_is_no_text_has_base64_and_a_tombstone_has_no_body() {
    let topic = Topic::new(1).await;
    let kit = Kit::new();
    let source = kit.start::<Kafka>(topic.config_with(&json!({"jsonBody": false, "metadata": {"m": "1"}})));
    topic.send_value(b"\xff\x00").await;
    topic.send_tombstone("gone", &[("h", "first"), ("h", "last")]).await;
    let data = kit.data(2).await;
    assert_eq!(
        (&data[0]["body"], &data[0]["key"], &data[0]["headers"]),
        (&json!("/wA="), &json!(""), &json!({}))
    );
    assert_eq!((&data[1]["body"], &data[1]["key"]), (&Value::Null, &json!("gone")));
    assert_eq!((&data[1]["headers"], &data[1]["metadata"]), (&json!({"h": "last"}), &json!({"m": "1"})));
    assert!(data[1]["timestamp"].as_str().unwrap().ends_with(" +0000 UTC"), "{}", data[1]);
    source.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_passed_over_and_still_names_the_events() {
    let topic = Topic::new(1).await;
    let kit = Kit::new();
    let url = format!("127.0.0.1:1,{}", topic.address);
    let source = kit.start::<Kafka>(topic.config_with(&json!({"url": url})));
    topic.send_number(0).await;
    let event = kit.events(1).await.remove(0);
    assert_eq!(event.id.as_str(), format!("source:event:127.0.0.1:1:{}:0:0", topic.name));
    source.stop().await;
}

#[tokio::test]
async fn a_limit_keeps_events_apart() {
    const EVENTS: usize = 5;
    let topic = Topic::new(1).await;
    topic.send_many(0..EVENTS).await;
    let kit = Kit::new();
    let source = kit.start::<Kafka>(topic.config_with(&json!({"limitEventsPerSecond": 10})));
    let times: Vec<_> = kit.events(EVENTS).await.iter().map(|event| event.time.unwrap()).collect();
    for pair in times.windows(2) {
        let apart = pair[1].duration_since(pair[0]).unsigned_abs();
        assert!(apart >= Duration::from_millis(100), "{apart:?}");
    }
    source.stop().await;
}

#[tokio::test]
async fn what_the_bus_refuses_is_not_committed() {
    let topic = Topic::new(1).await;
    let kit = Kit::new();
    let source = kit.start::<Kafka>(topic.config());
    source.serving().await;
    kit.refuse();
    topic.send_number(0).await;
    eventually("the bus to have refused", async || (kit.refusals() > 0).then_some(())).await;
    assert!(source.failure().await.contains("the bus did not take the event"));
    source.stop().await;
    kit.take();
    let source = kit.start::<Kafka>(topic.config());
    assert_eq!(number(&kit.data(1).await[0]), 0);
    source.stop().await;
}

#[tokio::test]
async fn it_stops_with_records_in_hand_and_loses_none() {
    const RECORDS: usize = 5_000;
    let topic = Topic::new(1).await;
    topic.send_many(0..RECORDS).await;
    let kit = Kit::new();
    let source = kit.start::<Kafka>(topic.config());
    kit.events(1).await;
    source.stop().await;
    let source = kit.start::<Kafka>(topic.config());
    let numbers: Vec<_> = kit.data(RECORDS).await.iter().map(number).collect();
    assert_eq!(numbers, (0..RECORDS).collect::<Vec<_>>());
    source.stop().await;
}

#[tokio::test]
async fn settings_of_the_references_client_reach_ours() {
    let topic = Topic::new(1).await;
    let config = "clientID: shop\nconsumer:\n  fetch: {min: 1, default: 65536}\n  group: {session: {timeout: 90s}}\n  offsets: {initial: -2, autocommit: {interval: 100ms}}\n";
    let kit = Kit::new();
    topic.send_number(4).await;
    let group = json!({"groupName": topic.name});
    let source = kit.start::<Kafka>(
        topic.config_with(&json!({"config": config, "consumerGroup": group, "version": "2.5.0"})),
    );
    assert_eq!(number(&kit.data(1).await[0]), 4);
    source.stop().await;
}

#[tokio::test]
async fn records_of_an_aborted_transaction_are_events_only_where_they_are_asked_for() {
    let topic = Topic::new(1).await;
    topic.send_aborted(1).await;
    topic.send_number(2).await;
    for (config, expected) in [("", &[2][..]), ("consumer: {isolationLevel: 0}", &[1, 2])] {
        let kit = Kit::new();
        let group = json!({"groupName": format!("{}-{}", topic.name, expected.len()), "oldest": true});
        let source =
            kit.start::<Kafka>(topic.config_with(&json!({"config": config, "consumerGroup": group})));
        let numbers: Vec<_> = kit.data(expected.len()).await.iter().map(number).collect();
        assert_eq!(numbers, expected);
        source.stop().await;
    }
}
