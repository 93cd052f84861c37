//! What Zetes puts on every object it makes (S32), and where it is written.

use std::path::PathBuf;

use sensor_core::{Error, Round};
use serde_json::{Value, json};

use crate::flags::member;
use crate::resource::Resource;

/// Annotation that holds the round's key: how a redelivery finds the object.
pub(crate) const ROUND: &str = "zetes.dev/round";
/// Annotation that holds the ids of the round's events.
const EVENT_IDS: &str = "zetes.dev/event-ids";
/// Digits of the round's key behind a generated name.
const SUFFIX: usize = 10;

/// Who makes an object, and for which round.
pub(crate) struct Stamp<'s> {
    pub(crate) namespace: &'s str,
    pub(crate) sensor: &'s str,
    pub(crate) trigger: &'s str,
    pub(crate) round: &'s Round,
}

impl Stamp<'_> {
    /// Sets name, namespace, labels and annotations; returns the file under the folder of objects.
    pub(crate) fn put_on(&self, object: &mut Value) -> Result<PathBuf, Error> {
        let named = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let resource = Resource::guess(named("apiVersion"), named("kind")).qualified();
        let metadata = member(object, "metadata");
        let text = |key: &str, metadata: &serde_json::Map<String, Value>| {
            metadata.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let suffix = self.round.key.as_str().get(..SUFFIX).unwrap_or(self.round.key.as_str());
        let name = match (text("name", metadata), text("generateName", metadata)) {
            (Some(name), _) => name,
            (None, Some(prefix)) => format!("{prefix}{suffix}"),
            (None, None) => {
                return Err(Error::permanent(
                    "the object has neither `metadata.name` nor `metadata.generateName`",
                ));
            }
        };
        let namespace = text("namespace", metadata).unwrap_or_else(|| self.namespace.to_owned());
        metadata.insert("name".to_owned(), json!(name));
        metadata.insert("namespace".to_owned(), json!(namespace));
        let mut labelled = Value::Object(std::mem::take(metadata));
        let labels = member(&mut labelled, "labels");
        labels.insert("events.argoproj.io/sensor".to_owned(), json!(self.sensor));
        labels.insert("events.argoproj.io/trigger".to_owned(), json!(self.trigger));
        let moment = self.round.complete_at.as_millisecond().to_string();
        labels.insert("events.argoproj.io/action-timestamp".to_owned(), json!(moment));
        let annotations = member(&mut labelled, "annotations");
        let ids: Vec<&str> = self.round.events.values().map(|event| event.id.as_str()).collect();
        annotations.insert(EVENT_IDS.to_owned(), json!(ids.join(",")));
        annotations.insert(ROUND.to_owned(), json!(self.round.key));
        if let Value::Object(labelled) = labelled {
            *member(object, "metadata") = labelled;
        }
        for part in [&namespace, &resource, &name] {
            if !is_plain(part) {
                return Err(Error::Permanent(format!(
                    "`{part}` can't be a part of a file's name: expected letters, digits, `-`, `_` and `.`"
                )));
            }
        }
        Ok(PathBuf::from(namespace).join(resource).join(format!("{name}.yaml")))
    }
}

fn is_plain(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !part.is_empty() && part.len() <= 253 && !part.starts_with('.') && part.chars().all(allowed)
}
