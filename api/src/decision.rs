//! The record that each (event, sensor, trigger) leaves. `explain`, metrics and dead letters are views of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{DependencyName, EventId, EventName, IdempotencyKey, Namespace, ObjectName, TriggerName};

/// Which event is meant; with the namespace it is unique (S22).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventRef {
    /// The EventSource's name: the event's `source`.
    pub source: ObjectName,
    /// The event's `subject`.
    pub event: EventName,
    pub id: EventId,
}

/// What one trigger of one Sensor made of one event, or of the events of one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    pub at: Timestamp,
    pub namespace: Namespace,
    pub sensor: ObjectName,
    pub trigger: TriggerName,
    /// One event for a filter's verdict, all events of the round for an attempt and its end.
    pub events: Vec<EventRef>,
    /// The dependency that the event matched; absent for verdicts on a round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<DependencyName>,
    /// The round's key, from the moment there is a round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<IdempotencyKey>,
    pub verdict: Verdict,
}

/// How it went, so far or in the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Verdict {
    /// A filter of the dependency said no. End for this dependency.
    Rejected {
        /// Which check, as a field path under the dependency: `filters.data[0]`.
        filter: String,
        /// What it looked at: `body.ref`.
        looked_at: String,
        /// The value seen, cut to 256 characters; absent when there was none.
        seen: Option<String>,
        /// What would have passed, in words: `= "refs/heads/main"`.
        wanted: String,
        /// Stable kebab-case reason: `not-equal`, `path-missing`, `bad-value`.
        reason: String,
    },
    /// Accepted and held until the conditions hold.
    Waiting {
        /// Dependencies that would complete the conditions, one alternative of them.
        missing: Vec<DependencyName>,
    },
    /// A newer event of the same dependency took its place while it waited (S16). End.
    Overwritten { by: EventId },
    /// Held, and given up: by `conditionsReset`, or because an edit removed its dependency. End.
    Expired { reason: String },
    /// The round is complete but its turn comes later, because of `rateLimit`.
    RateLimited { until: Timestamp },
    /// An attempt failed and another one follows.
    Attempted { attempt: u32, error: String, next: Timestamp },
    /// The action was carried out. End.
    Fired { attempts: u32, outcome: String },
    /// Given up and kept whole. End.
    DeadLettered { attempts: u32, reason: String, error: String },
}

impl Verdict {
    /// Whether nothing more will be decided on these events for this trigger.
    pub fn is_end(&self) -> bool {
        !matches!(self, Self::Waiting { .. } | Self::RateLimited { .. } | Self::Attempted { .. })
    }
}
