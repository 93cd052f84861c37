//! What EventBus objects ask of the embedded bus (spec/control-plane.md 2.3, S42, S43).

use std::time::Duration;

use bus_core::Retention;
use serde_json::Value;
use zetes_api::manifest::{Located, Object};
use zetes_api::{EventBus, FieldPath, Finding};

/// The retention of the first EventBus named `default`, or of the first at all; without one the defaults. One directory has one
/// retention: it is read at the start.
pub(crate) fn of(objects: &[Located]) -> Retention {
    let buses = objects.iter().filter_map(|located| match &located.object {
        Object::EventBus(bus) => Some(bus),
        _ => None,
    });
    let buses: Vec<&EventBus> = buses.collect();
    let is_default = |bus: &&&EventBus| bus.object_ref().name.as_str() == "default";
    let bus = buses.iter().find(is_default).or_else(|| buses.first());
    bus.and_then(|bus| stream_config(bus)).map_or_else(Retention::default, |config| retention(&config))
}

/// What this build does not do for an EventBus, and settings that can't be read.
pub(crate) fn findings(bus: &EventBus) -> Vec<Finding> {
    let spec = FieldPath::from("spec");
    let servers =
        [("kafka", bus.spec.kafka.is_some()), ("jetstreamExotic", bus.spec.jetstream_exotic.is_some())];
    let mut findings: Vec<Finding> = servers
        .into_iter()
        .filter(|(_, named)| *named)
        .map(|(key, _)| {
            let message =
                format!("`{key}` servers are not in this build yet, the embedded bus keeps the events");
            Finding::warning("not-in-this-build", spec.key(key), message)
        })
        .collect();
    if bus.spec.nats.is_some() {
        let message = "NATS Streaming has ended; the embedded bus keeps the events";
        findings.push(Finding::warning("replaced-bus", spec.key("nats"), message));
    }
    let text = bus
        .spec
        .jetstream
        .as_ref()
        .and_then(|jetstream| jetstream.get("streamConfig"))
        .and_then(Value::as_str);
    if text.is_some() && stream_config(bus).is_none() {
        let path = spec.key("jetstream").key("streamConfig");
        findings.push(Finding::error("bad-value", path, "expected YAML with keys such as `maxAge: 72h`"));
    }
    findings
}

fn stream_config(bus: &EventBus) -> Option<Value> {
    let text = bus.spec.jetstream.as_ref()?.get("streamConfig")?.as_str()?;
    serde_saphyr::from_str::<Value>(text).ok().filter(Value::is_object)
}

/// Keys are matched in any letter case; what is not written keeps its default.
fn retention(config: &Value) -> Retention {
    let get = |name: &str| {
        let members = config.as_object().into_iter().flatten();
        members.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    };
    let limit = |name: &str| get(name).and_then(Value::as_u64).filter(|number| *number > 0);
    let time = |name: &str| {
        let duration =
            get(name).and_then(Value::as_str).and_then(|text| zetes_gotime::duration::parse(text).ok());
        duration.and_then(|duration| Duration::try_from(duration).ok())
    };
    let default = Retention::default();
    Retention {
        max_age: time("maxAge").or(default.max_age),
        max_bytes: limit("maxBytes").or(default.max_bytes),
        max_events: limit("maxMsgs"),
        // Only what the object itself says counts as written out.
        discard_old: get("discard").is_some_and(|discard| discard == 0),
        duplicate_window: time("duplicates").unwrap_or(default.duplicate_window),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bus(config: &str) -> EventBus {
        serde_json::from_value(
            serde_json::json!({"spec": {"jetstream": {"version": "latest", "streamConfig": config}}}),
        )
        .unwrap()
    }

    #[test]
    fn settings_of_the_object_are_honoured_and_discard_only_when_written() {
        let written =
            retention(&stream_config(&bus("maxAge: 2h\nMAXMSGS: 10\ndiscard: 0\nduplicates: 60s")).unwrap());
        assert_eq!(written.max_age, Some(Duration::from_hours(2)));
        assert_eq!(
            (written.max_events, written.discard_old, written.duplicate_window),
            (Some(10), true, Duration::from_mins(1))
        );
        assert!(!retention(&serde_json::json!({"maxAge": "2h"})).discard_old);
    }

    #[test]
    fn settings_that_can_not_be_read_are_told() {
        assert_eq!(findings(&bus("- a list"))[0].code, "bad-value");
    }
}
