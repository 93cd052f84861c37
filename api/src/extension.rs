//! What a trigger can say beyond the reference, under the key `zetes`, which Argo Events ignores (docs/joins.md,
//! docs/flow-control.md).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::DependencyName;
use crate::resource::Trigger;
use crate::settings::BackoffDuration;

/// Joins by key, and how rounds of one trigger follow each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerExtension {
    /// Join by key: only events whose values are equal are of one round. One entry for each dependency of the conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub correlate: Vec<KeySource>,
    /// How long a set of events may wait for the others, from its first event: a Go duration such as `15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<BackoffDuration>,
    /// What becomes of a set whose window has passed. Default: dropped, with a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_expire: Option<Expiry>,
    /// Which events of one dependency wait: the `newest` (default), the `oldest`, or `all`, one round each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// Which rounds belong together for `maxInFlight`, `debounce` and `batch`: those with equal values. Default: all rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySource>,
    /// Rounds of one key that may be on their way at a time, in order. Default: no limit; 1 where `whenBusy` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// What becomes of a round whose key is busy. Default `queue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_busy: Option<WhenBusy>,
    /// Fires the newest round once it has been quiet for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Debounce>,
    /// Fires once for many rounds, with the list of their payloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// A value inside the data of a dependency's event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeySource {
    /// The dependency whose event is read.
    #[serde(default)]
    pub dependency_name: DependencyName,
    /// gjson path of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// RFC 9535 path of the value, instead of `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_path: Option<String>,
}

/// What becomes of a set of events whose window has passed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expiry {
    /// `drop` (default), `deadLetter`, or `fire`.
    #[serde(default)]
    pub action: ExpiryAction,
    /// What `fire` carries out, with the events that are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Box<Trigger>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ExpiryAction {
    #[default]
    Drop,
    DeadLetter,
    Fire,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Keep {
    /// A newer event takes the place of one that waits (S16).
    #[default]
    Newest,
    /// The first event waits, newer ones are left out.
    Oldest,
    /// Every event waits and has its own round, oldest first.
    All,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WhenBusy {
    /// It waits for its turn, in order.
    #[default]
    Queue,
    /// It is left out, with a record.
    Skip,
    /// It takes the place of the one that waits for its turn.
    Replace,
}

/// Fires the newest round once nothing new has come for `wait`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Debounce {
    /// A Go duration such as `30s`.
    pub wait: BackoffDuration,
    /// Fires after so long even if it never is quiet. Default: ten times `wait`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<BackoffDuration>,
}

/// Fires once for up to `size` rounds, or for those that came within `wait` of the first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Batch {
    /// 1 to 10,000.
    pub size: u32,
    /// A Go duration such as `5s`.
    pub wait: BackoffDuration,
}
