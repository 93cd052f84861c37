//! What an EventBus object asks of the bus that carries it (spec/control-plane.md 2.3 to 2.7, S42, S43, S45).

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use bus_core::{Bus, BusError, Health, Retention};
use bus_embedded::{Options, Sync};
use bus_jetstream::JetStreamBus;
use bus_kafka::KafkaBus;
use zetes_api::{
    Carrier, EventBus, FieldPath, Finding, JetStreamExotic, Kafka, ObjectRef, Sasl, SecretKeyRef,
    StreamConfig, Tls,
};
use zetes_runtime::Clock;

use super::Means;

/// Behaviours of the reference, separated by commas; `argo-names` chooses its layout on the server.
const COMPAT_ANNOTATION: &str = "zetes.dev/compat";
const ARGO_NAMES: &str = "argo-names";
/// `always` (the default) or `interval`: when the embedded bus syncs to the disk.
const SYNC_ANNOTATION: &str = "zetes.dev/sync";
/// Partitions and copies of topics that are created.
const PARTITIONS_ANNOTATION: &str = "zetes.dev/partitions";
const REPLICATION_ANNOTATION: &str = "zetes.dev/replication";
/// A path into an event's data: events with the same value there stand in one partition.
const PARTITION_KEY_ANNOTATION: &str = "zetes.dev/partition-key";
/// How long an event may wait for the disk where `zetes.dev/sync` is `interval`.
const SYNC_INTERVAL: Duration = Duration::from_millis(100);

/// What carries an EventBus here.
#[derive(Clone, Debug)]
pub(super) enum Carried {
    Embedded,
    JetStream(Box<Server>),
    Kafka(Box<Kafka>),
}

/// A JetStream server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    url: String,
    access_secret: Option<SecretKeyRef>,
    tls: Option<Tls>,
    config: StreamConfig,
    /// What is not written in `config`.
    unwritten: Retention,
}

/// What carries the EventBus; `jetstream_url` is the server that carries those of kind `jetstream`.
pub(super) fn carried(bus: &EventBus, jetstream_url: Option<&str>) -> Carried {
    match bus.spec.carrier() {
        Some(Carrier::JetStreamExotic(JetStreamExotic { url, access_secret, tls, stream_config })) => {
            let config = StreamConfig::parse(&stream_config).unwrap_or_default();
            Carried::JetStream(Box::new(Server { url, access_secret, tls, config, unwritten: unlimited() }))
        }
        Some(Carrier::NatsExotic(exotic)) => Carried::JetStream(Box::new(Server {
            url: exotic.url,
            access_secret: exotic.access_secret,
            tls: None,
            config: StreamConfig::default(),
            unwritten: unlimited(),
        })),
        Some(Carrier::JetStream(jetstream)) => {
            let Some(url) = jetstream_url else { return Carried::Embedded };
            let config = StreamConfig::parse(&jetstream.stream_config.unwrap_or_default());
            Carried::JetStream(Box::new(Server {
                url: url.to_owned(),
                access_secret: None,
                tls: None,
                config: config.unwrap_or_default(),
                // A server reserves the bytes that it is asked for.
                unwritten: Retention { max_bytes: None, ..Retention::default() },
            }))
        }
        Some(Carrier::Kafka(kafka)) => Carried::Kafka(Box::new(kafka)),
        Some(Carrier::NatsNative(_)) | None => Carried::Embedded,
    }
}

