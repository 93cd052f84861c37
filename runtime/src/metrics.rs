//! One registry for a process; each crate registers its own names in its `metrics.rs`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Metric;

/// The process's metrics. Clones share one registry.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Mutex<prometheus_client::registry::Registry>>);

impl Registry {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a metric. Counters are named without `_total`: the exposition adds it.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).register(name, help, metric);
    }

    /// The exposition in OpenMetrics text.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(
            &mut text,
            &self.0.lock().unwrap_or_else(PoisonError::into_inner),
        )?;
        Ok(text)
    }
}

/// The reference's `*_milliseconds` summaries: a sum and a count, no quantiles (spec/control-plane.md 9.1).
#[derive(Clone, Debug, Default)]
pub struct MillisecondsSummary(Arc<SumAndCount>);

#[derive(Debug, Default)]
struct SumAndCount {
    milliseconds: AtomicU64,
    count: AtomicU64,
}

impl MillisecondsSummary {
    pub fn observe(&self, took: std::time::Duration) {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.0.milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }
}

impl TypedMetric for MillisecondsSummary {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for MillisecondsSummary {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        #[expect(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285,000 years")]
        let sum = self.0.milliseconds.load(Ordering::Relaxed) as f64;
        encoder.encode_histogram::<NoLabelSet>(sum, self.0.count.load(Ordering::Relaxed), &[], None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
