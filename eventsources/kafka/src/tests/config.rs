use eventsource_core::Factory;
use serde_json::{Value, json};

use crate::{Config, Kafka};

fn told(config: &Value) -> Vec<String> {
    let findings = Factory::of::<Kafka>().check(config);
    findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    assert_eq!(
        told(&json!({"tls": {}, "sasl": {"mechanism": "NOPE"}})),
        [
            "Error missing-field url",
            "Error missing-field topic",
            "Error missing-field consumerGroup",
            "Error missing-field tls",
            "Error bad-value sasl.mechanism",
            "Error missing-field sasl.userSecret",
            "Error missing-field sasl.passwordSecret",
        ]
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_receives_nothing_is_a_warning() {
    let with = |more: Value| {
        let mut config = json!({"url": "u", "topic": "t", "consumerGroup": {"groupName": "g"}});
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        told(&config)
    };
    assert_eq!(
        told(&json!({"url": "u", "topic": "t", "partition": "x"})),
        ["Warning receives-nothing partition"]
    );
    assert_eq!(
        told(&json!({"url": "u", "topic": "t", "partition": "-1"})),
        ["Warning receives-nothing partition"]
    );
    let registry = |url: &str| json!({"url": url, "auth": {}, "tls": {"enabled": true}});
    let rows: [(Value, &[&str]); 9] = [
        (json!({}), &[]),
        (json!({"partition": "x"}), &[]),
        (json!({"consumerGroup": {}}), &["Warning receives-nothing consumerGroup.groupName"]),
        (
            json!({"consumerGroup": {"groupName": "g", "rebalanceStrategy": "fair"}}),
            &["Warning bad-value consumerGroup.rebalanceStrategy"],
        ),
        (json!({"awsMskIamAuth": {}}), &["Error missing-field awsMskIamAuth.region"]),
        (
            json!({"jsonBody": true, "schemaRegistry": registry("registry")}),
            &["Warning receives-nothing schemaRegistry.url", "Warning receives-nothing schemaRegistry.auth"],
        ),
        (
            json!({"schemaRegistry": {"url": "http://registry:8081"}}),
            &["Warning unused-field schemaRegistry"],
        ),
        (json!({"config": "consumer: {fetch: {min: none}}"}), &["Error bad-value config"]),
        (json!({"config": "producer: {idempotent: true}"}), &["Warning unused-field config"]),
    ];
    for (more, expected) in rows {
        assert_eq!(with(more.clone()), expected, "{more}");
    }
}

#[test]
fn the_first_broker_is_the_one_that_is_written_first() {
    for (url, first) in [("a:1,b:2", "a:1"), ("a:1", "a:1"), ("a:1, b:2", "a:1"), ("", "")] {
        let config = Config { url: url.to_owned(), ..Config::default() };
        assert_eq!(config.first_broker(), first);
    }
}
