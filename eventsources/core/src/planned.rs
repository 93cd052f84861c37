//! A kind that has no adapter yet: its configuration is known and checked, nothing runs.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zetes_api::{Finding, Invalid};

use crate::factory;

/// A kind of event source before there is an adapter. With one, `Config` and `validate` become those of its
/// [`EventSource`](crate::EventSource).
pub trait Planned {
    /// The key under `spec`.
    const KIND: &'static str;
    /// What stands under an event's name.
    type Config: DeserializeOwned + JsonSchema;

    /// What is wrong with a configuration that has been read, warnings included; paths are relative to it. No I/O.
    ///
    /// # Errors
    /// Everything that is wrong.
    fn validate(config: &Self::Config) -> Result<(), Invalid>;
}

/// A planned kind with its type erased: what the registry holds.
#[derive(Clone, Copy)]
pub struct Plan {
    check: fn(&Value) -> Vec<Finding>,
    schema: fn() -> Value,
}

impl Plan {
    pub fn of<P: Planned>() -> Self {
        Self {
            check: |config| factory::findings(config, P::validate),
            schema: || schemars::schema_for!(P::Config).to_value(),
        }
    }

    /// Everything that is wrong with a configuration; paths are relative to it.
    pub fn check(&self, config: &Value) -> Vec<Finding> {
        (self.check)(config)
    }

    /// JSON Schema of the configuration.
    pub fn schema(&self) -> Value {
        (self.schema)()
    }
}