/// What this build does not do for an EventBus, and annotations that can't be read.
pub(crate) fn findings(bus: &EventBus) -> Vec<Finding> {
    let (spec, annotations) = (FieldPath::from("spec"), FieldPath::from("metadata").key("annotations"));
    let mut findings = Vec::new();
    let replaced = |path: FieldPath, by: &str| {
        let message = format!("NATS Streaming has ended: {by} keeps the events");
        Finding::warning("replaced-bus", path, message)
    };
    match bus.spec.carrier() {
        Some(Carrier::NatsNative(_)) => {
            findings.push(replaced(spec.key("nats").key("native"), "the embedded bus"));
        }
        Some(Carrier::NatsExotic(_)) => {
            findings.push(replaced(spec.key("nats").key("exotic"), "JetStream on that server"));
        }
        Some(Carrier::Kafka(kafka)) => {
            let is_unset = |sasl: &Sasl| sasl.user_secret.is_none() || sasl.password_secret.is_none();
            if kafka.sasl.as_ref().is_some_and(is_unset) {
                let message = "without `userSecret` and `passwordSecret` there is no login";
                findings.push(Finding::warning("unused-field", spec.key("kafka").key("sasl"), message));
            }
        }
        _ => {}
    }
    let written = |name: &str| bus.metadata.annotations.get(name).map(|text| text.trim());
    if let Some(sync) = written(SYNC_ANNOTATION).filter(|sync| !["always", "interval"].contains(sync)) {
        let message = format!("expected `always` or `interval`, found `{sync}`");
        findings.push(Finding::error("bad-value", annotations.key(SYNC_ANNOTATION), message));
    }
    for (name, most) in [(PARTITIONS_ANNOTATION, 1_024), (REPLICATION_ANNOTATION, 32)] {
        let Some(text) = written(name) else { continue };
        if !text.parse::<u32>().is_ok_and(|number| (1..=most).contains(&number)) {
            let message = format!("expected a number from 1 to {most}, found `{text}`");
            findings.push(Finding::error("bad-value", annotations.key(name), message));
        }
    }
    findings
}

/// The settings of the embedded bus.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Embedded {
    retention: Retention,
    /// A crash of the machine may take what is younger than this.
    interval: bool,
}

/// One directory has one set of settings: those of the first EventBus named `default` that it carries, or of the first at all.
pub(super) fn of_embedded<'b>(buses: impl Iterator<Item = &'b EventBus>) -> Embedded {
    let ours: Vec<_> = buses.filter(|bus| matches!(carried(bus, None), Carried::Embedded)).collect();
    let is_default = |bus: &&&EventBus| bus.object_ref().name.as_str() == super::DEFAULT;
    let bus = ours.iter().find(is_default).or_else(|| ours.first());
    bus.map_or_else(Embedded::default, |bus| Embedded::of(bus))
}

impl Embedded {
    fn of(bus: &EventBus) -> Self {
        let text = match bus.spec.carrier() {
            Some(Carrier::JetStream(jetstream)) => jetstream.stream_config.unwrap_or_default(),
            _ => String::new(),
        };
        let config = StreamConfig::parse(&text).unwrap_or_default();
        let interval =
            bus.metadata.annotations.get(SYNC_ANNOTATION).is_some_and(|sync| sync.trim() == "interval");
        Self { retention: retention(&config, &Retention::default()), interval }
    }

    pub(super) fn options(&self, clock: &Clock) -> Options {
        let sync = if self.interval { Sync::Interval(SYNC_INTERVAL) } else { Sync::Always };
        Options { clock: clock.clone(), retention: self.retention.clone(), sync, ..Options::default() }
    }
}

/// An existing server's stream as the reference makes it (spec/control-plane.md 2.3, "absent").
fn unlimited() -> Retention {
    let duplicate_window = Duration::from_mins(2);
    Retention { max_age: None, max_bytes: None, max_events: None, discard_old: false, duplicate_window }
}

/// What is not written keeps its default; limits that are negative or 0 are none.
fn retention(config: &StreamConfig, default: &Retention) -> Retention {
    let limit = |written: Option<i64>, default: Option<u64>| match written {
        Some(number) => u64::try_from(number).ok().filter(|number| *number > 0),
        None => default,
    };
    Retention {
        max_age: config.max_age.map_or(default.max_age, |age| Some(age).filter(|age| !age.is_zero())),
        max_bytes: limit(config.max_bytes, default.max_bytes),
        max_events: limit(config.max_msgs, default.max_events),
        // Only what the object itself says counts as written out (S42).
        discard_old: config.discard == Some(0),
        duplicate_window: config.duplicates.unwrap_or(default.duplicate_window),
    }
}

