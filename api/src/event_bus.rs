//! What stands in an EventBus (spec/control-plane.md 2).
//!
//! Types are those of the reference; what only a pod needs is kept unread.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::resource::EventBusSpec;
use crate::settings::{ConsumerGroup, Sasl, SecretKeyRef, Tls};
use crate::validation::pod::{Container, Labels};

/// What carries the events of an EventBus.
#[derive(Clone, Debug)]
pub enum Carrier {
    NatsNative(Box<NatsNative>),
    NatsExotic(NatsExotic),
    JetStream(Box<JetStream>),
    Kafka(Kafka),
    JetStreamExotic(JetStreamExotic),
}

impl EventBusSpec {
    /// Of several the one that the reference takes; `None` where none can be read, which validation has told.
    pub fn carrier(&self) -> Option<Carrier> {
        let nats = read::<Nats>(self.nats.as_ref()).unwrap_or_default();
        let jetstream = || read(self.jetstream.as_ref()).map(|server| Carrier::JetStream(Box::new(server)));
        let kafka = || read(self.kafka.as_ref()).map(Carrier::Kafka);
        let exotic = || read(self.jetstream_exotic.as_ref()).map(Carrier::JetStreamExotic);
        let nats = nats
            .exotic
            .map(Carrier::NatsExotic)
            .or(nats.native.map(|native| Carrier::NatsNative(Box::new(native))));
        nats.or_else(jetstream).or_else(kafka).or_else(exotic)
    }
}

fn read<T: DeserializeOwned>(member: Option<&Value>) -> Option<T> {
    T::deserialize(member?).ok()
}

/// The settings of a stream (spec/control-plane.md 2.3). `None` is what is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamConfig {
    /// Without limit when negative.
    pub max_msgs: Option<i64>,
    pub max_age: Option<Duration>,
    /// Without limit when negative.
    pub max_bytes: Option<i64>,
    pub replicas: Option<u32>,
    pub duplicates: Option<Duration>,
    /// 0 limits, 1 interest.
    pub retention: Option<i64>,
    /// 0 old, 1 new.
    pub discard: Option<i64>,
}

impl StreamConfig {
    /// Reads the YAML text of `streamConfig`; keys are matched without case, unknown ones are left alone.
    ///
    /// # Errors
    /// What is wrong, each in words that begin with the key.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let read = serde_saphyr::from_str::<Value>(text);
        let Ok(Value::Object(keys)) = read else {
            return Err(vec!["expected YAML with keys such as `maxAge: 72h`".to_owned()]);
        };
        let (mut config, mut wrong) = (Self::default(), Vec::new());
        for (key, value) in &keys {
            if let Err(expected) = config.set(&key.to_lowercase(), value) {
                wrong.push(format!("`{key}`: expected {expected}, found `{value}`"));
            }
        }
        if wrong.is_empty() { Ok(config) } else { Err(wrong) }
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), &'static str> {
        let number = || value.as_i64().ok_or("a whole number");
        match key {
            "maxmsgs" => self.max_msgs = Some(number()?),
            "maxbytes" => self.max_bytes = Some(number()?),
            "maxage" => self.max_age = Some(duration(value)?),
            "duplicates" => self.duplicates = Some(duration(value)?),
            "replicas" => {
                let replicas = number()?;
                self.replicas =
                    Some(u32::try_from(replicas).ok().filter(|one| (1..=5).contains(one)).ok_or("1 to 5")?);
            }
            "retention" => {
                self.retention =
                    Some(Some(number()?).filter(|one| (0..=1).contains(one)).ok_or(
                        "0 (limits) or 1 (interest); a work queue (2) has room for one trigger only",
                    )?);
            }
            "discard" => {
                self.discard =
                    Some(Some(number()?).filter(|one| (0..=1).contains(one)).ok_or("0 (old) or 1 (new)")?);
            }
            _ => {}
        }
        Ok(())
    }
}

fn duration(value: &Value) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "a duration such as `72h`";
    let parsed = value.as_str().and_then(|text| zetes_gotime::duration::parse(text).ok());
    parsed.and_then(|duration| Duration::try_from(duration).ok()).ok_or(EXPECTED)
}

/// Servers that are managed in a cluster.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JetStream {
    /// Version of the server, `latest` for example.
    pub version: String,
    /// 1, or 3 and more.
    pub replicas: Option<i32>,
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
    pub stream_config: Option<String>,
    /// Bytes of an event, at most: `1MB`.
    pub max_payload: Option<String>,
}

/// A server that is there already.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JetStreamExotic {
    pub url: String,
    pub access_secret: Option<SecretKeyRef>,
    /// YAML of the stream's settings, as text.
    pub stream_config: String,
    pub tls: Option<Tls>,
}

/// NATS Streaming.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Nats {
    pub native: Option<NatsNative>,
    pub exotic: Option<NatsExotic>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NatsNative {
    replicas: i32,
    /// `none` or `token`.
    pub auth: Option<String>,
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
    pub max_age: Option<String>,
    pub max_msgs: Option<u64>,
    pub max_bytes: Option<String>,
    max_subs: Option<u64>,
    pub max_payload: Option<String>,
    raft_heartbeat_timeout: Option<String>,
    raft_election_timeout: Option<String>,
    raft_lease_timeout: Option<String>,
    raft_commit_timeout: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NatsExotic {
    pub url: String,
    #[serde(rename = "clusterID")]
    pub cluster_id: Option<String>,
    /// `none`, `token` or `basic`.
    pub auth: Option<String>,
    pub access_secret: Option<SecretKeyRef>,
}

/// Brokers that are there already.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Kafka {
    pub url: String,
    pub topic: String,
    pub version: String,
    pub tls: Option<Tls>,
    pub sasl: Option<Sasl>,
    pub consumer_group: Option<ConsumerGroup>,
    pub partitioner: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Persistence {
    storage_class_name: Option<String>,
    access_mode: Option<String>,
    /// A quantity: `20Gi`.
    volume_size: Option<Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_of_a_stream_are_matched_without_case_and_mistakes_are_told_by_key() {
        let config = StreamConfig::parse("maxAge: 2h\nMAXMSGS: 10\ndiscard: 0\nreplicas: 3").unwrap();
        assert_eq!(config.max_age, Some(Duration::from_hours(2)));
        assert_eq!((config.max_msgs, config.discard, config.replicas), (Some(10), Some(0), Some(3)));
        assert_eq!(StreamConfig::parse("").unwrap(), StreamConfig::default());
        let wrong = StreamConfig::parse("maxAge: 2\nretention: 2\nunknown: 1\ndiscard: x").unwrap_err();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert_eq!(wrong[0], "`maxAge`: expected a duration such as `72h`, found `2`");
        assert!(StreamConfig::parse("- a list").is_err());
    }

    #[test]
    fn of_several_carriers_the_one_of_the_reference_is_taken() {
        let spec: EventBusSpec = serde_json::from_value(json!({
            "kafka": {"url": "k:9092"},
            "jetstream": {"version": "latest"},
            "nats": {"exotic": {"url": "n", "clusterID": "c"}},
        }))
        .unwrap();
        assert!(matches!(spec.carrier(), Some(Carrier::NatsExotic(_))));
        let spec = EventBusSpec { nats: None, ..spec };
        assert!(matches!(spec.carrier(), Some(Carrier::JetStream(_))));
        let spec = EventBusSpec { jetstream: None, ..spec };
        assert!(matches!(spec.carrier(), Some(Carrier::Kafka(kafka)) if kafka.url == "k:9092"));
    }
}
