//! A kind of event source with its type erased: what the registry holds.

use std::time::Duration;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zetes_api::{EVENT_SOURCE_KINDS, FieldPath, Finding, Invalid, SourceKind};

use crate::{Context, Error, EventSource, RouteKey};

/// Who has not connected within this time is tried again.
const CONNECT_PATIENCE: Duration = Duration::from_mins(1);
/// What is left to do upstream for an object that is gone may take so long.
const RETIRE_PATIENCE: Duration = Duration::from_secs(20);

/// One kind: its checks, its schema, and how to start it.
#[derive(Clone, Copy)]
pub struct Factory {
    kind: SourceKind,
    check: fn(&Value) -> Vec<Finding>,
    schema: fn() -> Value,
    routes: fn(&Value) -> Vec<RouteKey>,
    run: for<'a> fn(&'a Value, &'a Context) -> BoxFuture<'a, Result<(), Error>>,
    retire: for<'a> fn(&'a Value, &'a Context) -> BoxFuture<'a, Result<(), Error>>,
}

impl Factory {
    pub fn of<S: EventSource>() -> Self {
        let ours = SourceKind { key: S::KIND, event_type: S::KIND, active_active: S::ACTIVE_ACTIVE };
        Self {
            kind: EVENT_SOURCE_KINDS.iter().find(|kind| kind.key == S::KIND).copied().unwrap_or(ours),
            check: |config| findings(config, S::validate),
            schema: || schemars::schema_for!(S::Config).to_value(),
            routes: |config| decoded::<S>(config).map(|config| S::routes(&config)).unwrap_or_default(),
            run: |config, cx| Box::pin(run::<S>(config, cx)),
            retire: |config, cx| Box::pin(retire::<S>(config, cx)),
        }
    }

    pub fn kind(&self) -> SourceKind {
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

    /// Ports and paths that a valid configuration will serve.
    pub fn routes(&self, config: &Value) -> Vec<RouteKey> {
        (self.routes)(config)
    }

    /// Undoes upstream what the event source did there, and forgets its place.
    pub(crate) fn retire<'a>(&self, config: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<(), Error>> {
        (self.retire)(config, cx)
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
    let config = usable::<S>(config)?;
    // Nothing is in hand yet, so connecting may be given up halfway.
    let connecting = tokio::time::timeout(CONNECT_PATIENCE, S::connect(config, cx));
    let Some(connected) = cx.unless_stopped(connecting).await else { return Ok(()) };
    let source = connected
        .map_err(|_| Error::Transient(format!("no connection within {} s", CONNECT_PATIENCE.as_secs())))??;
    cx.part().serves();
    source.run(cx).await
}

async fn retire<S: EventSource>(config: &Value, cx: &Context) -> Result<(), Error> {
    let ended = tokio::time::timeout(RETIRE_PATIENCE, S::retire(usable::<S>(config)?, cx)).await;
    ended.map_err(|_| Error::Transient(format!("not done within {} s", RETIRE_PATIENCE.as_secs())))??;
    cx.forget_cursor().await
}

/// The configuration, if it has no mistake; warnings have been told at load.
fn usable<S: EventSource>(config: &Value) -> Result<S::Config, Error> {
    let (config, findings) = zetes_api::manifest::decode::<S::Config>(config);
    let Some(config) = config else {
        let told: Vec<String> =
            findings.iter().map(|finding| told(&finding.path, &finding.message)).collect();
        return Err(Error::Permanent(told.join("; ")));
    };
    S::validate(&config).or_else(|invalid| Invalid::from_findings(invalid.0)).map_err(Error::permanent)?;
    Ok(config)
}

fn told(path: &FieldPath, message: &str) -> String {
    format!("{path}: {message}")
}
