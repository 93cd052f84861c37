//! How manifests are read: text in, objects and diagnostics out.
//!
//! One bad document never stops the others: a file is cut at its `---` lines first. Places come from a second pass over
//! the parser's events, so that the types stay free of them.

mod document;
mod places;
mod typed;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::diagnostic::{Diagnostic, FieldPath, Finding, Severity};
use crate::name::Namespace;
use crate::object::{ObjectKind, ObjectRef};
use crate::resource::{ConfigMap, EventBus, EventSource, Secret, Sensor};
pub use places::Origin;
pub use typed::decode;
use typed::decode_rest;
pub(crate) use typed::{nearest, unknown_field};

/// The `apiVersion` of EventSource, EventBus and Sensor.
pub const API_VERSION: &str = "argoproj.io/v1alpha1";

/// A text and the name by which messages call it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// Namespace of documents that name none.
    pub default_namespace: Namespace,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Manifests {
    /// Objects that could be read far enough to be checked; those with an error among the diagnostics must not run.
    pub objects: Vec<Located>,
    pub diagnostics: Vec<Diagnostic>,
    /// Documents of kinds that are not ours.
    pub other_kinds: usize,
}

/// An object, and where its fields stand.
#[derive(Debug)]
pub struct Located {
    pub object: Object,
    pub origin: Origin,
}

/// The objects that Zetes reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    EventSource(EventSource),
    EventBus(EventBus),
    Sensor(Sensor),
    Secret(Secret),
    ConfigMap(ConfigMap),
}

impl Object {
    pub fn object_ref(&self) -> ObjectRef {
        match self {
            Self::EventSource(object) => object.object_ref(),
            Self::EventBus(object) => object.object_ref(),
            Self::Sensor(object) => object.object_ref(),
            Self::Secret(object) => object.object_ref(),
            Self::ConfigMap(object) => object.object_ref(),
        }
    }
}

/// Reads all documents of a text, YAML or JSON.
pub fn read(source: Source<'_>, options: &Options) -> Manifests {
    let mut manifests = Manifests::default();
    for document in document::split(source) {
        match document.parse() {
            Ok(None) => {}
            Ok(Some((value, origin))) => take(value, &FieldPath::root(), &origin, options, &mut manifests),
            Err(diagnostic) => manifests.diagnostics.push(*diagnostic),
        }
    }
    manifests
}

/// Takes one document, or the items of a list.
fn take(value: Value, at: &FieldPath, origin: &Origin, options: &Options, manifests: &mut Manifests) {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind == "List" {
        let items = value.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        for (index, item) in items.into_iter().enumerate() {
            take(item, &at.key("items").index(index), origin, options, manifests);
        }
        return;
    }
    let origin = origin.inside(at);
    let Some(object_kind) = kind_of(&value) else {
        if kind.is_empty() {
            let message = "expected an object with `apiVersion` and `kind`";
            let finding = Finding::error("missing-field", FieldPath::from("kind"), message)
                .hint("write `kind: Sensor`, for example");
            manifests.diagnostics.push(origin.unnamed(&finding));
        } else {
            manifests.other_kinds += 1;
        }
        return;
    };
    let (object, findings) = object(object_kind, value, options);
    manifests.diagnostics.extend(findings.1.iter().map(|finding| origin.diagnostic(&findings.0, finding)));
    manifests.objects.extend(object.map(|object| Located { object, origin }));
}

fn kind_of(value: &Value) -> Option<ObjectKind> {
    let group = value
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .split('/')
        .next()
        .unwrap_or_default();
    let kind = value.get("kind").and_then(Value::as_str)?;
    Some(match kind {
        "EventSource" | "EventBus" | "Sensor" if !group.is_empty() && group != "argoproj.io" => return None,
        "EventSource" => ObjectKind::EventSource,
        "EventBus" => ObjectKind::EventBus,
        "Sensor" => ObjectKind::Sensor,
        "Secret" => ObjectKind::Secret,
        "ConfigMap" => ObjectKind::ConfigMap,
        _ => return None,
    })
}

type Read = (Option<Object>, (ObjectRef, Vec<Finding>));

