//! What an author writes under `k8s` and `argoWorkflow`.

use schemars::JsonSchema;
use sensor_core::{Error, parameters};
use serde::Deserialize;
use serde_json::Value;
use zetes_api::{FieldPath, Finding, Parameter};

use crate::flags::{FlagError, Flags};

/// A Kubernetes object to write.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteConfig {
    /// Where the object comes from.
    #[serde(default)]
    pub source: Option<Source>,
    /// `create` (default), `update`, `patch` or `delete`.
    #[serde(default)]
    pub operation: Option<String>,
    /// Values copied into the object.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// Content type of a patch.
    #[serde(default)]
    pub patch_strategy: Option<String>,
    /// With `update`: parameters are applied to the object as it is in the cluster.
    #[serde(default)]
    pub live_object: Option<bool>,
}

/// A Workflow to act on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubmitConfig {
    /// Where the Workflow comes from.
    #[serde(default)]
    pub source: Option<Source>,
    /// `submit` (default), `submit-from`, `resubmit`, `resume`, `retry`, `suspend`, `terminate` or `stop`.
    #[serde(default)]
    pub operation: Option<String>,
    /// Values copied into the Workflow.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// Flags of the operation, as the argo program has them.
    #[serde(default)]
    pub args: Vec<String>,
}

/// Where an object comes from; the first that is there is used.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// An object store.
    #[serde(default)]
    pub s3: Option<Value>,
    /// YAML or JSON text.
    #[serde(default)]
    pub inline: Option<String>,
    /// A file.
    #[serde(default)]
    pub file: Option<Value>,
    /// An address.
    #[serde(default)]
    pub url: Option<Value>,
    /// A git repository.
    #[serde(default)]
    pub git: Option<Value>,
    /// A key of a `ConfigMap`.
    #[serde(default)]
    pub configmap: Option<Value>,
    /// The object itself.
    #[serde(default)]
    pub resource: Option<Value>,
}

impl Source {
    /// The object, or why the text is none; `None` when this build can't read the source.
    pub(crate) fn object(&self) -> Option<Result<Value, Error>> {
        if let Some(text) = &self.inline {
            let value = serde_saphyr::from_str::<Value>(text)
                .map_err(|error| Error::Permanent(format!("source.inline: {error}")));
            return Some(value.and_then(object_only));
        }
        self.resource.clone().map(object_only)
    }

    fn findings(&self) -> Vec<Finding> {
        let others = [
            ("s3", &self.s3),
            ("file", &self.file),
            ("url", &self.url),
            ("git", &self.git),
            ("configmap", &self.configmap),
        ];
        let first =
            others.iter().find(|(name, one)| one.is_some() && (*name == "s3" || self.inline.is_none()));
        if let Some((name, _)) = first {
            let path = FieldPath::from("source").key(*name);
            return vec![Finding::error(
                "not-in-this-build",
                path,
                format!("sources of kind `{name}` are not in this build yet"),
            )];
        }
        match self.object() {
            None => vec![Finding::error("missing-field", "source", "expected `resource` or `inline`")],
            Some(Err(error)) => vec![Finding::error("bad-value", "source", error.to_string())],
            Some(Ok(_)) => Vec::new(),
        }
    }
}

fn object_only(value: Value) -> Result<Value, Error> {
    if value.is_object() { Ok(value) } else { Err(Error::permanent("source: expected an object")) }
}

fn common(source: Option<&Source>, list: &[Parameter]) -> Vec<Finding> {
    let mut findings = match source {
        None => vec![Finding::error("missing-field", "source", "expected `source`")],
        Some(source) => source.findings(),
    };
    let path = FieldPath::from("parameters");
    findings.extend(parameters::findings(list, false).into_iter().map(|finding| finding.under(&path)));
    findings
}

impl WriteConfig {
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = common(self.source.as_ref(), &self.parameters);
        match self.operation.as_deref().unwrap_or_default() {
            "" | "create" => {}
            known @ ("update" | "patch" | "delete") => {
                let message = format!("operation `{known}` needs a cluster, which is not in this build yet");
                findings.push(Finding::error("not-in-this-build", "operation", message));
            }
            other => {
                let message = format!("expected `create`, `update`, `patch` or `delete`, found `{other}`");
                findings.push(Finding::error("bad-value", "operation", message));
            }
        }
        findings
    }
}

impl SubmitConfig {
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = common(self.source.as_ref(), &self.parameters);
        match self.operation() {
            "submit" => {}
            known @ ("submit-from" | "resubmit" | "resume" | "retry" | "suspend" | "terminate" | "stop") => {
                let message = format!("operation `{known}` needs a cluster, which is not in this build yet");
                findings.push(Finding::error("not-in-this-build", "operation", message));
            }
            other => findings.push(Finding::error(
                "bad-value",
                "operation",
                format!("expected `submit` or another operation on Workflows, found `{other}`"),
            )),
        }
        // An operation that nobody knows has no flags.
        let is_known =
            !findings.iter().any(|finding| finding.path == "operation".into() && finding.code == "bad-value");
        if let Err(error) = Flags::parse(self.operation(), &self.args)
            && is_known
        {
            let code = match error {
                FlagError::Bad(_) => "bad-value",
                FlagError::NotInThisBuild(_) => "not-in-this-build",
            };
            findings.push(Finding::error(code, "args", error.message()));
        }
        findings
    }

    pub(crate) fn operation(&self) -> &str {
        self.operation.as_deref().filter(|operation| !operation.is_empty()).unwrap_or("submit")
    }
}