/// Opens the bus on the server that carries the EventBus. Returns at once: it connects by itself.
///
/// # Errors
/// The EventBus is not on a server.
pub(super) fn open_server(object: &EventBus, means: &Means) -> anyhow::Result<Arc<dyn Bus>> {
    match carried(object, means.jetstream_url.as_deref()) {
        Carried::JetStream(server) => Ok(Arc::new(JetStreamBus::open(jetstream(object, *server, means)))),
        Carried::Kafka(brokers) => Ok(Arc::new(KafkaBus::open(kafka(object, *brokers, means)))),
        Carried::Embedded => bail!("the embedded bus carries it"),
    }
}

/// Tries once to use the server that carries the EventBus; `None` where none does.
pub(crate) async fn check_server(object: &EventBus, means: &Means) -> Option<Result<Health, BusError>> {
    match carried(object, means.jetstream_url.as_deref()) {
        Carried::JetStream(server) => Some(JetStreamBus::check(jetstream(object, *server, means)).await),
        Carried::Kafka(brokers) => Some(KafkaBus::check(kafka(object, *brokers, means)).await),
        Carried::Embedded => None,
    }
}

fn has_argo_names(object: &EventBus) -> bool {
    let compat = object.metadata.annotations.get(COMPAT_ANNOTATION);
    compat.is_some_and(|names| names.split(',').any(|name| name.trim() == ARGO_NAMES))
}

fn jetstream(object: &EventBus, server: Server, means: &Means) -> bus_jetstream::Options {
    let ObjectRef { namespace, name, .. } = object.object_ref();
    bus_jetstream::Options {
        connection: connection_nats::Settings {
            url: server.url,
            login: connection_nats::Login::AccessSecret(server.access_secret),
            tls: server.tls,
            namespace: namespace.clone(),
            secrets: means.secrets.clone(),
        },
        namespace,
        name,
        stream: bus_jetstream::Stream {
            retention: retention(&server.config, &server.unwritten),
            replicas: server.config.replicas.unwrap_or(1),
            discard_written: server.config.discard.is_some(),
        },
        names: if has_argo_names(object) { bus_jetstream::Names::Argo } else { bus_jetstream::Names::Own },
        clock: means.clock.clone(),
    }
}

