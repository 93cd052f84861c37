//! What each kind says to a configuration.

use eventsource_core::{Plan, Planned};
use serde_json::{Value, json};

use crate::*;

/// What a kind says to a configuration: `Error code path`.
fn told<P: Planned>(config: &Value) -> Vec<String> {
    let findings = Plan::of::<P>().check(config);
    findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
}

fn check<P: Planned>(cases: &[(Value, &[&str])]) {
    for (config, expected) in cases {
        assert_eq!(told::<P>(config), *expected, "{}: {config}", P::KIND);
    }
}

fn secret() -> Value {
    json!({"name": "n", "key": "k"})
}

fn hook() -> Value {
    json!({"endpoint": "/hook", "port": "12000", "url": "https://ci.example.com"})
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    check::<kafka::Kafka>(&[(
        json!({"tls": {}, "sasl": {"mechanism": "NOPE"}}),
        &[
            "Error missing-field url",
            "Error missing-field topic",
            "Error missing-field consumerGroup",
            "Error missing-field tls",
            "Error bad-value sasl.mechanism",
            "Error missing-field sasl.userSecret",
            "Error missing-field sasl.passwordSecret",
        ],
    )]);
}

#[test]
fn a_member_is_checked_behind_another_one_too() {
    let amqp = json!({
        "url": "u", "exchangeName": "e", "exchangeType": "t", "routingKey": "k",
        "tls": {"enabled": true}, "auth": {"username": secret()},
    });
    check::<amqp::Amqp>(&[(amqp, &["Error missing-field auth.password"])]);
    let nats = json!({"url": "u", "subject": "s", "queue": "", "tls": {"enabled": true}});
    check::<nats::Nats>(&[(nats, &["Error bad-value queue"])]);
}

#[test]
fn what_never_emits_an_event_is_a_warning() {
    let watched = json!({"directory": "/d", "path": "x"});
    check::<file::File>(&[
        (json!({"eventType": "CREATE|WRITE", "watchPathConfig": watched}), &[]),
        (json!({"eventType": "create", "watchPathConfig": watched}), &["Warning receives-nothing eventType"]),
    ]);
    check::<kafka::Kafka>(&[
        (json!({"url": "u", "topic": "t", "partition": "x"}), &["Warning receives-nothing partition"]),
        (json!({"url": "u", "topic": "t", "partition": "x", "consumerGroup": {"groupName": "g"}}), &[]),
    ]);
    check::<redis::Redis>(&[(
        json!({"hostAddress": "h", "channels": []}),
        &["Warning receives-nothing channels"],
    )]);
    check::<sqs::Sqs>(&[
        (
            json!({"region": "r", "queue": "q", "accessKey": secret()}),
            &["Warning receives-nothing accessKey"],
        ),
        (json!({"region": "r", "queue": "q", "accessKey": secret(), "roleARN": "a"}), &[]),
    ]);
    check::<resource::Resource>(&[(
        json!({
            "version": "v1", "resource": "pods", "eventTypes": ["ADD", "NOPE"],
            "filter": {"labels": [{"key": "a", "operation": "in"}], "fields": [{"key": "a", "operation": "in"}]},
        }),
        &["Warning receives-nothing eventTypes", "Warning receives-nothing filter.fields[0].operation"],
    )]);
}

#[test]
fn times_and_expressions_are_read_as_the_reference_reads_them() {
    let resource =
        |filter: Value| json!({"version": "v1", "resource": "pods", "eventTypes": ["ADD"], "filter": filter});
    check::<resource::Resource>(&[
        (resource(json!({"createdBy": "2026-01-31T08:30:00Z"})), &[]),
        (resource(json!({"createdBy": "2026-01-31T08:30:00.5+02:00"})), &[]),
        (resource(json!({"createdBy": "2026-01-31"})), &["Error bad-value filter.createdBy"]),
        (resource(json!({"createdBy": ""})), &["Error bad-value filter.createdBy"]),
        (
            resource(json!({"fields": [{"key": "a", "value": "("}]})),
            &["Error bad-regex filter.fields[0].value"],
        ),
    ]);
    let hdfs = |kind: &str, interval: &str| {
        json!({
            "type": kind, "checkInterval": interval, "directory": "/d", "pathRegexp": ".*",
            "addresses": ["a"], "hdfsUser": "u",
        })
    };
    check::<hdfs::Hdfs>(&[
        (hdfs("CREATE|NOPE", "1m"), &[]),
        (hdfs("NOPE", "1"), &["Error bad-value type", "Error bad-value checkInterval"]),
    ]);
}

