//! What each kind says to a configuration, and what people are given.

use eventsource_core::{EventSource, Factory};
use serde_json::{Value, json};

use crate::{s3, sns, sqs};

fn told<S: EventSource>(config: &Value) -> Vec<String> {
    let findings = Factory::of::<S>().check(config);
    findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
}

fn check<S: EventSource>(cases: &[(Value, &[&str])]) {
    for (config, expected) in cases {
        assert_eq!(told::<S>(config), *expected, "{}: {config}", S::KIND);
    }
}

/// `base` with other members.
fn with(base: &Value, members: &Value) -> Value {
    let mut config = base.as_object().unwrap().clone();
    config.extend(members.as_object().unwrap().clone());
    Value::Object(config)
}

fn secret() -> Value {
    json!({"name": "n", "key": "k"})
}

#[test]
fn a_queue_needs_its_name_and_region() {
    let base = json!({"region": "r", "queue": "q"});
    check::<sqs::Sqs>(&[
        (json!({}), &["Error missing-field region", "Error missing-field queue"]),
        (base.clone(), &[]),
        (with(&base, &json!({"accessKey": secret()})), &["Warning receives-nothing accessKey"]),
        (with(&base, &json!({"accessKey": secret(), "roleARN": "a"})), &[]),
        (with(&base, &json!({"waitTimeSeconds": 21})), &["Warning receives-nothing waitTimeSeconds"]),
        (
            with(&base, &json!({"visibilityTimeoutSeconds": -1})),
            &["Warning receives-nothing visibilityTimeoutSeconds"],
        ),
        (with(&base, &json!({"endpoint": "localhost:4566"})), &["Warning receives-nothing endpoint"]),
        (with(&base, &json!({"filter": {"expression": "("}})), &["Error bad-expression filter.expression"]),
    ]);
}

#[test]
fn a_topic_needs_a_place_to_post_to() {
    let base = json!({"region": "r", "topicArn": "arn", "webhook": {"endpoint": "/sns", "port": "12000"}});
    check::<sns::Sns>(&[
        (
            json!({}),
            &["Error missing-field topicArn", "Error missing-field region", "Error missing-field webhook"],
        ),
        (base.clone(), &[]),
        (with(&base, &json!({"secretKey": secret()})), &["Warning receives-nothing accessKey"]),
        (
            with(&base, &json!({"webhook": {"endpoint": "sns", "port": "12000"}})),
            &["Error bad-value webhook.endpoint"],
        ),
    ]);
}

#[test]
fn a_bucket_needs_its_name_and_sound_limits() {
    let base = json!({"bucket": {"name": "b"}});
    check::<s3::S3>(&[
        (json!({}), &["Error missing-field bucket.name"]),
        (base.clone(), &[]),
        (with(&base, &json!({"accessKey": secret()})), &["Error missing-field secretKey"]),
        (with(&base, &json!({"interval": "500ms"})), &["Error bad-value interval"]),
        (with(&base, &json!({"interval": "1"})), &["Error bad-value interval"]),
        (with(&base, &json!({"remembered": 99})), &["Error bad-value remembered"]),
        (with(&base, &json!({"maxContentBytes": 1_048_577})), &["Error bad-value maxContentBytes"]),
        (
            with(&base, &json!({"filter": {"prefix": "p", "expression": "body =="}})),
            &["Error bad-expression filter.expression"],
        ),
        (with(&base, &json!({"existing": "emit", "interval": "1h", "filter": {"suffix": ".csv"}})), &[]),
    ]);
}