fn kafka(object: &EventBus, brokers: Kafka, means: &Means) -> bus_kafka::Options {
    let ObjectRef { namespace, name, .. } = object.object_ref();
    let sasl = brokers.sasl.and_then(|sasl| {
        Some(connection_kafka::Sasl {
            mechanism: sasl.mechanism,
            user_secret: sasl.user_secret?,
            password_secret: sasl.password_secret?,
        })
    });
    let connection = connection_kafka::Settings {
        url: brokers.url,
        tls: brokers.tls,
        sasl,
        version: brokers.version,
        namespace: namespace.clone(),
        secrets: means.secrets.clone(),
    };
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let group = brokers.consumer_group.unwrap_or_default();
    let written = |annotation: &str| object.metadata.annotations.get(annotation);
    let defaults = bus_kafka::Options::new(namespace, name.as_str(), connection);
    bus_kafka::Options {
        topic: some(brokers.topic),
        names: if has_argo_names(object) { bus_kafka::Names::Argo } else { bus_kafka::Names::Own },
        partition_key: written(PARTITION_KEY_ANNOTATION).map(|path| path.trim().to_owned()),
        partitions: written(PARTITIONS_ANNOTATION)
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(defaults.partitions),
        replication: written(REPLICATION_ANNOTATION).and_then(|text| text.trim().parse().ok()),
        // Topics have no limit of bytes of their own, either.
        retention: Retention { max_bytes: None, ..Retention::default() },
        group: bus_kafka::Group { name: some(group.group_name), oldest: group.oldest },
        clock: means.clock.clone(),
        ..defaults
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bus(annotations: &serde_json::Value, spec: &serde_json::Value) -> EventBus {
        let metadata = json!({"name": "default", "namespace": "ci", "annotations": annotations});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn means() -> Means {
        let secrets = zetes_runtime::Secrets::default();
        Means { data: "data".into(), clock: Clock::system(), secrets, jetstream_url: None }
    }

    #[test]
    fn settings_of_the_embedded_bus_are_honoured_and_discard_only_when_written() {
        let config = "maxAge: 2h\nMAXMSGS: 10\nmaxBytes: -1\ndiscard: 0\nduplicates: 60s";
        let written = bus(
            &json!({SYNC_ANNOTATION: "interval"}),
            &json!({"jetstream": {"version": "latest", "streamConfig": config}}),
        );
        let found = of_embedded([&written].into_iter());
        let retention = Retention {
            max_age: Some(Duration::from_hours(2)),
            max_bytes: None,
            max_events: Some(10),
            discard_old: true,
            duplicate_window: Duration::from_mins(1),
        };
        assert_eq!(found, Embedded { retention, interval: true });
        let unwritten = bus(&json!({}), &json!({"jetstream": {"version": "latest"}}));
        assert_eq!(of_embedded([&unwritten].into_iter()), Embedded::default());
    }

    #[test]
    fn a_bus_on_a_server_gives_the_embedded_one_no_settings() {
        let config = "maxMsgs: 10";
        let exotic =
            bus(&json!({}), &json!({"jetstreamExotic": {"url": "nats://n:4222", "streamConfig": config}}));
        assert_eq!(of_embedded([&exotic].into_iter()), Embedded::default());
        let Carried::JetStream(server) = carried(&exotic, None) else { panic!("expected JetStream") };
        let options = jetstream(&exotic, *server, &means());
        assert_eq!(
            (options.connection.url.as_str(), options.stream.retention.max_events),
            ("nats://n:4222", Some(10))
        );
        let retention = Retention { max_events: Some(10), ..unlimited() };
        assert_eq!(options.stream, bus_jetstream::Stream { retention, ..bus_jetstream::Stream::default() });
    }

    #[test]
    fn annotations_choose_layout_and_topics() {
        let annotations = json!({
            COMPAT_ANNOTATION: "ne-any, argo-names", PARTITIONS_ANNOTATION: "3", REPLICATION_ANNOTATION: "2",
            PARTITION_KEY_ANNOTATION: "body.repository.id",
        });
        let object = bus(&annotations, &json!({"kafka": {"url": "k:9092", "topic": "events"}}));
        let Carried::Kafka(brokers) = carried(&object, None) else { panic!("expected Kafka") };
        let options = kafka(&object, *brokers, &means());
        assert_eq!(options.names, bus_kafka::Names::Argo);
        assert_eq!(options.partition_key.as_deref(), Some("body.repository.id"));
        assert_eq!(
            (options.topic.as_deref(), options.partitions, options.replication),
            (Some("events"), 3, Some(2))
        );
    }

    #[test]
    fn a_managed_bus_is_embedded_unless_a_server_is_named() {
        let managed = bus(&json!({}), &json!({"jetstream": {"version": "latest"}}));
        assert!(matches!(carried(&managed, None), Carried::Embedded));
        assert!(matches!(carried(&managed, Some("nats://n:4222")), Carried::JetStream(_)));
        let native = bus(&json!({}), &json!({"nats": {"native": {}}}));
        assert!(matches!(carried(&native, Some("nats://n:4222")), Carried::Embedded));
    }

    #[test]
    fn what_can_not_be_meant_is_told_by_its_place() {
        let annotations = json!({SYNC_ANNOTATION: "never", PARTITIONS_ANNOTATION: "0"});
        let told = findings(&bus(&annotations, &json!({"nats": {"exotic": {"url": "n", "clusterID": "c"}}})));
        let codes: Vec<_> = told.iter().map(|one| one.code).collect();
        assert_eq!(codes, ["replaced-bus", "bad-value", "bad-value"]);
    }
}
