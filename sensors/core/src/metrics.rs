//! Metrics of Sensors (spec/control-plane.md 9.1), moved by the runner.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use zetes_api::{Decision, Namespace, ObjectName, TriggerName, Verdict};
use zetes_runtime::{MillisecondsSummary, Registry};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReferenceLabels {
    namespace: String,
    sensor_name: String,
    trigger_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TriggerLabels {
    namespace: String,
    sensor: String,
    trigger: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    namespace: String,
    sensor: String,
    trigger: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    namespace: String,
    sensor: String,
    trigger: String,
    reason: String,
}

type Times = Family<TriggerLabels, Histogram, fn() -> Histogram>;

/// All Sensors' metrics. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    triggered: Family<ReferenceLabels, Counter>,
    failed: Family<ReferenceLabels, Counter>,
    retries_failed: Family<ReferenceLabels, Counter>,
    duration: Family<ReferenceLabels, MillisecondsSummary>,
    fired: Family<TriggerLabels, Counter>,
    filtered: Family<TriggerLabels, Counter>,
    waiting: Family<TriggerLabels, Gauge>,
    overwritten: Family<TriggerLabels, Counter>,
    expired: Family<TriggerLabels, Counter>,
    skipped: Family<TriggerLabels, Counter>,
    dead_lettered: Family<ReasonLabels, Counter>,
    dead_letters: Family<[(&'static str, String); 1], Gauge>,
    attempts: Family<OutcomeLabels, Counter>,
    end_to_end: Times,
    action: Times,
}

fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 9))
}

impl Metrics {
    pub fn register(registry: &Registry) -> Self {
        let metrics = Self {
            triggered: Family::default(),
            failed: Family::default(),
            retries_failed: Family::default(),
            duration: Family::default(),
            fired: Family::default(),
            filtered: Family::default(),
            waiting: Family::default(),
            overwritten: Family::default(),
            expired: Family::default(),
            skipped: Family::default(),
            dead_lettered: Family::default(),
            dead_letters: Family::default(),
            attempts: Family::default(),
            end_to_end: Family::new_with_constructor(times),
            action: Family::new_with_constructor(times),
        };
        registry.register(
            "argo_events_action_triggered",
            "Actions that were carried out",
            metrics.triggered.clone(),
        );
        registry.register("argo_events_action_failed", "Attempts that failed", metrics.failed.clone());
        registry.register(
            "argo_events_action_retries_failed",
            "Rounds whose attempts all failed",
            metrics.retries_failed.clone(),
        );
        registry.register(
            "argo_events_action_duration_milliseconds",
            "Time of an attempt",
            metrics.duration.clone(),
        );
        registry.register("zetes_fired", "Events whose round was fired", metrics.fired.clone());
        registry.register("zetes_filtered", "Events that a filter rejected", metrics.filtered.clone());
        registry.register(
            "zetes_waiting_events",
            "Events that wait for the conditions",
            metrics.waiting.clone(),
        );
        registry.register(
            "zetes_overwritten",
            "Waiting events that a newer one replaced",
            metrics.overwritten.clone(),
        );
        registry.register("zetes_skipped", "Events that were left out", metrics.skipped.clone());
        registry.register("zetes_expired", "Waiting events that were given up", metrics.expired.clone());
        registry.register(
            "zetes_dead_lettered",
            "Events whose round was dead-lettered",
            metrics.dead_lettered.clone(),
        );
        registry.register("zetes_dead_letters", "Dead letters on the bus", metrics.dead_letters.clone());
        registry.register("zetes_attempts", "Attempts by outcome", metrics.attempts.clone());
        registry.register(
            "zetes_end_to_end_seconds",
            "From an event's time to the end of its action",
            metrics.end_to_end.clone(),
        );
        registry.register("zetes_action_seconds", "Time of an attempt", metrics.action.clone());
        metrics
    }

    /// Dead letters on the bus: set at the start by whoever counted them, moved by runners and by whoever discards.
    pub fn dead_letters(&self, bus: &str) -> Gauge {
        self.dead_letters.get_or_create(&[("bus", bus.to_owned())]).clone()
    }

