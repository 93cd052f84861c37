//! Records with schemas.

use eventsource_core::testkit::{Kit, eventually};
use eventsource_kafka::Kafka;
use serde_json::{Value, json};

use crate::registry::Registry;
use crate::topic::Topic;

const ORDER: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "string"},
    {"name": "raw", "type": "bytes"},
    {"name": "note", "type": ["null", "string"]}]}"#;

/// `{"id": "a1", "raw": <ff>, "note": "n"}`, under a schema's number.
fn order(schema: u8) -> Vec<u8> {
    [&[0, 0, 0, 0, schema][..], b"\x04a1\x02\xff\x02\x02n"].concat()
}

fn config(topic: &Topic, registry: &Registry) -> Value {
    let auth = json!({"username": {"name": "registry", "key": "user"}, "password": {"name": "registry", "key": "password"}});
    topic.config_with(&json!({"schemaRegistry": {"url": format!("{}/", registry.url()), "auth": auth}}))
}

fn kit() -> Kit {
    Kit::new().with_secret("registry", "user", "reader").with_secret("registry", "password", "secret")
}

#[tokio::test]
async fn a_record_is_decoded_by_the_schema_that_it_names() {
    let (topic, registry, kit) = (Topic::new(1).await, Registry::start().await, kit());
    registry.register(7, ORDER);
    // reader:secret
    registry.want_login("cmVhZGVyOnNlY3JldA==");
    let source = kit.start::<Kafka>(config(&topic, &registry));
    topic.send_value(&order(7)).await;
    topic.send_value(&order(7)).await;
    topic.send_tombstone("gone", &[]).await;
    let data = kit.data(3).await;
    let expected = json!({"id": "a1", "raw": "\u{ff}", "note": {"string": "n"}});
    assert_eq!((&data[0]["body"], &data[1]["body"], &data[2]["body"]), (&expected, &expected, &Value::Null));
    assert_eq!(registry.asked(), ["/schemas/ids/7"], "each schema is asked for once");
    source.stop().await;
}

#[tokio::test]
async fn what_cannot_be_decoded_is_dead_lettered() {
    let (topic, registry, kit) = (Topic::new(1).await, Registry::start().await, kit());
    registry.register(7, ORDER);
    registry.register(8, "{");
    registry.register_as(9, "PROTOBUF", "message A {}");
    let source = kit.start::<Kafka>(config(&topic, &registry));
    let mut expected = Vec::new();
    for (value, why) in [
        (b"{}".to_vec(), "expected a zero byte"),
        (vec![1, 0, 0, 0, 7, 0], "expected a zero byte"),
        (vec![0, 0, 0, 0, 7, 4, b'a'], "is no value of schema 7: the record ends in the middle of a value"),
        (order(8), "schema 8 can't be read as Avro"),
        (order(9), "schema 9 is of type PROTOBUF"),
    ] {
        topic.send_value(&value).await;
        expected.push(why);
    }
    topic.send_value(&order(7)).await;
    kit.events(1).await;
    let told: Vec<_> = kit.dead(expected.len()).await.into_iter().map(|letter| letter.error).collect();
    for why in expected {
        assert!(told.iter().any(|told| told.contains(why)), "expected {why}, got {told:?}");
    }
    source.stop().await;
}

#[tokio::test]
async fn records_wait_for_a_registry_that_does_not_answer() {
    let (topic, registry, kit) = (Topic::new(1).await, Registry::start().await, kit());
    registry.register(7, ORDER);
    let source = kit.start::<Kafka>(config(&topic, &registry));
    topic.send_value(&order(7)).await;
    kit.events(1).await;
    topic.send_value(&order(6)).await;
    let told = source.failure().await;
    assert!(told.contains("knows no schema 6, which a record names: register it there"), "{told}");
    registry.is_down(true);
    eventually("the registry to be gone", async || {
        source.failure().await.contains("does not answer").then_some(())
    })
    .await;
    registry.want_login("b3RoZXI6bG9naW4=");
    registry.is_down(false);
    eventually("the login to be refused", async || {
        source
            .failure()
            .await
            .contains("refused the login: correct the secrets of `schemaRegistry.auth`")
            .then_some(())
    })
    .await;
    registry.want_login("cmVhZGVyOnNlY3JldA==");
    registry.register(6, ORDER);
    assert_eq!(kit.data(2).await[1]["body"]["id"], "a1");
    source.stop().await;
}
