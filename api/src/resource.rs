//! The objects, as their authors write them (spec/sensors.md 1, spec/event-sources.md 1.2, spec/control-plane.md 2).
//!
//! Every doc comment of a field is its manual: it becomes the JSON Schema's description and the reference page.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::extension::TriggerExtension;
use crate::name::{DependencyName, EventName, Namespace, ObjectName, TriggerName};
use crate::object::{Metadata, ObjectKind, ObjectRef};
use crate::settings::Backoff;

macro_rules! objects {
    ($($name:ident)+) => {$(
        impl $name {
            /// `kind/namespace/name`. The reader of manifests has filled in namespace and name.
            pub fn object_ref(&self) -> ObjectRef {
                ObjectRef {
                    kind: ObjectKind::$name,
                    namespace: self.metadata.namespace.clone().unwrap_or_else(|| Namespace::from("default")),
                    name: self.metadata.name.clone().unwrap_or_else(|| ObjectName::from("")),
                }
            }
        }
    )+};
}
objects! { EventSource EventBus Sensor Secret ConfigMap }

/// Brings events in. Each key under `spec` that names a kind maps event names to configurations of that kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventSource {
    #[serde(default)]
    pub metadata: Metadata,
    pub spec: EventSourceSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventSourceSpec {
    /// EventBus in the same namespace. Default `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<ObjectName>,
    /// Replicas in a cluster; noted and unused on a laptop (S49).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Pod settings in a cluster; noted and unused on a laptop (S49).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Value>,
    /// Service in a cluster; noted and unused on a laptop (S49).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Value>,
    /// Kinds by key; a kind's value maps event names to its configuration. Read with [`EventSourceSpec::events`].
    #[serde(flatten)]
    pub kinds: IndexMap<String, Value>,
}

impl EventSourceSpec {
    /// Kind, event name and configuration of every event, in the author's order. Keys that are no map are left out: the
    /// manifest reader has reported them.
    pub fn events(&self) -> impl Iterator<Item = (&str, EventName, &Value)> {
        self.kinds.iter().filter_map(|(kind, events)| Some((kind.as_str(), events.as_object()?))).flat_map(
            |(kind, events)| {
                events.iter().map(move |(name, config)| (kind, EventName::from(name.as_str()), config))
            },
        )
    }
}

/// Carries events. On a laptop every EventBus but those that name a server is served by the embedded bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventBus {
    #[serde(default)]
    pub metadata: Metadata,
    pub spec: EventBusSpec,
}

/// Exactly one of the members should be set (spec/control-plane.md 2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventBusSpec {
    /// NATS Streaming, which ended in 2023: `native` or `exotic`. Served by JetStream or the embedded bus (S45).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nats: Option<Value>,
    /// JetStream, managed in a cluster; the embedded bus on a laptop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jetstream: Option<Value>,
    /// A Kafka cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Value>,
    /// An existing JetStream server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jetstream_exotic: Option<Value>,
}

/// Waits for events and fires triggers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sensor {
    #[serde(default)]
    pub metadata: Metadata,
    pub spec: SensorSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SensorSpec {
    /// The events it waits for, at least one.
    pub dependencies: Vec<Dependency>,
    /// What it does, at least one.
    pub triggers: Vec<Trigger>,
    /// EventBus in the same namespace. Default `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<ObjectName>,
    /// Pod settings in a cluster; noted and unused on a laptop (S49).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Value>,
    /// Replicas in a cluster; noted and unused on a laptop (S49).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Copied to the Deployment in a cluster; noted and unused on a laptop (S49).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
    /// Accepted; without effect, as in the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_on_failed_round: Option<bool>,
    /// Fields that are added to every log record of this Sensor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub logging_fields: BTreeMap<String, String>,
}

/// One event that a Sensor waits for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Name used in `conditions` and parameters.
    #[serde(default = "no_dependency_name")]
    pub name: DependencyName,
    /// Name of the EventSource, or a glob over names (S46).
    #[serde(default)]
    pub event_source_name: String,
    /// Name of the event in that EventSource, or a glob over names (S46).
    #[serde(default)]
    pub event_name: String,
    /// Checks that the event must pass; all of them unless `filtersLogicalOperator` says `or`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Filters>,
    /// How the kinds of filters combine: `and` (default) or `or`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters_logical_operator: Option<String>,
    /// Reshapes the event before the filters see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<DependencyTransform>,
}

fn no_dependency_name() -> DependencyName {
    DependencyName::from("")
}

impl Default for DependencyName {
    fn default() -> Self {
        no_dependency_name()
    }
}

/// A program that reshapes an event; `jq` wins when both are set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DependencyTransform {
    /// jq program; its first output is the new data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jq: Option<String>,
    /// Lua script; the table it returns is the new data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
}

/// The checks of one dependency (spec/sensors.md 4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Filters {
    /// Passes at certain times of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeFilter>,
    /// Compares the event's own attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextFilter>,
    /// Compares values inside the data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<DataFilter>,
    /// Expressions over values inside the data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exprs: Vec<ExprFilter>,
    /// How the `data` entries combine: `and` (default) or `or`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_logical_operator: Option<String>,
    /// How the `exprs` entries combine: `and` (default) or `or`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expr_logical_operator: Option<String>,
    /// Lua script that returns whether the event passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
}

