//! How a bus is, for people.

use bus_core::{Bus, Health, HealthFailure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zetes_runtime::Clock;

/// A bus and what it says of itself. Figures are absent where it can't be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BusInfo {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) health: Health,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    /// Events evicted before a consumer had read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) evicted_unread: Option<u64>,
    pub(crate) consumers: Vec<ConsumerInfo>,
}

/// How far a consumer is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConsumerInfo {
    /// `namespace/sensor/trigger`.
    pub(crate) name: String,
    pub(crate) lag: u64,
    pub(crate) in_flight: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_unread: Option<Timestamp>,
}

impl BusInfo {
    pub(crate) async fn of(name: String, bus: &dyn Bus) -> Self {
        let mut info = Self {
            name,
            health: bus.health(),
            events: None,
            bytes: None,
            evicted_unread: None,
            consumers: Vec::new(),
        };
        match bus.stats().await {
            Ok(stats) => {
                info.events = Some(stats.events);
                info.bytes = Some(stats.bytes);
                info.evicted_unread = Some(stats.evicted_unread);
                let consumers = stats.consumers.into_iter().map(|consumer| ConsumerInfo {
                    name: consumer.name.to_string(),
                    lag: consumer.lag,
                    in_flight: consumer.in_flight,
                    oldest_unread: consumer.oldest_unread,
                });
                info.consumers = consumers.collect();
            }
            Err(error) => {
                let failure = || HealthFailure { error: error.to_string(), since: Clock::system().now() };
                info.health.failure.get_or_insert_with(failure);
            }
        }
        info
    }
}
