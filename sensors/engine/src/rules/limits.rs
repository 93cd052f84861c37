//! What slows a trigger down or makes it forget: `rateLimit` and `conditionsReset`.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use zetes_api::{ConditionsReset, FieldPath, Finding, RateLimit};
use zetes_schedule::{Descriptors, Schedule};

/// The time between two attempts, rounded up to whole nanoseconds (S28).
pub(super) fn spacing(
    limit: Option<&RateLimit>,
    trigger: &FieldPath,
    findings: &mut Vec<Finding>,
) -> Option<SignedDuration> {
    let limit = limit?;
    let at = trigger.key("rateLimit");
    let unit = limit.unit.as_deref().unwrap_or_default();
    let seconds: i64 = match unit.to_ascii_lowercase().as_str() {
        "" | "second" => 1,
        "minute" => 60,
        "hour" => 3600,
        _ => {
            let message = format!("expected `Second`, `Minute` or `Hour`, found `{unit}`");
            findings.push(Finding::error("bad-value", at.key("unit"), message));
            return None;
        }
    };
    if limit.requests_per_unit <= 0 {
        let message = format!("expected a number from 1, found {}", limit.requests_per_unit);
        findings.push(Finding::error("bad-value", at.key("requestsPerUnit"), message));
        return None;
    }
    let requests = i64::from(limit.requests_per_unit);
    let nanoseconds = seconds * 1_000_000_000;
    Some(SignedDuration::from_nanos((nanoseconds + requests - 1) / requests))
}

/// The times at which waiting events are forgotten (spec/sensors.md 6.3); any of them counts.
#[derive(Clone, Debug)]
pub(super) struct Resets(Vec<(Schedule, TimeZone)>);

impl Resets {
    pub(super) fn compile(
        resets: &[ConditionsReset],
        trigger: &FieldPath,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let outer = trigger.key("template").key("conditionsReset");
        let compiled =
            resets.iter().enumerate().filter_map(|(index, reset)| one(reset, &outer.index(index), findings));
        Self(compiled.collect())
    }

    pub(super) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.0.iter().filter_map(|(schedule, zone)| schedule.next_after(after, zone)).min()
    }

    /// At or before the time.
    pub(super) fn last_until(&self, now: Timestamp) -> Option<Timestamp> {
        // `last_before` leaves out the whole second in which its argument lies
        let after = now.checked_add(SignedDuration::from_secs(1)).unwrap_or(now);
        self.0.iter().filter_map(|(schedule, zone)| schedule.last_before(after, zone)).max()
    }
}

fn one(reset: &ConditionsReset, at: &FieldPath, findings: &mut Vec<Finding>) -> Option<(Schedule, TimeZone)> {
    let at = at.key("byTime");
    let Some(by_time) = &reset.by_time else {
        findings.push(Finding::error("missing-field", at, "expected a cron schedule under `byTime`"));
        return None;
    };
    let schedule = Schedule::parse(&by_time.cron, Descriptors::Refused).map_err(|error| {
        let finding = Finding::error("bad-value", at.key("cron"), error.to_string());
        findings.push(match error.span() {
            Some(span) => finding.span(span),
            None => finding,
        });
    });
    let name = by_time.timezone.as_deref().filter(|name| !name.is_empty()).unwrap_or("UTC");
    let zone = zetes_schedule::zone(name)
        .map_err(|error| findings.push(Finding::error("bad-value", at.key("timezone"), error.to_string())));
    Some((schedule.ok()?, zone.ok()?))
}
