//! `resource`: changes of Kubernetes objects (spec/event-sources.md 2.5).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, one_of};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{FieldPath, Finding, Invalid};

/// Which changes of which objects are events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// API group; empty is the core group.
    pub group: String,
    /// API version, `v1` for example.
    pub version: String,
    /// Plural name of the kind, `pods` for example.
    pub resource: String,
    /// Namespace; empty is all of them.
    pub namespace: String,
    /// `ADD`, `UPDATE`, `DELETE`. `ADD` comes for what is there at the start, too.
    pub event_types: Option<Vec<String>>,
    /// Which objects are meant.
    pub filter: Option<ResourceFilter>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Which objects are meant: all that is set must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceFilter {
    /// How the object's name begins.
    pub prefix: String,
    /// Labels of the object.
    pub labels: Vec<Selector>,
    /// Fields of the object: the key is a path such as `status.phase`, the value a regular expression.
    pub fields: Vec<Selector>,
    /// Created at this time or before: `2026-01-31T08:30:00Z`.
    pub created_by: Option<String>,
    /// Only what happens after the start.
    pub after_start: bool,
}

/// A condition on a label or a field.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Selector {
    /// Name of the label, or path of the field.
    pub key: String,
    /// `==` (default), `=`, `!=`; for labels also `in`, `notin`, `exists`, `!`, `gt`, `lt`.
    pub operation: String,
    /// What it is compared with; for `in` and `notin` several, joined by commas.
    pub value: String,
}

/// The kind `resource`.
pub struct Resource;

impl Planned for Resource {
    const KIND: &'static str = "resource";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("version", &config.version);
        check.text("resource", &config.resource);
        check.present("eventTypes", config.event_types.as_ref());
        let types = config.event_types.as_deref();
        if types.is_some_and(<[String]>::is_empty) {
            check.idle("eventTypes", format_args!("expected {}", one_of(&TYPES)));
        }
        for text in types.unwrap_or_default().iter().filter(|text| !TYPES.contains(&text.as_str())) {
            check.idle("eventTypes", format_args!("expected {}, found `{text}`", one_of(&TYPES)));
        }
        if let Some(filter) = &config.filter {
            filter.check(&mut check);
        }
        check.end()
    }
}

const TYPES: [&str; 3] = ["ADD", "UPDATE", "DELETE"];
const OF_LABELS: [&str; 9] = ["=", "==", "!=", "in", "notin", "exists", "!", "gt", "lt"];
const OF_FIELDS: [&str; 3] = ["=", "==", "!="];
/// How Kubernetes writes times.
const RFC_3339: &str = "2006-01-02T15:04:05Z07:00";

impl ResourceFilter {
    fn check(&self, check: &mut Check) {
        selectors("filter.labels", &self.labels, &OF_LABELS, check);
        selectors("filter.fields", &self.fields, &OF_FIELDS, check);
        for (index, field) in self.fields.iter().enumerate() {
            let Err(error) = zetes_re2::compile(&field.value) else { continue };
            let path = FieldPath::from("filter.fields").index(index).key("value");
            let finding = Finding::error("bad-regex", path, error.to_string());
            check.extend([finding.span(error.span(&field.value))]);
        }
        if let Some(text) = &self.created_by
            && zetes_gotime::parse(RFC_3339, text, &TimeZone::UTC).is_err()
        {
            let message = format!("expected a time such as `2026-01-31T08:30:00Z`, found `{text}`");
            check.bad("filter.createdBy", message);
        }
    }
}

fn selectors(field: &str, selectors: &[Selector], operations: &[&str], check: &mut Check) {
    for (index, selector) in selectors.iter().enumerate() {
        let path = FieldPath::from(field).index(index);
        if selector.key.is_empty() {
            check.extend([Finding::error("missing-field", path.key("key"), "expected `key`")]);
        }
        if !selector.operation.is_empty() && !operations.contains(&selector.operation.as_str()) {
            let message = format!(
                "expected {}, found `{}`: nothing would be received",
                one_of(operations),
                selector.operation
            );
            check.extend([Finding::warning("receives-nothing", path.key("operation"), message)]);
        }
    }
}
