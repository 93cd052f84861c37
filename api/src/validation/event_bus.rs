//! What stands in an EventBus, and what is wrong with it (spec/control-plane.md 2).
//!
//! Types are those of the reference; what only a pod needs is looked at no deeper than that.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::pod::{Container, Labels};
use super::{bad, missing, typed};
use crate::diagnostic::{FieldPath, Finding};
use crate::resource::EventBusSpec;
use crate::settings::{SecretKeyRef, Tls};

/// Servers that are managed in a cluster.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct JetStream {
    /// Version of the server, `latest` for example.
    version: String,
    /// 1, or 3 and more.
    replicas: Option<i32>,
    container_template: Option<Container>,
    reloader_container_template: Option<Container>,
    metrics_container_template: Option<Container>,
    persistence: Option<Persistence>,
    metadata: Option<Labels>,
    node_selector: BTreeMap<String, String>,
    tolerations: Vec<Map<String, Value>>,
    security_context: Option<Map<String, Value>>,
    image_pull_secrets: Vec<Map<String, Value>>,
    priority_class_name: String,
    priority: Option<i32>,
    affinity: Option<Map<String, Value>>,
    service_account_name: String,
    /// Text inside the server's `jetstream` block.
    settings: Option<String>,
    /// Arguments of the server.
    start_args: Vec<String>,
    /// YAML of the stream's settings, as text.
    stream_config: Option<String>,
    /// Bytes of an event, at most: `1MB`.
    max_payload: Option<String>,
}

/// A server that is there already.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct JetStreamExotic {
    url: String,
    access_secret: Option<SecretKeyRef>,
    /// YAML of the stream's settings, as text.
    stream_config: String,
    tls: Option<Tls>,
}

/// NATS Streaming.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Nats {
    native: Option<Native>,
    exotic: Option<Exotic>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Native {
    replicas: i32,
    /// `none` or `token`.
    auth: Option<String>,
    persistence: Option<Persistence>,
    container_template: Option<Container>,
    metrics_container_template: Option<Container>,
    node_selector: BTreeMap<String, String>,
    tolerations: Vec<Map<String, Value>>,
    metadata: Option<Labels>,
    security_context: Option<Map<String, Value>>,
    image_pull_secrets: Vec<Map<String, Value>>,
    service_account_name: String,
    priority_class_name: String,
    priority: Option<i32>,
    affinity: Option<Map<String, Value>>,
    max_age: Option<String>,
    max_msgs: Option<u64>,
    max_bytes: Option<String>,
    max_subs: Option<u64>,
    max_payload: Option<String>,
    raft_heartbeat_timeout: Option<String>,
    raft_election_timeout: Option<String>,
    raft_lease_timeout: Option<String>,
    raft_commit_timeout: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Exotic {
    url: String,
    #[serde(rename = "clusterID")]
    cluster_id: Option<String>,
    /// `none`, `token` or `basic`.
    auth: Option<String>,
    access_secret: Option<SecretKeyRef>,
}

/// Brokers that are there already.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Kafka {
    url: String,
    topic: String,
    version: String,
    tls: Option<Tls>,
    sasl: Option<Sasl>,
    consumer_group: Option<ConsumerGroup>,
    partitioner: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Sasl {
    mechanism: String,
    user_secret: Option<SecretKeyRef>,
    password_secret: Option<SecretKeyRef>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct ConsumerGroup {
    group_name: String,
    oldest: bool,
    rebalance_strategy: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Persistence {
    storage_class_name: Option<String>,
    access_mode: Option<String>,
    /// A quantity: `20Gi`.
    volume_size: Option<Value>,
}

pub(super) fn findings(spec: &EventBusSpec, path: &FieldPath) -> Vec<Finding> {
    let members = [
        ("nats", &spec.nats),
        ("jetstream", &spec.jetstream),
        ("kafka", &spec.kafka),
        ("jetstreamExotic", &spec.jetstream_exotic),
    ];
    let present: Vec<_> = members.iter().filter_map(|(key, member)| Some((*key, member.as_ref()?))).collect();
    let mut findings = Vec::new();
    if present.is_empty() {
        findings.push(missing(path.clone(), "one of `nats`, `jetstream`, `kafka`, `jetstreamExotic`"));
    }
    if let [(first, _), others @ ..] = present.as_slice() {
        findings.extend(others.iter().map(|(key, _)| {
            let message = format!("`{key}` is not used: `{first}` is there, too");
            Finding::warning("unused-bus", path.key(*key), message)
        }));
    }
    for (key, member) in present {
        let path = path.key(key);
        findings.extend(match key {
            "nats" => typed(member, &path, nats),
            "jetstream" => typed(member, &path, jetstream),
            "kafka" => typed(member, &path, |kafka: &Kafka, path| url(&kafka.url, path)),
            _ => typed(member, &path, |exotic: &JetStreamExotic, path| url(&exotic.url, path)),
        });
    }
    findings
}

fn url(url: &str, path: &FieldPath) -> Vec<Finding> {
    if url.is_empty() { vec![missing(path.key("url"), "`url`")] } else { Vec::new() }
}

fn nats(nats: &Nats, path: &FieldPath) -> Vec<Finding> {
    let mut findings = Vec::new();
    if nats.native.is_some() == nats.exotic.is_some() {
        findings.push(bad(path.clone(), "expected exactly one of `native` and `exotic`"));
    }
    if let Some(exotic) = &nats.exotic {
        let path = path.key("exotic");
        if exotic.cluster_id.is_none() {
            findings.push(missing(path.key("clusterID"), "`clusterID`"));
        }
        findings.extend(url(&exotic.url, &path));
    }
    findings
}

fn jetstream(jetstream: &JetStream, path: &FieldPath) -> Vec<Finding> {
    let mut findings = Vec::new();
    if jetstream.version.is_empty() {
        findings.push(missing(path.key("version"), "a version, `latest` for example"));
    }
    if let Some(replicas) = jetstream.replicas.filter(|replicas| *replicas == 2 || *replicas <= 0) {
        let message = format!("expected 1 replica, or 3 and more, found {replicas}");
        findings.push(bad(path.key("replicas"), message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(spec: Value) -> Vec<String> {
        let spec: EventBusSpec = serde_json::from_value(spec).unwrap();
        let found = findings(&spec, &FieldPath::from("spec"));
        found.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
    }

    #[test]
    fn members_have_the_types_of_the_reference() {
        let jetstream = json!({"version": "latest", "replicas": "3", "streamConfig": {"maxAge": "1h"}});
        let expected =
            ["Error wrong-type spec.jetstream.replicas", "Error wrong-type spec.jetstream.streamConfig"];
        assert_eq!(told(json!({"jetstream": jetstream})), expected);
        let native = json!({"replicas": "3", "maxMsgs": "1"});
        let expected =
            ["Error wrong-type spec.nats.native.replicas", "Error wrong-type spec.nats.native.maxMsgs"];
        assert_eq!(told(json!({"nats": {"native": native}})), expected);
    }

    #[test]
    fn an_empty_cluster_id_is_one_and_an_absent_one_is_not() {
        assert_eq!(told(json!({"nats": {"exotic": {"clusterID": "", "url": "u"}}})), [""; 0]);
        let absent = told(json!({"nats": {"exotic": {"url": "u"}}}));
        assert_eq!(absent, ["Error missing-field spec.nats.exotic.clusterID"]);
    }

    #[test]
    fn a_second_bus_is_told_to_be_unused() {
        let both = json!({"jetstream": {"version": "latest"}, "kafka": {"url": "k:9092"}});
        assert_eq!(told(both), ["Warning unused-bus spec.kafka"]);
    }
}
