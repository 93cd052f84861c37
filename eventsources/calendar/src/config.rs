//! What an author writes under `calendar`.

use std::collections::BTreeMap;

use eventsource_core::SourceFilter;
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::Finding;
use zetes_gotime::duration;
use zetes_schedule::{Descriptors, Exclusions, Schedule, zone};

/// When it ticks. `schedule` wins over `interval`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Five cron fields, or `@daily`, `@every 5m` and their like. A `TZ=Zone ` prefix beats `timezone`.
    #[serde(default)]
    pub schedule: Option<String>,
    /// Go duration such as `10s`; at least one second. The first tick comes one interval after the start.
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
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = SourceFilter::findings(self.filter.as_ref());
        let bad = |path: &str, message: String| Finding::error("bad-value", path, message);
        match (self.schedule.as_deref().filter(|text| !text.is_empty()), &self.interval) {
            (None, None) => findings.push(Finding::error(
                "missing-field",
                "schedule",
                "expected `schedule` or `interval`",
            )),
            (Some(text), _) => findings.extend(schedule_finding(text)),
            (None, Some(text)) => {
                if !duration::parse(text).is_ok_and(|interval| interval.is_positive()) {
                    findings.push(bad(
                        "interval",
                        format!("expected a duration such as `10s` or `1h30m`, found `{text}`"),
                    ));
                }
            }
        }
        if let Err(error) = zone(self.timezone.as_deref().unwrap_or_default()) {
            findings.push(bad("timezone", error.to_string()));
        }
        if let Err(error) = Exclusions::parse(&self.exclusion_dates) {
            findings.push(bad("exclusionDates", error.to_string()));
        }
        if let Some(text) = self.longest_catch_up().filter(|text| duration::parse(text).is_err()) {
            findings.push(bad(
                "persistence.catchup.maxDuration",
                format!("expected a duration such as `24h`, found `{text}`"),
            ));
        }
        findings
    }

    pub(crate) fn catches_up(&self) -> bool {
        self.persistence
            .as_ref()
            .and_then(|persistence| persistence.catchup.as_ref())
            .is_some_and(|catch_up| catch_up.enabled)
    }

    pub(crate) fn longest_catch_up(&self) -> Option<&str> {
        self.persistence.as_ref()?.catchup.as_ref()?.max_duration.as_deref().filter(|text| !text.is_empty())
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
