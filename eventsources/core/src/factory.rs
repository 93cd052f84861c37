//! A kind of event source with its type erased: what the registry holds.

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zetes_api::{EVENT_SOURCE_KINDS, FieldPath, Finding, Invalid};

use crate::{Context, Error, EventSource, RouteKey};

/// One kind: its checks, its schema, and how to start it.
#[derive(Clone, Copy)]
pub struct Factory {
    kind: &'static str,
    event_type: &'static str,
    check: fn(&Value) -> Vec<Finding>,
    schema: fn() -> Value,
    routes: fn(&Value) -> Vec<RouteKey>,
    run: for<'a> fn(&'a Value, &'a Context) -> BoxFuture<'a, Result<(), Error>>,
}

impl Factory {
    pub fn of<S: EventSource>() -> Self {
        let known = EVENT_SOURCE_KINDS.iter().find(|kind| kind.key == S::KIND);
        Self {
            kind: S::KIND,
            event_type: known.map_or(S::KIND, |kind| kind.event_type),
            check: |config| findings(config, S::validate),
            schema: || schemars::schema_for!(S::Config).to_value(),
            routes: |config| decoded::<S>(config).map(|config| S::routes(&config)).unwrap_or_default(),
            run: |config, cx| Box::pin(run::<S>(config, cx)),
        }
    }

    pub fn kind(&self) -> &'static str {
        self.kind
    }

    pub(crate) fn event_type(&self) -> &'static str {
        self.event_type
    }

    /// Everything that is wrong with a configuration; paths are relative to it.
    pub fn check(&self, config: &Value) -> Vec<Finding> {
        (self.check)(config)
    }

    /// JSON Schema of the configuration.
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    /// Ports and paths that a valid configuration will serve.
    pub fn routes(&self, config: &Value) -> Vec<RouteKey> {
        (self.routes)(config)
    }

    /// Connects and runs, once: the supervisor calls it again after a failure.
    pub(crate) fn run<'a>(&self, config: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<(), Error>> {
        (self.run)(config, cx)
    }
}

/// What reading a configuration finds, and what its kind says to what was read.
pub(crate) fn findings<C: DeserializeOwned + JsonSchema>(
    config: &Value,
    validate: fn(&C) -> Result<(), Invalid>,
) -> Vec<Finding> {
    let (config, mut findings) = zetes_api::manifest::decode::<C>(config);
    if let Some(Err(invalid)) = config.map(|config| validate(&config)) {
        findings.extend(invalid.0);
    }
    findings
}

fn decoded<S: EventSource>(config: &Value) -> Option<S::Config> {
    zetes_api::manifest::decode::<S::Config>(config).0
}

async fn run<S: EventSource>(config: &Value, cx: &Context) -> Result<(), Error> {
    let (config, findings) = zetes_api::manifest::decode::<S::Config>(config);
    let Some(config) = config else {
        let told: Vec<String> =
            findings.iter().map(|finding| told(&finding.path, &finding.message)).collect();
        return Err(Error::Permanent(told.join("; ")));
    };
    // Warnings have been told at load.
    S::validate(&config).or_else(|invalid| Invalid::from_findings(invalid.0)).map_err(Error::permanent)?;
    S::connect(config, cx).await?.run(cx).await
}

fn told(path: &FieldPath, message: &str) -> String {
    format!("{path}: {message}")
}
