//! An event: CloudEvents 1.0, JSON format (spec/control-plane.md 3.1).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::decision::EventRef;
use crate::document::Document;
use crate::name::{EventId, EventName, ObjectName};

/// A CloudEvents 1.0 event. Cloning shares the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: EventId,
    /// Name of the EventSource object.
    pub source: ObjectName,
    /// Name of the event in that object.
    pub subject: EventName,
    /// Kind of the event source, as in spec/event-sources.md 1.1.
    pub event_type: String,
    pub time: Option<Timestamp>,
    pub datacontenttype: Option<String>,
    /// Extension attributes, kept and passed on; `specversion` is among them where it is not 1.0.
    pub extensions: BTreeMap<String, Value>,
    /// The data's bytes; `None` is no data at all.
    pub data: Option<Bytes>,
    /// What was found when somebody looked inside; new events begin with the default.
    pub document: Document,
}

/// Why bytes are no event.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("attribute `{attribute}`: expected {expected}")]
    Attribute { attribute: &'static str, expected: &'static str },
}

/// The envelope on the wire. Data is borrowed text, so that it stays byte for byte.
#[derive(Serialize, Deserialize)]
struct Envelope<'e> {
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    specversion: Option<std::borrow::Cow<'e, str>>,
    #[serde(default)]
    id: String,
    #[serde(default)]
    source: String,
    #[serde(default, rename = "type")]
    event_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(default, borrow, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    data: Option<&'e RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

/// JSON null is data, too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

const JSON: &str = "application/json";
const SPECVERSION: &str = "specversion";
const V1: &str = "1.0";
/// The version before, which some still write. What this reads of it is named alike in both.
const V0_3: &str = "0.3";

/// Attributes that are no extensions.
const ATTRIBUTES: [&str; 9] =
    [SPECVERSION, "id", "source", "type", "subject", "datacontenttype", "time", "data", "data_base64"];

/// Extension attribute of an event that was passed through (S24): the `source` that it came with.
pub const ORIGIN_SOURCE: &str = "originsource";
/// Its `subject`, if it came with one.
pub const ORIGIN_SUBJECT: &str = "originsubject";

impl Event {
    /// A new event with JSON data and without a time; `event_type` is the kind of its event source.
    pub fn with_data(
        event_type: impl Into<String>,
        source: impl Into<ObjectName>,
        subject: impl Into<EventName>,
        id: impl Into<EventId>,
        data: impl Into<Bytes>,
    ) -> Self {
        Self {
            id: id.into(),
            source: source.into(),
            subject: subject.into(),
            event_type: event_type.into(),
            time: None,
            datacontenttype: Some(JSON.to_owned()),
            extensions: BTreeMap::new(),
            data: Some(data.into()),
            document: Document::default(),
        }
    }

    /// Which event this is, without its data.
    pub fn to_ref(&self) -> EventRef {
        EventRef { source: self.source.clone(), event: self.subject.clone(), id: self.id.clone() }
    }

    /// The data as text; empty when there is none, `None` when it is not UTF-8.
    pub fn data_text(&self) -> Option<&str> {
        self.data.as_ref().map_or(Some(""), |data| std::str::from_utf8(data).ok())
    }

    /// The data as JSON text, read once for everybody; `None` where there is none or it is not JSON.
    pub fn json_text(&self) -> Option<&str> {
        self.document.text(self.data.as_deref()?)
    }

    /// The data as a tree, read once for everybody; `None` where there is none or it is not JSON.
    pub fn json(&self) -> Option<&Value> {
        self.document.tree(self.data.as_deref()?)
    }

    /// Zetes' own layout: JSON data stands under `data` as it is, other bytes in base64.
    pub fn to_json(&self) -> Vec<u8> {
        let json = self.json_data();
        self.envelope(json, json.is_none())
    }

    /// The reference's layout: data always in base64 (spec/control-plane.md 3.1).
    pub fn to_argo_json(&self) -> Vec<u8> {
        self.envelope(None, true)
    }

    fn envelope(&self, data: Option<&RawValue>, base64: bool) -> Vec<u8> {
        let envelope = Envelope {
            specversion: Some(self.specversion().into()),
            id: self.id.to_string(),
            source: self.source.to_string(),
            event_type: self.event_type.clone(),
            subject: Some(self.subject.to_string()),
            datacontenttype: self.datacontenttype.clone(),
            time: self.time.map(|time| time.to_string()),
            data,
            data_base64: self.data.as_ref().filter(|_| base64).map(|data| STANDARD.encode(data)),
        };
        let mut bytes = serde_json::to_vec(&envelope).unwrap_or_default();
        let extensions = self.extensions.iter().filter(|(name, _)| *name != SPECVERSION);
        let extensions: BTreeMap<_, _> = extensions.collect();
        if !extensions.is_empty() && bytes.pop() == Some(b'}') {
            let extensions = serde_json::to_vec(&extensions).unwrap_or_default();
            bytes.push(b',');
            bytes.extend(extensions.into_iter().skip(1));
        }
        bytes
    }

    fn specversion(&self) -> &str {
        self.extensions.get(SPECVERSION).and_then(Value::as_str).unwrap_or(V1)
    }

    fn json_data(&self) -> Option<&RawValue> {
        let data = self.data.as_ref().filter(|_| is_json(self.datacontenttype.as_deref()))?;
        serde_json::from_slice::<&RawValue>(data).ok().filter(|raw| raw.get().len() == data.len())
    }

    /// Reads either layout. Attributes that are none of CloudEvents' own are kept as extensions.
    ///
    /// # Errors
    /// Not JSON, no `specversion`, or a time or base64 text that can't be read.
    pub fn from_json(bytes: &[u8]) -> Result<Self, EventError> {
        let envelope: Envelope<'_> = serde_json::from_slice(bytes)?;
        let mut extensions = extensions(bytes)?;
        match envelope.specversion.as_deref() {
            Some(V1) => {}
            Some(V0_3) => drop(extensions.insert(SPECVERSION.to_owned(), Value::from(V0_3))),
            _ => return Err(EventError::Attribute { attribute: SPECVERSION, expected: "`1.0` or `0.3`" }),
        }
        for (attribute, text) in
            [("id", &envelope.id), ("source", &envelope.source), ("type", &envelope.event_type)]
        {
            if text.is_empty() {
                return Err(EventError::Attribute { attribute, expected: "a text that is not empty" });
            }
        }
        let time = envelope.time.map(|time| time.parse()).transpose();
        let time =
            time.map_err(|_| EventError::Attribute { attribute: "time", expected: "an RFC 3339 time" })?;
        let decoded = envelope.data_base64.map(|text| STANDARD.decode(text)).transpose();
        let decoded =
            decoded.map_err(|_| EventError::Attribute { attribute: "data_base64", expected: "base64" })?;
        let is_json = is_json(envelope.datacontenttype.as_deref());
        let data = envelope.data.map(|raw| data_bytes(raw.get(), is_json));
        Ok(Self {
            id: envelope.id.into(),
            source: envelope.source.into(),
            subject: envelope.subject.unwrap_or_default().into(),
            event_type: envelope.event_type,
            time,
            datacontenttype: envelope.datacontenttype,
            extensions,
            data: decoded.map(Bytes::from).or(data),
            document: Document::default(),
        })
    }

    /// The document that `contextKey` reads (spec/sensors.md 2): time in UTC with seconds, null when unset. An event that was passed
    /// through shows its extension attributes behind, those of its origin among them; others show none, as in the reference.
    pub fn context_json(&self) -> String {
        let time = self.time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let fields = [
            ("id", Value::from(self.id.as_str())),
            ("source", Value::from(self.source.as_str())),
            (SPECVERSION, Value::from(self.specversion())),
            ("type", Value::from(self.event_type.as_str())),
            ("datacontenttype", Value::from(self.datacontenttype.as_deref().unwrap_or_default())),
            ("subject", Value::from(self.subject.as_str())),
            ("time", time.map_or(Value::Null, Value::from)),
        ];
        let is_passed_through = self.extensions.contains_key(ORIGIN_SOURCE);
        let extensions = self.extensions.iter().filter(|(name, _)| is_passed_through && *name != SPECVERSION);
        let extensions = extensions.map(|(name, value)| (name.as_str(), value));
        let fields = fields.iter().map(|(name, value)| (*name, value)).chain(extensions);
        let members: Vec<String> = fields
            .map(|(name, value)| format!("{}:{}", go_json(&Value::from(name)), go_json(value)))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// The whole event as a parameter without any key sees it: context, and data in base64.
    pub fn whole_json(&self) -> String {
        let data = self
            .data
            .as_ref()
            .map_or_else(|| "null".to_owned(), |data| format!("\"{}\"", STANDARD.encode(data)));
        format!("{{\"context\":{},\"data\":{data}}}", self.context_json())
    }
}

fn is_json(media_type: Option<&str>) -> bool {
    let media_type = media_type.unwrap_or(JSON);
    media_type == JSON || media_type.ends_with("+json")
}

/// A text that stands for data of another media type is that data; everything else is kept byte for byte.
fn data_bytes(raw: &str, is_json: bool) -> Bytes {
    let text = if is_json { None } else { serde_json::from_str::<String>(raw).ok() };
    text.map_or_else(|| Bytes::copy_from_slice(raw.as_bytes()), Bytes::from)
}

/// JSON text with `<`, `>` and `&` escaped, as Go writes it.
fn go_json(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Whether an object has members that are no attributes; keeps nothing of them.
struct HasOthers(bool);

/// A member's name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'e>(#[serde(borrow)] std::borrow::Cow<'e, str>);

impl<'de> Deserialize<'de> for HasOthers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> serde::de::Visitor<'de> for Names {
            type Value = HasOthers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<HasOthers, A::Error> {
                let mut has_others = false;
                while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
                    has_others |= !ATTRIBUTES.contains(&&*name);
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
                Ok(HasOthers(has_others))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// A second look at the same bytes; short when no attribute has another name, as is usual.
fn extensions(bytes: &[u8]) -> Result<BTreeMap<String, Value>, EventError> {
    if !serde_json::from_slice::<HasOthers>(bytes)?.0 {
        return Ok(BTreeMap::new());
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes)?;
    let others = members.into_iter().filter(|(name, _)| !ATTRIBUTES.contains(&name.as_str()));
    let others = others.map(|(name, raw)| Ok((name, serde_json::from_str(raw.get())?)));
    let others: BTreeMap<String, Value> = others.collect::<Result<_, serde_json::Error>>()?;
    if others.values().any(|value| value.is_object() || value.is_array()) {
        return Err(EventError::Attribute {
            attribute: "extension",
            expected: "a text, a number or a boolean",
        });
    }
    Ok(others)
}