fn object(kind: ObjectKind, mut value: Value, options: &Options) -> Read {
    let mut findings = frame(kind, &value);
    if let Some(document) = value.as_object_mut() {
        for key in ["apiVersion", "kind", "status", "immutable", "type"] {
            if !(key == "type" && kind != ObjectKind::Secret) {
                document.shift_remove(key);
            }
        }
        let metadata = document.entry("metadata").or_insert_with(|| Value::Object(serde_json::Map::new()));
        if let Some(metadata) = metadata.as_object_mut() {
            findings.extend(metadata_findings(metadata));
            let namespace =
                metadata.get("namespace").and_then(Value::as_str).filter(|namespace| !namespace.is_empty());
            if namespace.is_none() {
                metadata.insert("namespace".to_owned(), Value::from(options.default_namespace.as_str()));
            }
        }
    }
    let name = |key: &str| {
        value.pointer(&format!("/metadata/{key}")).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let object_ref = ObjectRef { kind, namespace: name("namespace").into(), name: name("name").into() };
    let (object, decoded) = typed_object(kind, &value);
    findings.extend(decoded);
    (object, (object_ref, findings))
}

fn typed_object(kind: ObjectKind, value: &Value) -> (Option<Object>, Vec<Finding>) {
    fn one<T>(
        wrap: fn(T) -> Object,
        (object, findings): (Option<T>, Vec<Finding>),
    ) -> (Option<Object>, Vec<Finding>) {
        (object.map(wrap), findings)
    }
    match kind {
        ObjectKind::EventSource => one(Object::EventSource, decode_rest(value)),
        ObjectKind::EventBus => one(Object::EventBus, decode_rest(value)),
        ObjectKind::Sensor => one(Object::Sensor, decode_rest(value)),
        ObjectKind::Secret => one(Object::Secret, decode_rest(value)),
        ObjectKind::ConfigMap => one(Object::ConfigMap, decode_rest(value)),
    }
}

/// What every object of a kind needs around its `spec`.
fn frame(kind: ObjectKind, value: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours = matches!(kind, ObjectKind::EventSource | ObjectKind::EventBus | ObjectKind::Sensor);
    let version = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if ours && version != API_VERSION {
        let message = format!("expected `{API_VERSION}`, found `{version}`");
        findings.push(
            Finding::error("bad-value", "apiVersion", message)
                .hint(format!("write `apiVersion: {API_VERSION}`")),
        );
    }
    if value.pointer("/metadata/name").and_then(Value::as_str).is_none_or(str::is_empty) {
        findings.push(
            Finding::error("missing-field", "metadata.name", "expected a name")
                .hint("every object has a name"),
        );
    }
    findings
}

/// Kubernetes' own members of `metadata` are nothing to warn of; they are taken out here.
fn metadata_findings(metadata: &mut serde_json::Map<String, Value>) -> Vec<Finding> {
    const KNOWN: [&str; 4] = ["name", "namespace", "labels", "annotations"];
    metadata.retain(|key, _| KNOWN.contains(&key.as_str()));
    Vec::new()
}

/// The same object twice: each later one is an error that names the first place.
pub fn check_duplicates(objects: &[Located]) -> Vec<Diagnostic> {
    let mut first: BTreeMap<ObjectRef, &Located> = BTreeMap::new();
    let mut found = Vec::new();
    for located in objects {
        let object = located.object.object_ref();
        match first.get(&object) {
            None => drop(first.insert(object, located)),
            Some(earlier) => {
                let place = earlier.origin.place(&FieldPath::from("metadata.name"));
                let place = place.map_or_else(String::new, |place| {
                    format!("{}:{}:{}", place.file, place.line, place.column)
                });
                let finding = Finding::error(
                    "duplicate-object",
                    "metadata.name",
                    format!("this object stands at {place}, too"),
                );
                found.push(
                    located
                        .origin
                        .diagnostic(&object, &finding.hint("remove one of them, or give it another name")),
                );
            }
        }
    }
    found
}

/// The JSON Schema of a kind, from the types that are read.
pub fn schema(kind: ObjectKind) -> Value {
    match kind {
        ObjectKind::EventSource => typed::schema_of::<EventSource>(),
        ObjectKind::EventBus => typed::schema_of::<EventBus>(),
        ObjectKind::Sensor => typed::schema_of::<Sensor>(),
        ObjectKind::Secret => typed::schema_of::<Secret>(),
        ObjectKind::ConfigMap => typed::schema_of::<ConfigMap>(),
    }
}

pub use crate::validation::validate;

/// A diagnostic about a text that could not be read as a document.
pub(crate) fn unreadable(
    place: Option<crate::Place>,
    code: &'static str,
    message: String,
    hint: Option<String>,
) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code,
        object: None,
        path: FieldPath::root(),
        place,
        message,
        hint,
    }
}

/// Shared text of a file: lines for the underlining.
pub(crate) type Lines = Arc<Vec<String>>;