/// Passes from `start` up to `stop`; over midnight when `stop` is not later (S11).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeFilter {
    /// `HH:MM:SS`, included.
    #[serde(default)]
    pub start: String,
    /// `HH:MM:SS`, not included.
    #[serde(default)]
    pub stop: String,
    /// IANA time zone. Default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// Each member that is set must equal the event's attribute. `id`, `specversion` and `time` are accepted and not looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContextFilter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the EventSource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specversion: Option<String>,
    /// Kind of the event source, as in spec/event-sources.md 1.1.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Media type of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<String>,
    /// Name of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Value>,
}

/// Compares one value inside the data (spec/sensors.md 4.4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataFilter {
    /// gjson path of the value.
    #[serde(default)]
    pub path: String,
    /// RFC 9535 path of the value, instead of `path`. Argo Events does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_path: Option<String>,
    /// `bool`, `number` or `string`. A string value is an unanchored regular expression (S6).
    #[serde(default, rename = "type")]
    pub value_type: String,
    /// The entry passes when any of these does; with `!=`, when none is equal (S5).
    #[serde(default)]
    pub value: Vec<String>,
    /// `=` (default), `!=`, `<`, `<=`, `>`, `>=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparator: Option<String>,
    /// Go template over the value, rendered before it is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// An expression over values inside the data (spec/sensors.md 4.2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExprFilter {
    /// The expression; only `true` passes.
    #[serde(default)]
    pub expr: String,
    /// Where its variables come from.
    #[serde(default)]
    pub fields: Vec<ExprField>,
}

/// One variable of an expression.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExprField {
    /// gjson path of the value.
    #[serde(default)]
    pub path: String,
    /// RFC 9535 path of the value, instead of `path`. Argo Events does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_path: Option<String>,
    /// Name of the variable.
    #[serde(default)]
    pub name: String,
}

/// What a Sensor does when the conditions hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// Name, conditions and action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TriggerTemplate>,
    /// Values copied into the template before anything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// What counts as success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<TriggerPolicy>,
    /// Attempts and pauses. Always in force (S2); without it there is one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_strategy: Option<Backoff>,
    /// Actions are this far apart, exactly (S28).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// At least once unless `false` is written out (S1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least_once: Option<bool>,
    /// Fired with the same events when all attempts have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dlq_trigger: Option<Box<Trigger>>,
    /// What Zetes adds and Argo Events ignores: joins by key, windows, order per key, debounce, batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zetes: Option<TriggerExtension>,
}

/// Name, conditions, and exactly one action under its kind's key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerTemplate {
    /// Unique within the Sensor.
    #[serde(default = "no_trigger_name")]
    pub name: TriggerName,
    /// Dependency names joined by `&&`, `||` and parentheses. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<String>,
    /// When to forget the events that wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions_reset: Vec<ConditionsReset>,
    /// The action under its kind's key. Read with [`TriggerTemplate::action`].
    #[serde(flatten)]
    pub actions: IndexMap<String, Value>,
}

fn no_trigger_name() -> TriggerName {
    TriggerName::from("")
}

impl TriggerTemplate {
    /// Kind and configuration of the action that runs: the first in the order of [`crate::TRIGGER_KINDS`].
    pub fn action(&self) -> Option<(&'static str, &Value)> {
        crate::TRIGGER_KINDS.iter().find_map(|kind| Some((*kind, self.actions.get(*kind)?)))
    }
}

/// Forget waiting events at certain times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConditionsReset {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_time: Option<ResetByTime>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResetByTime {
    /// Five cron fields.
    #[serde(default)]
    pub cron: String,
    /// IANA time zone. Default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// So many actions per unit of time, evenly spaced; the others wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// `Second` (default), `Minute` or `Hour`, in any letter case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// More than 0.
    #[serde(default)]
    pub requests_per_unit: i32,
}

/// What counts as success (spec/sensors.md 8.6).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerPolicy {
    /// For `k8s` and `argoWorkflow`: labels that the object must get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k8s: Option<K8sPolicy>,
    /// For `http` and `awsLambda`: status codes that count as success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusPolicy>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct K8sPolicy {
    /// All of them, with equal values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// How often to look, and how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Whether looking in vain is a failure.
    #[serde(default)]
    pub error_on_backoff_timeout: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusPolicy {
    /// The status must be one of these.
    #[serde(default)]
    pub allow: Vec<i32>,
}

/// Copies a value from an event into a document (spec/sensors.md 9).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Parameter {
    /// Where the value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<ParameterSource>,
    /// sjson path of the place it goes to.
    #[serde(default)]
    pub dest: String,
    /// `overwrite` (default), `append` or `prepend`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

/// Where a parameter's value comes from. Data wins over context; `value` is the fallback (spec/sensors.md 9.2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParameterSource {
    /// The dependency whose event is read.
    #[serde(default = "no_dependency_name")]
    pub dependency_name: DependencyName,
    /// gjson path into the event's context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_key: Option<String>,
    /// Go template over the event's context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_template: Option<String>,
    /// gjson path into the event's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_key: Option<String>,
    /// Go template over the event's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_template: Option<String>,
    /// RFC 9535 path into the event's data, looked at where `dataKey` would be. Argo Events does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_path: Option<String>,
    /// Used when nothing else gives a value. An empty text counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Keep numbers, booleans and objects as they are instead of making them text (S30).
    #[serde(default)]
    pub use_raw_data: bool,
}

/// Values that manifests refer to as `{name, key}`.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    #[serde(default)]
    pub metadata: Metadata,
    /// Values in base64.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    /// Values as plain text; wins over `data`.
    #[serde(default)]
    pub string_data: BTreeMap<String, String>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

/// Values that manifests refer to as `{name, key}`, not secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMap {
    #[serde(default)]
    pub metadata: Metadata,
    /// Values as text.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
}
