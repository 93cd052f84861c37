//! Metrics of event sources (spec/control-plane.md 9.1), moved by the context, the front and the supervisor.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use zetes_api::{EventName, Namespace, ObjectName};
use zetes_runtime::{MillisecondsSummary, Registry};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    namespace: String,
    eventsource_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReferenceLabels {
    namespace: String,
    eventsource_name: String,
    event_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    namespace: String,
    eventsource: String,
    event: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectionLabels {
    namespace: String,
    eventsource: String,
    event: String,
    reason: String,
}

/// All event sources' metrics. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    running: Family<SourceLabels, Gauge>,
    sent: Family<ReferenceLabels, Counter>,
    sent_failed: Family<ReferenceLabels, Counter>,
    processing_failed: Family<ReferenceLabels, Counter>,
    processing: Family<ReferenceLabels, MillisecondsSummary>,
    received: Family<EventLabels, Counter>,
    rejected: Family<RejectionLabels, Counter>,
    restarts: Family<EventLabels, Counter>,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "argo_events_event_service_running_total",
            "Event sources that run",
            metrics.running.clone(),
        );
        registry.register("argo_events_events_sent", "Events that the bus took", metrics.sent.clone());
        registry.register(
            "argo_events_events_sent_failed",
            "Events that the bus did not take",
            metrics.sent_failed.clone(),
        );
        registry.register(
            "argo_events_events_processing_failed",
            "Messages that became no event",
            metrics.processing_failed.clone(),
        );
        registry.register(
            "argo_events_event_processing_duration_milliseconds",
            "From message to durable event",
            metrics.processing.clone(),
        );
        registry.register(
            "zetes_events_received",
            "Events that are durable on the bus",
            metrics.received.clone(),
        );
        registry.register(
            "zetes_events_rejected",
            "Messages turned away at the source",
            metrics.rejected.clone(),
        );
        registry.register("zetes_task_restarts", "Restarts of event sources", metrics.restarts.clone());
        metrics
    }

    /// The metrics of one event, zero from the start.
    pub(crate) fn of_event(
        &self,
        namespace: &Namespace,
        source: &ObjectName,
        event: &EventName,
    ) -> EventMetrics {
        let (namespace, source, event) = (namespace.to_string(), source.to_string(), event.to_string());
        let reference = ReferenceLabels {
            namespace: namespace.clone(),
            eventsource_name: source.clone(),
            event_name: event.clone(),
        };
        let labels = EventLabels { namespace: namespace.clone(), eventsource: source.clone(), event };
        EventMetrics {
            running: self.running.get_or_create_owned(&SourceLabels { namespace, eventsource_name: source }),
            sent: self.sent.get_or_create_owned(&reference),
            sent_failed: self.sent_failed.get_or_create_owned(&reference),
            processing_failed: self.processing_failed.get_or_create_owned(&reference),
            processing: self.processing.get_or_create_owned(&reference),
            received: self.received.get_or_create_owned(&labels),
            restarts: self.restarts.get_or_create_owned(&labels),
            rejected: self.rejected.clone(),
            labels,
        }
    }
}

/// The metrics of one event of one EventSource.
pub(crate) struct EventMetrics {
    pub(crate) running: Gauge,
    sent: Counter,
    sent_failed: Counter,
    processing_failed: Counter,
    processing: MillisecondsSummary,
    received: Counter,
    pub(crate) restarts: Counter,
    rejected: Family<RejectionLabels, Counter>,
    labels: EventLabels,
}

impl EventMetrics {
    pub(crate) fn published(&self, count: usize, taken: bool, took: Duration) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.processing.observe(took);
        if taken {
            self.sent.inc_by(count);
            self.received.inc_by(count);
        } else {
            self.sent_failed.inc_by(count);
        }
    }

    pub(crate) fn rejected(&self, reason: &'static str) {
        self.processing_failed.inc();
        let EventLabels { namespace, eventsource, event } = self.labels.clone();
        let labels = RejectionLabels { namespace, eventsource, event, reason: reason.to_owned() };
        self.rejected.get_or_create(&labels).inc();
    }
}
