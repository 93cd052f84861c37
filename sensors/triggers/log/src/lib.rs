//! `log`: writes the events of a round to the log (spec/sensors.md 11.10).

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use sensor_core::{Context, Error, Outcome, Planning, Trigger};
use serde::{Deserialize, Serialize};
use tracing::info;
use zetes_api::{Event, IdempotencyKey, Invalid};
use zetes_runtime::Clock;

/// What an author writes under `log`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// At most one round is written in so many seconds; 0 writes all. The others count as fired, too.
    #[serde(default)]
    pub interval_seconds: u64,
}

/// The kind `log`.
pub struct Log {
    interval: SignedDuration,
    clock: Clock,
    trigger: String,
    written_at: Mutex<Option<Timestamp>>,
}

/// What will be written.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Lines(pub Vec<Line>);

/// One event of the round.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub dependency_name: String,
    /// The event's attributes as JSON.
    pub event_context: String,
    /// Its data as text; other media types than JSON and text in base64.
    pub message: String,
}

impl Trigger for Log {
    const KIND: &'static str = "log";
    type Config = Config;
    type Action = Lines;

    fn validate(_config: &Config) -> Result<(), Invalid> {
        Ok(())
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let interval = SignedDuration::from_secs(i64::try_from(config.interval_seconds).unwrap_or(i64::MAX));
        Ok(Self {
            interval,
            clock: cx.clock.clone(),
            trigger: cx.trigger.to_string(),
            written_at: Mutex::new(None),
        })
    }

    fn plan(&self, round: &Planning<'_>) -> Result<Lines, Error> {
        let line = |(name, event): (&zetes_api::DependencyName, &std::sync::Arc<Event>)| Line {
            dependency_name: name.to_string(),
            event_context: event.context_json(),
            message: message(event),
        };
        Ok(Lines(round.events.iter().map(line).collect()))
    }

    async fn fire(&self, action: &Lines, _key: &IdempotencyKey) -> Result<Outcome, Error> {
        if !self.is_due() {
            return Ok(Outcome::done("left out of the log, intervalSeconds have not passed"));
        }
        for line in &action.0 {
            info!(
                triggerName = %self.trigger, triggerType = "Log", dependencyName = line.dependency_name,
                eventContext = line.event_context, "{}", line.message
            );
        }
        Ok(Outcome::done("written to the log"))
    }
}

impl Log {
    fn is_due(&self) -> bool {
        let now = self.clock.now();
        let mut written_at = self.written_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = written_at.is_none_or(|at| now.duration_since(at) >= self.interval);
        if due {
            *written_at = Some(now);
        }
        due
    }
}

fn message(event: &Event) -> String {
    let media_type = event.datacontenttype.as_deref().unwrap_or_default();
    match event.data_text().filter(|_| matches!(media_type, "application/json" | "text/plain")) {
        Some(text) => text.to_owned(),
        None => base64::engine::general_purpose::STANDARD.encode(event.data.as_deref().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use sensor_core::Round;

    use super::*;

    fn log(interval: i64, clock: &Clock) -> Log {
        let interval = SignedDuration::from_secs(interval);
        Log { interval, clock: clock.clone(), trigger: "t".to_owned(), written_at: Mutex::new(None) }
    }

    fn round(datacontenttype: &str) -> Round {
        let event = Event {
            id: "e1".into(),
            source: "hooks".into(),
            subject: "push".into(),
            event_type: "webhook".to_owned(),
            time: None,
            datacontenttype: Some(datacontenttype.to_owned()),
            extensions: BTreeMap::new(),
            data: Some(r#"{"n":1}"#.into()),
            document: zetes_api::Document::default(),
        };
        Round {
            key: "k".into(),
            namespace: "ci".into(),
            sensor: "s".into(),
            trigger: "t".into(),
            role: zetes_api::Role::Main,
            batch: Vec::new(),
            flow_key: "".into(),
            events: BTreeMap::from([("push".into(), Arc::new(event))]),
            complete_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn json_is_written_as_it_is_and_other_data_in_base64() {
        let log = log(0, &Clock::system());
        assert_eq!(log.plan(&Planning::of(&round("application/json"))).unwrap().0[0].message, r#"{"n":1}"#);
        assert_eq!(log.plan(&Planning::of(&round("application/xml"))).unwrap().0[0].message, "eyJuIjoxfQ==");
    }

    #[test]
    fn an_interval_lets_one_round_through() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let log = log(10, &clock);
        assert!(log.is_due());
        assert!(!log.is_due());
        clock.advance(std::time::Duration::from_secs(10));
        assert!(log.is_due());
    }
}
