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
    #[serde(flatten)]
    pub decider: Decider,
    /// One event for a filter's verdict, all events of the round for an attempt and its end.
    pub events: Vec<EventRef>,
    /// The dependency that the event matched; absent for verdicts on a round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<DependencyName>,
    /// The round's key, from the moment there is a round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<IdempotencyKey>,
    /// Which of the trigger's actions a round is about.
    #[serde(default, skip_serializing_if = "Role::is_main")]
    pub role: Role,
    pub verdict: Verdict,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Decider {
    /// One trigger of a Sensor.
    Trigger { sensor: ObjectName, trigger: TriggerName },
    /// The EventSource's own filter: the event never reached the bus (S13).
    EventSource { event_source: ObjectName, event_name: EventName },
}

/// Which of a trigger's actions is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// The trigger's own action.
    #[default]
    Main,
    /// The action of `dlqTrigger`, after the trigger's own has failed.
    DlqTrigger,
    /// The action of `zetes.onExpire`, for a set of events that did not become complete in time.
    OnExpire,
}

impl Role {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn is_main(&self) -> bool {
        *self == Self::Main
    }
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
    /// The round is complete and is held by `debounce` or `batch`.
    Gathered { until: Timestamp },
    /// The round is complete and waits behind others of its key (`maxInFlight`).
    Queued { key: String },
    /// Left out: an older event of the dependency is kept, or its key was busy. End.
    Skipped { reason: String },
    /// Taken back from the dead letters to be fired again.
    Redriven,
    /// An attempt failed and another one follows.
    Attempted { attempt: u32, error: String, next: Timestamp },
    /// The action was carried out. End.
    Fired {
        attempts: u32,
        outcome: String,
        /// Parameters that took their fallback, and why (S29).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fallbacks: Vec<String>,
    },
    /// Given up and kept whole. End.
    DeadLettered { attempts: u32, reason: String, error: String },
    /// The action of `dlqTrigger` or `onExpire` failed, too. End of that action; what it was about has been recorded.
    Abandoned { attempts: u32, error: String },
}

impl Verdict {
    /// Whether nothing more will be decided on these events for this trigger.
    pub fn is_end(&self) -> bool {
        !matches!(
            self,
            Self::Waiting { .. }
                | Self::RateLimited { .. }
                | Self::Gathered { .. }
                | Self::Queued { .. }
                | Self::Redriven
                | Self::Attempted { .. }
        )
    }
}
