//! Names on the brokers, and places as sequences.

use std::fmt::Write as _;
use std::ops::Range;

use bus_core::ConsumerName;
use zetes_api::Event;

use crate::options::{Names, Options};

/// A sequence is `offset * 1024 + partition`: total, and increasing within a partition.
pub(crate) const PARTITIONS: u64 = 1024;

/// What the bus's topics and groups are called.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) names: Names,
    pub(crate) events: String,
    pub(crate) state: String,
    pub(crate) records: String,
    namespace: String,
    own_prefix: String,
    group_name: Option<String>,
}

impl Layout {
    pub(crate) fn new(options: &Options) -> Self {
        let namespace = options.namespace.as_str();
        let own_prefix = format!("zetes.{}.{}", topic_token(namespace), topic_token(&options.bus));
        let events = options.topic.clone().filter(|topic| !topic.is_empty());
        let (events, state, records) = match options.names {
            Names::Own => {
                let events = events.unwrap_or_else(|| own_prefix.clone());
                (events, format!("{own_prefix}.state"), format!("{own_prefix}.decisions"))
            }
            Names::Argo => {
                let events = events.unwrap_or_else(|| format!("{namespace}-{}", options.bus));
                let (state, records) = (format!("{events}-zetes-state"), format!("{events}-zetes-decisions"));
                (events, state, records)
            }
        };
        Self {
            names: options.names,
            events,
            state,
            records,
            namespace: namespace.to_owned(),
            own_prefix,
            group_name: options.group.name.clone().filter(|name| !name.is_empty()),
        }
    }

    /// The group of clients that read without one: it has no member and no offset.
    pub(crate) fn reader_group(&self) -> String {
        format!("{}.reader", self.own_prefix)
    }

    /// The group of a consumer.
    pub(crate) fn group(&self, name: &ConsumerName) -> String {
        let trigger = token(name.trigger.as_str());
        match self.names {
            Names::Own => format!("{}.{}.{trigger}", self.own_prefix, token(name.sensor.as_str())),
            Names::Argo => {
                format!("{}{}-zetes.{trigger}", self.argo_prefix(), token(name.sensor.as_str()))
            }
        }
    }

    /// The reference's own group of the Sensor, in whose place a consumer may step.
    pub(crate) fn argo_group(&self, name: &ConsumerName) -> Option<String> {
        match (self.names, &self.group_name) {
            (Names::Own, _) => None,
            (Names::Argo, Some(group)) => Some(group.clone()),
            (Names::Argo, None) => Some(format!("{}-{}", self.namespace, name.sensor)),
        }
    }

    /// The consumer that a group belongs to; `None` for groups of others.
    pub(crate) fn consumer(&self, group: &str) -> Option<ConsumerName> {
        let (sensor, trigger) = match self.names {
            Names::Own => group.strip_prefix(&self.own_prefix)?.strip_prefix('.')?.split_once('.')?,
            Names::Argo => {
                let (sensor, trigger) = group.strip_prefix(&self.argo_prefix())?.rsplit_once('.')?;
                (sensor.strip_suffix("-zetes")?, trigger)
            }
        };
        Some(ConsumerName {
            namespace: self.namespace.as_str().into(),
            sensor: untoken(sensor)?.into(),
            trigger: untoken(trigger)?.into(),
        })
    }

    fn argo_prefix(&self) -> String {
        format!("{}-", self.group_name.as_deref().unwrap_or(&self.namespace))
    }

    /// Topics of the reference that we neither read nor write.
    pub(crate) fn is_foreign_work(&self, topic: &str) -> bool {
        let ours = topic.strip_prefix(&self.events).and_then(|rest| rest.strip_prefix('-'));
        ours.is_some_and(|rest| rest.ends_with("-trigger") || rest.ends_with("-action"))
    }

