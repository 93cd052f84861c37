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

#[test]
fn what_never_emits_an_event_is_a_warning() {
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
