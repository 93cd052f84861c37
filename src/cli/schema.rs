//! `zetes schema`: what may stand in a manifest, as JSON Schema.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use zetes_api::ObjectKind;

use crate::output;
use crate::registry::Registry;

/// Print the JSON Schema of a kind of object, or of one kind of event source or trigger.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  zetes schema sensor
  zetes schema event-source webhook      the configuration under spec.webhook.<event>
  zetes schema sensor http               the configuration under template.http")]
pub(crate) struct Schema {
    /// The kind of object.
    #[arg(value_enum)]
    object: Object,
    /// A kind of event source or trigger: the key in the manifest.
    kind: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Object {
    EventSource,
    EventBus,
    Sensor,
    Secret,
    ConfigMap,
}

impl Schema {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let schema = match &self.kind {
            Some(kind) => self.of_kind(kind, &Registry::of_this_build())?,
            None => zetes_api::manifest::schema(self.object.kind()),
        };
        output::data(&format!("{}\n", serde_json::to_string_pretty(&schema)?));
        Ok(ExitCode::SUCCESS)
    }

    fn of_kind(&self, kind: &str, registry: &Registry) -> anyhow::Result<serde_json::Value> {
        let schema = match self.object {
            Object::EventSource => registry.source_schema(kind),
            Object::Sensor => registry.trigger_schema(kind),
            _ => None,
        };
        schema.ok_or_else(|| {
            super::Usage(format!("this build has no such kind: `{kind}`; it has {}", registry.kinds())).into()
        })
    }
}

impl Object {
    fn kind(self) -> ObjectKind {
        match self {
            Self::EventSource => ObjectKind::EventSource,
            Self::EventBus => ObjectKind::EventBus,
            Self::Sensor => ObjectKind::Sensor,
            Self::Secret => ObjectKind::Secret,
            Self::ConfigMap => ObjectKind::ConfigMap,
        }
    }
}
