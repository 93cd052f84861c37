//! What every trigger shares, so that a trigger kind is its configuration, a plan and a fire.
//!
//! A trigger kind implements [`Trigger`]: `plan` decides what to do without doing it, `fire` does it. Attempts, pauses,
//! concurrency, acknowledgement, decisions and dead letters are the [`Sensors`] runner's, which carries out what the
//! machine of `sensor-engine` says.

mod context;
mod dead_letters;
mod erased;
mod error;
mod keeper;
mod lease;
mod metrics;
pub mod parameters;
mod planning;
mod runner;
mod sensors;
mod source;

use std::fmt::Debug;

use schemars::JsonSchema;
use sensor_engine::Rules;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zetes_api::{Finding, IdempotencyKey, Invalid, Namespace, Sensor};

pub use context::Context;
pub use dead_letters::{DeadLetter, DeadLetterId, DeadLetters};
pub use erased::Factory;
pub use error::Error;
pub use metrics::Metrics;
pub use parameters::Parameters;
pub use planning::Planning;
pub use sensor_engine::Round;
pub use sensors::{Deps, Observer, Prepared, RedriveError, Running, Sensors, TriggerState, TriggerStatus};

/// A kind of trigger.
pub trait Trigger: Sized + Send + Sync + 'static {
    /// The key under `template`.
    const KIND: &'static str;
    /// What stands under that key.
    type Config: DeserializeOwned + JsonSchema + Send + 'static;
    /// What will be done; people read it as it is serialised.
    type Action: Debug + Serialize + Send + Sync + 'static;

    /// What is wrong with a configuration that has been read, warnings included; paths are relative to it. No I/O.
    ///
    /// # Errors
    /// Everything that is wrong.
    fn validate(config: &Self::Config) -> Result<(), Invalid>;

    /// Compiles parameters and paths, reads secrets.
    ///
    /// # Errors
    /// Transient: the attempt counts as failed and is made again. Permanent: the round is dead-lettered.
    fn connect(config: Self::Config, cx: &Context) -> impl Future<Output = Result<Self, Error>> + Send;

    /// What to do for a round. Pure: the same round gives the same action.
    ///
    /// # Errors
    /// A parameter that has no value.
    fn plan(&self, round: &Planning<'_>) -> Result<Self::Action, Error>;

    /// Does it. The key is the same for every attempt at the same round.
    ///
    /// # Errors
    /// Transient or permanent, by code.
    ///
    /// **Cancel safety** it may have been done when the future is dropped; fire again with the same key.
    fn fire(
        &self,
        action: &Self::Action,
        key: &IdempotencyKey,
    ) -> impl Future<Output = Result<Outcome, Error>> + Send;
}

/// How an action ended, in a few words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub summary: String,
    /// Parameters that took their fallback, and why; filled in by the runner.
    pub(crate) fallbacks: Vec<String>,
}

impl Outcome {
    pub fn done(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), fallbacks: Vec::new() }
    }
}

/// Everything that the rules of one trigger find wrong, and what is probably not meant; paths are relative to the document.
pub fn rule_findings(namespace: &Namespace, sensor: &Sensor, trigger: usize) -> Vec<Finding> {
    let mut findings = Rules::compile(namespace, sensor, trigger).err().unwrap_or_default();
    if trigger == 0 {
        findings.extend(Rules::lint(sensor));
    }
    findings
}

#[cfg(test)]
mod tests;