    /// The metrics of one trigger, zero from the start.
    pub(crate) fn of_trigger(
        &self,
        namespace: &Namespace,
        sensor: &ObjectName,
        trigger: &TriggerName,
    ) -> TriggerMetrics {
        let (namespace, sensor, trigger) = (namespace.to_string(), sensor.to_string(), trigger.to_string());
        let reference = ReferenceLabels {
            namespace: namespace.clone(),
            sensor_name: sensor.clone(),
            trigger_name: trigger.clone(),
        };
        let labels =
            TriggerLabels { namespace: namespace.clone(), sensor: sensor.clone(), trigger: trigger.clone() };
        let attempts = |outcome| {
            let (namespace, sensor, trigger) = (namespace.clone(), sensor.clone(), trigger.clone());
            self.attempts.get_or_create_owned(&OutcomeLabels { namespace, sensor, trigger, outcome })
        };
        TriggerMetrics {
            triggered: self.triggered.get_or_create_owned(&reference),
            failed: self.failed.get_or_create_owned(&reference),
            retries_failed: self.retries_failed.get_or_create_owned(&reference),
            duration: self.duration.get_or_create_owned(&reference),
            fired: self.fired.get_or_create_owned(&labels),
            filtered: self.filtered.get_or_create_owned(&labels),
            waiting: self.waiting.get_or_create_owned(&labels),
            overwritten: self.overwritten.get_or_create_owned(&labels),
            expired: self.expired.get_or_create_owned(&labels),
            skipped: self.skipped.get_or_create_owned(&labels),
            end_to_end: self.end_to_end.get_or_create_owned(&labels),
            action: self.action.get_or_create_owned(&labels),
            attempts_done: attempts("done"),
            attempts_failed: attempts("failed"),
            dead_lettered: self.dead_lettered.clone(),
            labels,
        }
    }
}

/// The metrics of one trigger.
pub(crate) struct TriggerMetrics {
    triggered: Counter,
    failed: Counter,
    retries_failed: Counter,
    duration: MillisecondsSummary,
    fired: Counter,
    filtered: Counter,
    pub(crate) waiting: Gauge,
    overwritten: Counter,
    expired: Counter,
    skipped: Counter,
    pub(crate) end_to_end: Histogram,
    action: Histogram,
    attempts_done: Counter,
    attempts_failed: Counter,
    dead_lettered: Family<ReasonLabels, Counter>,
    labels: TriggerLabels,
}

impl TriggerMetrics {
    pub(crate) fn attempt(&self, done: bool, took: Duration) {
        self.duration.observe(took);
        self.action.observe(took.as_secs_f64());
        if done {
            self.triggered.inc();
            self.attempts_done.inc();
        } else {
            self.failed.inc();
            self.attempts_failed.inc();
        }
    }

    /// Counts a decision once it is durable.
    pub(crate) fn decided(&self, decision: &Decision) {
        let events = u64::try_from(decision.events.len()).unwrap_or(u64::MAX);
        match &decision.verdict {
            Verdict::Rejected { .. } => drop(self.filtered.inc()),
            Verdict::Overwritten { .. } => drop(self.overwritten.inc()),
            Verdict::Expired { .. } => drop(self.expired.inc()),
            Verdict::Fired { .. } => drop(self.fired.inc_by(events)),
            Verdict::DeadLettered { reason, .. } => {
                self.retries_failed.inc();
                let TriggerLabels { namespace, sensor, trigger } = self.labels.clone();
                let labels = ReasonLabels { namespace, sensor, trigger, reason: reason.clone() };
                self.dead_lettered.get_or_create(&labels).inc_by(events);
            }
            Verdict::Skipped { .. } => drop(self.skipped.inc_by(events)),
            Verdict::Waiting { .. }
            | Verdict::RateLimited { .. }
            | Verdict::Gathered { .. }
            | Verdict::Queued { .. }
            | Verdict::Redriven
            | Verdict::Attempted { .. }
            | Verdict::Abandoned { .. } => {}
        }
    }
}
