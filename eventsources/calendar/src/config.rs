//! What an author writes under `calendar`.

use std::collections::BTreeMap;

use eventsource_core::{Check, SourceFilter};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Finding, Invalid};
use zetes_gotime::duration;
use zetes_schedule::{Descriptors, Exclusions, Schedule, zone};

/// When it ticks. `schedule` wins over `interval`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Five cron fields, or `@daily`, `@every 5m` and their like. A `TZ=Zone ` prefix beats `timezone`.
    #[serde(default)]
    pub schedule: Option<String>,
    /// Go duration such as `10s`; less than one second counts as one. The first tick comes one interval after the start.
    #[serde(default)]
    pub interval: Option<String>,
    /// IANA time zone. Default UTC.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Days without ticks: `EXDATE:20261225T000000Z,…`.
    #[serde(default)]
    pub exclusion_dates: Vec<String>,
    /// What is remembered between runs.
    #[serde(default)]
    pub persistence: Option<Persistence>,
    /// Values that are added to each event's data.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    #[serde(default)]
    pub filter: Option<SourceFilter>,
}

/// What is remembered between runs. The last tick always is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Persistence {
    /// Whether ticks that were missed are emitted at the start.
    #[serde(default)]
    pub catchup: Option<CatchUp>,
    /// Where the reference remembers; Zetes keeps it on its bus.
    #[serde(default)]
    pub config_map: Option<PersistedIn>,
}

/// Ticks that passed while nothing ran.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatchUp {
    /// Emit them, oldest first.
    #[serde(default)]
    pub enabled: bool,
    /// Go duration: those older than this are left out.
    #[serde(default)]
    pub max_duration: Option<String>,
}

/// A ConfigMap.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersistedIn {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether it is made when it isn't there.
    #[serde(default)]
    pub create_if_not_exist: Option<bool>,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.filter(self.filter.as_ref());
        match (self.schedule(), self.interval()) {
            (None, None) => check.missing("schedule", "`schedule` or `interval`"),
            (Some(text), _) => check.extend(schedule_finding(text)),
            (None, Some(text)) => check.extend(interval_finding(text)),
        }
        if let Err(error) = zone(self.timezone.as_deref().unwrap_or_default()) {
            check.bad("timezone", error.to_string());
        }
        if let Err(error) = Exclusions::parse(&self.exclusion_dates) {
            check.bad("exclusionDates", error.to_string());
        }
        check.duration("persistence.catchup.maxDuration", self.longest_catch_up().unwrap_or_default());
        check.end()
    }

    /// It wins over `interval`.
    pub(crate) fn schedule(&self) -> Option<&str> {
        self.schedule.as_deref().filter(|text| !text.is_empty())
    }

    pub(crate) fn interval(&self) -> Option<&str> {
        self.interval.as_deref().filter(|text| !text.is_empty())
    }

    pub(crate) fn catches_up(&self) -> bool {
        self.persistence
            .as_ref()
            .and_then(|persistence| persistence.catchup.as_ref())
            .is_some_and(|catch_up| catch_up.enabled)
    }

    /// Nobody looks at it where nothing is caught up with.
    pub(crate) fn longest_catch_up(&self) -> Option<&str> {
        let catch_up = self.persistence.as_ref()?.catchup.as_ref().filter(|catch_up| catch_up.enabled)?;
        catch_up.max_duration.as_deref().filter(|text| !text.is_empty())
    }
}

fn interval_finding(text: &str) -> Option<Finding> {
    match duration::parse(text) {
        Err(_) => {
            let message = format!("expected a duration such as `10s` or `1h30m`, found `{text}`");
            Some(Finding::error("bad-value", "interval", message))
        }
        Ok(interval) if interval < SignedDuration::from_secs(1) => {
            let message = format!("`{text}` is less than a second, it ticks each second");
            Some(Finding::warning("least-interval", "interval", message))
        }
        Ok(_) => None,
    }
}

fn schedule_finding(text: &str) -> Option<Finding> {
    let error = Schedule::parse(text, Descriptors::Accepted).err()?;
    let finding = Finding::error("bad-value", "schedule", error.to_string());
    Some(match error.span() {
        Some(span) => finding.span(span),
        None => finding,
    })
}
