//! What all objects have: metadata, and the name people use for one.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{Namespace, ObjectName};

/// The part of Kubernetes' metadata that Zetes reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Name of the object, unique per kind and namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ObjectName>,
    /// Namespace; without it the one that the reader of the manifest was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Labels, kept as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations. `zetes.dev/compat` switches a behaviour of the reference back on (docs/compatibility.md).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The kinds of objects that Zetes reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectKind {
    EventBus,
    EventSource,
    Sensor,
    Secret,
    ConfigMap,
}

impl ObjectKind {
    /// As people write it before a slash: `sensor/ci/deploy`.
    pub fn lower(self) -> &'static str {
        match self {
            Self::EventBus => "eventbus",
            Self::EventSource => "eventsource",
            Self::Sensor => "sensor",
            Self::Secret => "secret",
            Self::ConfigMap => "configmap",
        }
    }
}

/// `kind/namespace/name`: which object is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    pub kind: ObjectKind,
    pub namespace: Namespace,
    pub name: ObjectName,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.lower(), self.namespace, self.name)
    }
}
