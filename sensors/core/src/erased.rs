//! A kind of trigger with its type erased: what the registry holds.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use sensor_engine::Round;
use serde_json::Value;
use zetes_api::{Finding, TriggerTemplate};

use crate::{Context, Error, Outcome, Parameters, Planning, Trigger};

/// One kind: its checks, its schema, and how to connect it.
#[derive(Clone, Copy)]
pub struct Factory {
    kind: &'static str,
    check: fn(&Value) -> Vec<Finding>,
    schema: fn() -> Value,
    connect: for<'a> fn(&'a Value, &'a Context) -> BoxFuture<'a, Result<Connected, Error>>,
}

/// A connected trigger of some kind.
pub(crate) type Connected = Arc<dyn Erased>;

pub(crate) trait Erased: Send + Sync {
    /// Plans and fires.
    fn fire<'a>(&'a self, round: &'a Round) -> BoxFuture<'a, Result<Outcome, Error>>;
}

impl<T: Trigger> Erased for T {
    fn fire<'a>(&'a self, round: &'a Round) -> BoxFuture<'a, Result<Outcome, Error>> {
        Box::pin(async move {
            let planning = Planning::of(round);
            let action = self.plan(&planning)?;
            let fallbacks = planning.into_fallbacks();
            let outcome = Trigger::fire(self, &action, &round.key).await?;
            Ok(Outcome { fallbacks, ..outcome })
        })
    }
}

impl Factory {
    pub fn of<T: Trigger>() -> Self {
        Self {
            kind: T::KIND,
            check: check::<T>,
            schema: || schemars::schema_for!(T::Config).to_value(),
            connect: |config, cx| Box::pin(connect::<T>(config, cx)),
        }
    }

    pub fn kind(&self) -> &'static str {
        self.kind
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

fn check<T: Trigger>(config: &Value) -> Vec<Finding> {
    let (config, mut findings) = zetes_api::manifest::decode::<T::Config>(config);
    if let Some(Err(invalid)) = config.map(|config| T::validate(&config)) {
        findings.extend(invalid.0);
    }
    findings
}

async fn connect<T: Trigger>(config: &Value, cx: &Context) -> Result<Connected, Error> {
    let (config, findings) = zetes_api::manifest::decode::<T::Config>(config);
    let Some(config) = config else {
        let told: Vec<String> =
            findings.iter().map(|finding| format!("{}: {}", finding.path, finding.message)).collect();
        return Err(Error::Permanent(told.join("; ")));
    };
    // Warnings have been told at load.
    T::validate(&config)
        .or_else(|invalid| zetes_api::Invalid::from_findings(invalid.0))
        .map_err(Error::permanent)?;
    Ok(Arc::new(T::connect(config, cx).await?))
}

/// A trigger's action: connected at its first round, and again when trigger-level parameters change its configuration.
pub(crate) struct Action {
    factory: Factory,
    template: String,
    parameters: Parameters,
    cx: Context,
    /// The configuration that was connected last, with what it became.
    connected: Mutex<Option<(Value, Connected)>>,
}

impl Action {
    pub(crate) fn new(
        factory: Factory,
        template: &TriggerTemplate,
        parameters: Parameters,
        cx: Context,
    ) -> Result<Self, Error> {
        let template = serde_json::to_string(template).map_err(Error::permanent)?;
        Ok(Self { factory, template, parameters, cx, connected: Mutex::new(None) })
    }

    /// One attempt at a round.
    pub(crate) async fn fire(&self, round: &Round) -> Result<Outcome, Error> {
        let known = if self.parameters.is_empty() { self.known(None) } else { None };
        if let Some(connected) = known {
            return connected.fire(round).await;
        }
        let planning = Planning::of(round);
        let template = self.parameters.apply(&self.template, &planning)?;
        let mut fallbacks = planning.into_fallbacks();
        let mut outcome = self.connected(&template).await?.fire(round).await?;
        fallbacks.append(&mut outcome.fallbacks);
        Ok(Outcome { fallbacks, ..outcome })
    }

    async fn connected(&self, template: &str) -> Result<Connected, Error> {
        let template: Value =
            serde_json::from_str(template).map_err(|error| Error::Permanent(format!("template: {error}")))?;
        let config = template.get(self.factory.kind).cloned().unwrap_or(Value::Null);
        if let Some(connected) = self.known(Some(&config)) {
            return Ok(connected);
        }
        let connected = (self.factory.connect)(&config, &self.cx).await?;
        *self.connected.lock().unwrap_or_else(PoisonError::into_inner) = Some((config, connected.clone()));
        Ok(connected)
    }

    /// What was connected last, if it was with this configuration; with any when none is given.
    fn known(&self, config: Option<&Value>) -> Option<Connected> {
        let connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, trigger) = connected.as_ref()?;
        config.is_none_or(|config| config == known).then(|| trigger.clone())
    }
}