#[test]
fn kerberos_needs_what_goes_with_it() {
    let base = json!({"type": "CREATE", "directory": "/d", "path": "p", "addresses": ["a"]});
    let with = |key: &str| {
        let mut config = base.clone();
        config[key] = secret();
        config
    };
    check::<hdfs::Hdfs>(&[
        (base.clone(), &["Error missing-field hdfsUser"]),
        (
            with("krbCCacheSecret"),
            &["Error missing-field krbServicePrincipalName", "Error missing-field krbConfigConfigMap"],
        ),
        (
            with("krbKeytabSecret"),
            &[
                "Error missing-field krbServicePrincipalName",
                "Error missing-field krbConfigConfigMap",
                "Error missing-field krbUsername",
                "Error missing-field krbRealm",
            ],
        ),
    ]);
}

#[test]
fn a_queue_or_a_whole_topic_is_read() {
    let bus = |fields: Value| {
        let mut config = json!({"fullyQualifiedNamespace": "n"});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        config
    };
    check::<azure_service_bus::AzureServiceBus>(&[
        (bus(json!({"queueName": "q"})), &[]),
        (bus(json!({"topicName": "t", "subscriptionName": "s"})), &[]),
        (bus(json!({})), &["Error missing-field queueName"]),
        (bus(json!({"queueName": "q", "subscriptionName": "s"})), &["Error bad-value queueName"]),
        (bus(json!({"topicName": "t"})), &["Error missing-field subscriptionName"]),
        (bus(json!({"subscriptionName": "s"})), &["Error missing-field topicName"]),
    ]);
}

#[test]
fn a_hook_that_is_to_be_created_needs_its_events() {
    let server = |fields: Value| {
        let mut config = json!({"bitbucketserverBaseURL": "u", "accessToken": secret(), "webhook": hook()});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        config
    };
    check::<bitbucketserver::BitbucketServer>(&[
        (server(json!({})), &[]),
        (server(json!({"projects": ["p"]})), &["Error missing-field events"]),
        (server(json!({"projectKey": "p", "repositorySlug": "r"})), &["Error missing-field events"]),
        (server(json!({"projects": ["p"], "events": ["repo:refs_changed"]})), &[]),
        (server(json!({"webhook": null})), &["Error missing-field webhook"]),
    ]);
}

#[test]
fn a_bucket_must_be_named() {
    let minio = |bucket: Value| json!({"endpoint": "e", "accessKey": secret(), "secretKey": secret(), "bucket": bucket, "events": [""]});
    check::<minio::Minio>(&[
        (minio(json!({"name": "b"})), &["Error bad-value events[0]"]),
        (minio(json!({})), &["Error missing-field bucket.name", "Error bad-value events[0]"]),
        (minio(Value::Null), &["Error missing-field bucket", "Error bad-value events[0]"]),
    ]);
}

/// Names of members without a sentence, in a schema and in those that it refers to.
fn undescribed(schema: &Value, at: &str, found: &mut Vec<String>) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        if member["description"].as_str().is_none_or(str::is_empty) {
            found.push(format!("{at}.{name}"));
        }
    }
    for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
        undescribed(definition, &format!("{at} {name}"), found);
    }
}

#[test]
fn every_field_has_its_sentence() {
    let mut found = Vec::new();
    macro_rules! kinds {
        ($($kind:path)+) => {$( undescribed(&Plan::of::<$kind>().schema(), <$kind>::KIND, &mut found); )+};
    }
    kinds! {
        amqp::Amqp azure_events_hub::AzureEventsHub azure_queue_storage::AzureQueueStorage
        azure_service_bus::AzureServiceBus bitbucketserver::BitbucketServer emitter::Emitter file::File
        generic::Generic gerrit::Gerrit hdfs::Hdfs kafka::Kafka minio::Minio mns::Mns mqtt::Mqtt nats::Nats
        nsq::Nsq pub_sub::PubSub pulsar::Pulsar redis::Redis redis_stream::RedisStream resource::Resource
        sftp::Sftp slack::Slack sns::Sns sqs::Sqs storage_grid::StorageGrid stripe::Stripe
    }
    assert_eq!(found, [""; 0]);
}