    /// The value of an event's record.
    pub(crate) fn encode(&self, event: &Event) -> Vec<u8> {
        match self.names {
            Names::Own => event.to_json(),
            Names::Argo => event.to_argo_json(),
        }
    }
}

/// The key of an event's record, which also keeps the events of one kind in one partition, in their order.
pub(crate) fn record_key(source: &str, subject: &str) -> String {
    format!("{source}.{subject}")
}

pub(crate) fn sequence(partition: i32, offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0).saturating_mul(PARTITIONS) + u64::try_from(partition).unwrap_or(0)
}

/// Partition and offset of a sequence.
pub(crate) fn place(sequence: u64) -> (i32, u64) {
    (i32::try_from(sequence % PARTITIONS).unwrap_or(0), sequence / PARTITIONS)
}

/// The offsets of a partition whose sequences lie in the range.
pub(crate) fn offsets(range: &Range<u64>, partition: i32) -> Range<u64> {
    let partition = u64::try_from(partition).unwrap_or(0);
    let first = |sequence: u64| sequence.saturating_sub(partition).div_ceil(PARTITIONS);
    first(range.start)..first(range.end)
}

/// A part of a topic's name: `.` becomes `__`, which no name of an object contains.
fn topic_token(text: &str) -> String {
    text.replace('.', "__")
}

/// A part of a group's name: every byte outside `[A-Za-z0-9-]` becomes `=XX`.
fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            token.push(char::from(byte));
        } else {
            let _infallible = write!(token, "={byte:02X}").is_ok();
        }
    }
    token
}

fn untoken(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use connection_kafka::Settings;
    use zetes_runtime::Secrets;

    use super::*;

    fn layout(names: Names) -> Layout {
        let connection = Settings {
            url: String::new(),
            tls: None,
            sasl: None,
            version: String::new(),
            namespace: "ci".into(),
            secrets: Secrets::builder().build(),
        };
        Layout::new(&Options { names, ..Options::new("ci".into(), "my.bus", connection) })
    }

    #[test]
    fn a_group_is_decoded_to_the_consumer_it_was_made_from() {
        for names in [Names::Own, Names::Argo] {
            let layout = layout(names);
            for (sensor, trigger) in [("s", "t"), ("a.b-zetes", "x.y_z ä"), ("-zetes.", ".")] {
                let name =
                    ConsumerName { namespace: "ci".into(), sensor: sensor.into(), trigger: trigger.into() };
                let group = layout.group(&name);
                assert_eq!(layout.consumer(&group), Some(name), "{group}");
            }
            assert_eq!(layout.consumer(&layout.reader_group()), None);
            assert_eq!(layout.consumer("ci-sensor"), None, "a group of the reference");
        }
    }

    #[test]
    fn topics_have_the_names_of_the_layouts() {
        let own = layout(Names::Own);
        assert_eq!(
            [own.events, own.state, own.records],
            ["zetes.ci.my__bus", "zetes.ci.my__bus.state", "zetes.ci.my__bus.decisions"]
        );
        let argo = layout(Names::Argo);
        assert_eq!(
            [argo.events.as_str(), &argo.state, &argo.records],
            ["ci-my.bus", "ci-my.bus-zetes-state", "ci-my.bus-zetes-decisions"]
        );
        assert!(argo.is_foreign_work("ci-my.bus-sensor-action") && !argo.is_foreign_work("ci-my.bus"));
    }

    #[test]
    fn sequences_and_places_belong_together() {
        for (partition, offset) in [(0, 0), (5, 0), (1023, 7), (3, 1 << 40)] {
            let sequence = sequence(partition, offset);
            assert_eq!(place(sequence), (partition, u64::try_from(offset).unwrap()));
            let offset = u64::try_from(offset).unwrap();
            assert_eq!(offsets(&(sequence..sequence + 1), partition), offset..offset + 1);
            assert!(offsets(&(sequence + 1..sequence + 2), partition).is_empty());
        }
    }
}
