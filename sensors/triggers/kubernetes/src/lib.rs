//! `k8s` and `argoWorkflow`: Kubernetes objects made from events (spec/sensors.md 11.1, 11.2).
//!
//! No cluster is ever touched by accident: the object that would be created is written, in full, to
//! `<data dir>/objects/<namespace>/<resource>/<name>.yaml`, and every message says so. A generated name ends in digits of the
//! round's key, so that a redelivery finds the object instead of making a second.

mod config;
mod flags;
mod object;
mod resource;
mod store;

use std::path::PathBuf;

use sensor_core::{Context, Error, Outcome, Parameters, Planning, Trigger};
use serde::Serialize;
use serde_json::Value;
use zetes_api::{IdempotencyKey, Invalid};

pub use config::{Source, SubmitConfig, WriteConfig};
use flags::Flags;
use object::Stamp;

/// The object that would be created.
#[derive(Debug, PartialEq, Serialize)]
pub struct Create {
    pub path: PathBuf,
    pub object: Value,
}

/// The kind `k8s`.
pub struct K8s(Maker);

/// The kind `argoWorkflow`.
pub struct ArgoWorkflow(Maker);

/// What both have in common: from a round to an object.
struct Maker {
    template: String,
    parameters: Parameters,
    flags: Flags,
    namespace: String,
    sensor: String,
    trigger: String,
    objects: PathBuf,
}

impl Maker {
    fn new(
        source: Option<&Source>,
        parameters: Parameters,
        flags: Flags,
        cx: &Context,
    ) -> Result<Self, Error> {
        let template = source
            .and_then(Source::object)
            .ok_or_else(|| Error::permanent("source: expected `resource` or `inline` with an object"))?;
        Ok(Self {
            template: template?.to_string(),
            parameters,
            flags,
            namespace: cx.namespace.to_string(),
            sensor: cx.sensor.to_string(),
            trigger: cx.trigger.to_string(),
            objects: cx.data_dir.join("objects"),
        })
    }

    fn plan(&self, round: &Planning<'_>) -> Result<Create, Error> {
        let text = self.parameters.apply(&self.template, round)?;
        let mut object: Value = serde_json::from_str(&text)
            .map_err(|error| Error::Permanent(format!("the object after its parameters: {error}")))?;
        self.flags.apply(&mut object);
        let stamp = Stamp { namespace: &self.namespace, sensor: &self.sensor, trigger: &self.trigger, round };
        let path = self.objects.join(stamp.put_on(&mut object)?);
        Ok(Create { path, object })
    }
}

/// Writes the object unless it is there. Not cancel safe: it may have been written; fire again with the same key.
async fn create(action: &Create) -> Result<Outcome, Error> {
    let text = serde_saphyr::to_string(&action.object).map_err(Error::permanent)?;
    let (path, object) = (action.path.clone(), action.object.clone());
    let written = tokio::task::spawn_blocking(move || store::write(&path, &text, &object))
        .await
        .map_err(Error::transient)??;
    let kind = action.object.get("kind").and_then(Value::as_str).unwrap_or("object");
    let path = action.path.display();
    Ok(Outcome::done(match written {
        store::Written::New => format!("{kind} written to {path}, since no cluster is named"),
        store::Written::AlreadyThere => format!("{kind} was already written to {path}"),
    }))
}

impl Trigger for K8s {
    const KIND: &'static str = "k8s";
    type Config = WriteConfig;
    type Action = Create;

    fn validate(config: &WriteConfig) -> Result<(), Invalid> {
        let findings = config.findings();
        if findings.is_empty() { Ok(()) } else { Err(Invalid(findings)) }
    }

    async fn connect(config: WriteConfig, cx: &Context) -> Result<Self, Error> {
        let parameters = Parameters::compile(&config.parameters)?;
        Maker::new(config.source.as_ref(), parameters, Flags::default(), cx).map(Self)
    }

    fn plan(&self, round: &Planning<'_>) -> Result<Create, Error> {
        self.0.plan(round)
    }

    async fn fire(&self, action: &Create, _key: &IdempotencyKey) -> Result<Outcome, Error> {
        create(action).await
    }
}

impl Trigger for ArgoWorkflow {
    const KIND: &'static str = "argoWorkflow";
    type Config = SubmitConfig;
    type Action = Create;

    fn validate(config: &SubmitConfig) -> Result<(), Invalid> {
        let findings = config.findings();
        if findings.is_empty() { Ok(()) } else { Err(Invalid(findings)) }
    }

    async fn connect(config: SubmitConfig, cx: &Context) -> Result<Self, Error> {
        let parameters = Parameters::compile(&config.parameters)?;
        let flags = Flags::parse(config.operation(), &config.args)
            .map_err(|error| Error::permanent(error.message()))?;
        Maker::new(config.source.as_ref(), parameters, flags, cx).map(Self)
    }

    fn plan(&self, round: &Planning<'_>) -> Result<Create, Error> {
        self.0.plan(round)
    }

    async fn fire(&self, action: &Create, _key: &IdempotencyKey) -> Result<Outcome, Error> {
        create(action).await
    }
}

#[cfg(test)]
mod tests;
