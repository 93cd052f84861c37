//! Pod settings: noted and unused on a laptop (S49), but of the reference's types (spec/control-plane.md 5, S50).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::typed;
use crate::diagnostic::{FieldPath, Finding};

/// `spec.template` of an EventSource or a Sensor.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Template {
    metadata: Option<Labels>,
    service_account_name: String,
    container: Option<Container>,
    volumes: Vec<Map<String, Value>>,
    security_context: Option<Map<String, Value>>,
    node_selector: BTreeMap<String, String>,
    tolerations: Vec<Map<String, Value>>,
    image_pull_secrets: Vec<Map<String, Value>>,
    priority_class_name: String,
    priority: Option<i32>,
    affinity: Option<Map<String, Value>>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Labels {
    annotations: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    resources: Resources,
    image_pull_policy: String,
    security_context: Option<Map<String, Value>>,
    volume_mounts: Vec<Map<String, Value>>,
    env: Vec<Variable>,
    env_from: Vec<Map<String, Value>>,
}

/// Quantities may be texts or numbers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Resources {
    limits: Map<String, Value>,
    requests: Map<String, Value>,
    claims: Vec<Map<String, Value>>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Variable {
    name: String,
    value: String,
    value_from: Option<Map<String, Value>>,
}

/// `spec.service` of an EventSource.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Service {
    metadata: Option<Labels>,
    ports: Vec<ServicePort>,
    #[serde(rename = "clusterIP")]
    cluster_ip: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct ServicePort {
    name: String,
    protocol: String,
    app_protocol: Option<String>,
    port: i32,
    /// Number or name.
    target_port: Value,
    node_port: i32,
}

pub(super) fn template(template: Option<&Value>, path: &FieldPath) -> Vec<Finding> {
    let path = path.key("template");
    template.map(|template| typed(template, &path, |_: &Template, _| Vec::new())).unwrap_or_default()
}

pub(super) fn service(service: Option<&Value>, path: &FieldPath) -> Vec<Finding> {
    let path = path.key("service");
    service.map(|service| typed(service, &path, |_: &Service, _| Vec::new())).unwrap_or_default()
}
