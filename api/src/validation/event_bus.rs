//! What is wrong with an EventBus (spec/control-plane.md 2).

use super::{bad, missing, typed};
use crate::diagnostic::{FieldPath, Finding};
use crate::event_bus::{JetStream, JetStreamExotic, Kafka, Nats, StreamConfig};
use crate::resource::EventBusSpec;

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
            _ => typed(member, &path, |exotic: &JetStreamExotic, path| {
                let mut findings = url(&exotic.url, path);
                findings.extend(stream_config(&exotic.stream_config, path));
                findings
            }),
        });
    }
    findings
}

fn url(url: &str, path: &FieldPath) -> Vec<Finding> {
    if url.is_empty() { vec![missing(path.key("url"), "`url`")] } else { Vec::new() }
}

fn stream_config(text: &str, path: &FieldPath) -> Vec<Finding> {
    let wrong = StreamConfig::parse(text).err().unwrap_or_default();
    wrong.into_iter().map(|message| bad(path.key("streamConfig"), message)).collect()
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
    findings.extend(stream_config(jetstream.stream_config.as_deref().unwrap_or_default(), path));
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
    fn settings_of_the_stream_that_can_not_be_read_are_told() {
        let jetstream = json!({"version": "latest", "streamConfig": "- a list"});
        assert_eq!(told(json!({"jetstream": jetstream})), ["Error bad-value spec.jetstream.streamConfig"]);
        let exotic = json!({"url": "nats://n:4222", "streamConfig": "retention: 2"});
        let expected = ["Error bad-value spec.jetstreamExotic.streamConfig"];
        assert_eq!(told(json!({"jetstreamExotic": exotic})), expected);
    }

    #[test]
    fn a_second_bus_is_told_to_be_unused() {
        let both = json!({"jetstream": {"version": "latest"}, "kafka": {"url": "k:9092"}});
        assert_eq!(told(both), ["Warning unused-bus spec.kafka"]);
    }
}
