//! `config`: settings in the shape of the reference's client, Sarama, in the words of ours.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::Value;
use zetes_api::Finding;
use zetes_gotime::duration;

/// What `config` makes of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientSettings {
    /// librdkafka's settings by name.
    pub(crate) properties: BTreeMap<&'static str, String>,
    /// `consumer.offsets.initial`: whether a reader without a place begins with the oldest record.
    pub(crate) oldest: Option<bool>,
}

/// What becomes of a key.
#[derive(Clone, Copy)]
enum Becomes {
    Text(&'static str),
    Number(&'static str, Limits),
    /// A Go duration, or nanoseconds, in milliseconds.
    Milliseconds(&'static str, Limits),
    Switch(&'static str),
    /// The setting says the contrary.
    Contrary(&'static str),
    /// Zero is no limit of its own.
    Largest,
    KeepAlive,
    Isolation,
    Beginning,
    /// It has no effect, and this is why.
    Nothing(&'static str),
}

type Limits = (i64, i64);

/// What the client takes: a record that is larger is read all the same.
const FETCH: Limits = (1_000_000, 99_000_000);
const ANY: Limits = (1, 86_400_000);
const SUPERVISED: &str = "attempts have no end here, and their pauses are the supervisor's";

/// Keys in lower case, sorted.
const KEYS: &[(&str, Becomes)] = {
    use Becomes::{
        Beginning, Contrary, Isolation, KeepAlive, Largest, Milliseconds, Nothing, Number, Switch, Text,
    };
    &[
        ("channelbuffersize", Number("queued.min.messages", (1, 10_000_000))),
        ("clientid", Text("client.id")),
        ("consumer.fetch.default", Number("fetch.message.max.bytes", (1, 1_000_000_000))),
        ("consumer.fetch.max", Largest),
        ("consumer.fetch.min", Number("fetch.min.bytes", (1, 100_000_000))),
        ("consumer.group.heartbeat.interval", Milliseconds("heartbeat.interval.ms", (1, 3_600_000))),
        ("consumer.group.instanceid", Text("group.instance.id")),
        ("consumer.group.rebalance.retry.backoff", Nothing(SUPERVISED)),
        ("consumer.group.rebalance.retry.max", Nothing(SUPERVISED)),
        ("consumer.group.rebalance.timeout", Milliseconds("max.poll.interval.ms", ANY)),
        ("consumer.group.session.timeout", Milliseconds("session.timeout.ms", (1, 3_600_000))),
        ("consumer.isolationlevel", Isolation),
        ("consumer.maxprocessingtime", Nothing("a record is waited for until its event is durable")),
        ("consumer.maxwaittime", Milliseconds("fetch.wait.max.ms", (0, 300_000))),
        ("consumer.offsets.autocommit.enable", Nothing("what is durable is always committed")),
        ("consumer.offsets.autocommit.interval", Milliseconds("auto.commit.interval.ms", ANY)),
        ("consumer.offsets.initial", Beginning),
        ("consumer.offsets.retry.max", Nothing(SUPERVISED)),
        ("consumer.retry.backoff", Milliseconds("fetch.error.backoff.ms", (0, 300_000))),
        ("metadata.allowautotopiccreation", Switch("allow.auto.create.topics")),
        ("metadata.full", Contrary("topic.metadata.refresh.sparse")),
        ("metadata.refreshfrequency", Milliseconds("topic.metadata.refresh.interval.ms", (1_000, 3_600_000))),
        ("metadata.retry.backoff", Milliseconds("topic.metadata.refresh.fast.interval.ms", (1, 60_000))),
        ("metadata.retry.max", Nothing(SUPERVISED)),
        ("net.dialtimeout", Milliseconds("socket.connection.setup.timeout.ms", (1_000, 300_000))),
        ("net.keepalive", KeepAlive),
        ("net.maxopenrequests", Number("max.in.flight.requests.per.connection", (1, 1_000_000))),
        ("net.readtimeout", Milliseconds("socket.timeout.ms", (10, 300_000))),
        ("net.writetimeout", Nothing("`net.readTimeout` holds for both directions")),
        ("rackid", Text("client.rack")),
    ]
};

impl ClientSettings {
    /// What is wrong with `config`, warnings included.
    pub(crate) fn check(text: &str) -> Result<(), Vec<Finding>> {
        let (_, findings) = Self::read(text);
        if findings.is_empty() { Ok(()) } else { Err(findings) }
    }

    /// The settings, and what was found beside them.
    pub(crate) fn read(text: &str) -> (Self, Vec<Finding>) {
        let mut settings = Self::default();
        if text.trim().is_empty() {
            return (settings, Vec::new());
        }
        let members = match serde_saphyr::from_str::<Value>(text) {
            Ok(Value::Object(members)) => members,
            Ok(Value::Null) => return (settings, Vec::new()),
            Ok(_) => return (settings, vec![wrong("expected keys and values in YAML")]),
            Err(error) => return (settings, vec![wrong(format!("is no YAML: {error}"))]),
        };
        let mut leaves = Vec::new();
        members.iter().for_each(|(key, value)| gather(key, value, &mut leaves));
        let findings = leaves.iter().filter_map(|(key, value)| settings.take(key, value).err()).collect();
        (settings, findings)
    }

    fn take(&mut self, key: &str, value: &Value) -> Result<(), Finding> {
        let lower = key.to_lowercase();
        let Ok(found) = KEYS.binary_search_by_key(&lower.as_str(), |(key, _)| key) else {
            return Err(idle(key, "this client has nothing like it"));
        };
        let Some((_, becomes)) = KEYS.get(found) else { return Ok(()) };
        let failed =
            |expected: String| wrong(format!("`{key}`: expected {expected}, found `{}`", shown(value)));
        match *becomes {
            Becomes::Text(name) => {
                self.set(name, value.as_str().ok_or("a text".to_owned()).map(str::to_owned)).map_err(failed)
            }
            Becomes::Number(name, limits) => self.set(name, number(value, limits)).map_err(failed),
            Becomes::Milliseconds(name, limits) => {
                self.set(name, milliseconds(value, limits)).map_err(failed)
            }
            Becomes::Switch(name) => self.set(name, switch(value)).map_err(failed),
            Becomes::Contrary(name) => self.set(name, switch(value).map(|is_on| !is_on)).map_err(failed),
            Becomes::Largest => match number(value, (0, i64::MAX)).map_err(failed)? {
                0 => Ok(()),
                most => self.set("fetch.max.bytes", Ok(most.clamp(FETCH.0, FETCH.1))).map_err(failed),
            },
            Becomes::KeepAlive => {
                let is_on = nanoseconds(value).map(|pause| pause >= 0);
                self.set("socket.keepalive.enable", is_on).map_err(failed)
            }
            Becomes::Isolation => self.set("isolation.level", isolation(value)).map_err(failed),
            Becomes::Beginning => {
                self.oldest = Some(beginning(value).map_err(failed)?);
                Ok(())
            }
            Becomes::Nothing(why) => Err(idle(key, why)),
        }
    }

    fn set(&mut self, name: &'static str, value: Result<impl ToString, String>) -> Result<(), String> {
        self.properties.insert(name, value?.to_string());
        Ok(())
    }
}

/// The values below a key, with their whole keys.
fn gather<'v>(key: &str, value: &'v Value, leaves: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(member, value)| gather(&format!("{key}.{member}"), value, leaves));
        }
        leaf => leaves.push((key.to_owned(), leaf)),
    }
}

fn number(value: &Value, (least, most): Limits) -> Result<i64, String> {
    let fits = value.as_i64().filter(|number| (least..=most).contains(number));
    fits.ok_or_else(|| format!("a whole number from {least} to {most}"))
}

fn milliseconds(value: &Value, (least, most): Limits) -> Result<i64, String> {
    let found = nanoseconds(value)? / 1_000_000;
    let shown = |number| duration::format(SignedDuration::from_millis(number));
    let fits = (least..=most).contains(&found).then_some(found);
    fits.ok_or_else(|| format!("a duration from {} to {}", shown(least), shown(most)))
}

fn nanoseconds(value: &Value) -> Result<i64, String> {
    let read = match value {
        Value::String(text) => {
            duration::parse(text).ok().and_then(|read| i64::try_from(read.as_nanos()).ok())
        }
        other => other.as_i64(),
    };
    read.ok_or_else(|| "nanoseconds or a duration such as `10s`".to_owned())
}

fn switch(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "`true` or `false`".to_owned())
}

fn isolation(value: &Value) -> Result<&'static str, String> {
    let text = shown(value).to_lowercase();
    match text.as_str() {
        "0" | "readuncommitted" => Ok("read_uncommitted"),
        "1" | "readcommitted" => Ok("read_committed"),
        _ => Err("0 (`ReadUncommitted`) or 1 (`ReadCommitted`)".to_owned()),
    }
}

fn beginning(value: &Value) -> Result<bool, String> {
    match value.as_i64() {
        Some(-1) => Ok(false),
        Some(-2) => Ok(true),
        _ => Err("-1 (newest) or -2 (oldest)".to_owned()),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn wrong(message: impl Into<String>) -> Finding {
    Finding::error("bad-value", "config", message)
}

fn idle(key: &str, why: &str) -> Finding {
    Finding::warning("unused-field", "config", format!("`{key}` has no effect: {why}"))
}
