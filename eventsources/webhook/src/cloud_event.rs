//! CloudEvents that are passed through (S24): HTTP binding and JSON format of CloudEvents 1.0, one event or a batch.
//!
//! An event keeps its id, type, time and extension attributes. Its `source` and `subject` become the extension attributes `originsource`
//! and `originsubject`, since `source` and `subject` say here which event source it came by. Its data is the event's data: JSON as it is,
//! anything else as `{"datacontenttype": "image/png", "data_base64": "..."}`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventsource_core::{Draft, Refusal, Request};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use zetes_api::{EventId, ORIGIN_SOURCE, ORIGIN_SUBJECT};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const ANY_FORMAT: &str = "application/cloudevents";
const JSON: &str = "application/json";
/// Attributes that have a place of their own in an event.
const CORE: [&str; 7] = ["id", "source", "specversion", "type", "subject", "time", "datacontenttype"];

/// The events of a request.
///
/// # Errors
/// 400 with the attribute: there is none, or one that breaks the rules. Of a batch then none is taken.
pub(crate) fn read(request: &Request) -> Result<Vec<Draft>, Refusal> {
    let media_type = request.header("content-type").map(media_type);
    match media_type.as_deref() {
        Some(STRUCTURED) => Ok(vec![structured(&request.body)?]),
        Some(BATCH) => batch(&request.body),
        Some(other) if other.starts_with(ANY_FORMAT) => Err(Refusal::malformed(format!(
            "CloudEvents in the format `{other}` are not read, `{STRUCTURED}` is"
        ))),
        _ if request.headers.contains_key("ce-specversion") => Ok(vec![binary(request)?]),
        _ => Err(Refusal::malformed(format!(
            "no CloudEvent: expected the header `ce-specversion`, or the content type `{STRUCTURED}` or `{BATCH}`"
        ))),
    }
}

/// Without parameters, in lower case.
fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn batch(body: &[u8]) -> Result<Vec<Draft>, Refusal> {
    let events: Vec<&RawValue> = serde_json::from_slice(body)
        .map_err(|error| Refusal::malformed(format!("the batch is no JSON array: {error}")))?;
    let event = |(index, event): (usize, &&RawValue)| {
        structured(event.get().as_bytes())
            .map_err(|refusal| refusal.within(&format!("event {index} of the batch: ")))
    };
    events.iter().enumerate().map(event).collect()
}

fn structured(body: &[u8]) -> Result<Draft, Refusal> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_slice(body)
        .map_err(|error| Refusal::malformed(format!("the CloudEvent is no JSON object: {error}")))?;
    let (data, base64) = (members.remove("data"), members.remove("data_base64"));
    let mut attributes = BTreeMap::new();
    for (name, raw) in members {
        let value: Value =
            serde_json::from_str(raw.get()).map_err(|_| wrong(&name, "a text, a number or a boolean"))?;
        if !value.is_null() {
            attributes.insert(name, value);
        }
    }
    let kind = attributes.get("datacontenttype").and_then(Value::as_str).map(media_type);
    let is_json = kind.as_deref().is_none_or(is_json);
    let content = match (data.filter(|data| data.get() != "null" || is_json), base64) {
        (Some(_), Some(_)) => return Err(wrong("data", "`data` or `data_base64`, found both")),
        (Some(data), None) if is_json => Content::Json(data),
        // A text stands for the data itself (JSON format 3.1.2), whatever else for its JSON.
        (Some(data), None) => Content::Bytes(
            serde_json::from_str::<String>(data.get()).unwrap_or_else(|_| data.get().to_owned()).into_bytes(),
        ),
        (None, Some(encoded)) => Content::Bytes(decoded(encoded)?),
        (None, None) => Content::None,
    };
    draft(attributes, &content)
}

fn decoded(encoded: &RawValue) -> Result<Vec<u8>, Refusal> {
    let text: Option<String> = serde_json::from_str(encoded.get()).ok();
    text.and_then(|text| STANDARD.decode(text).ok()).ok_or_else(|| wrong("data_base64", "base64 text"))
}

fn binary(request: &Request) -> Result<Draft, Refusal> {
    let mut attributes = BTreeMap::new();
    for (name, value) in &request.headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        if matches!(name, "datacontenttype" | "data") {
            return Err(wrong(
                name,
                "the header `Content-Type` and the body instead of an attribute of that name",
            ));
        }
        let text = value
            .to_str()
            .ok()
            .and_then(header_text)
            .ok_or_else(|| wrong(name, "percent-encoded UTF-8 text"))?;
        if attributes.insert(name.to_owned(), Value::from(text)).is_some() {
            return Err(wrong(name, "one header of that name"));
        }
    }
    if let Some(content_type) = request.header("content-type") {
        attributes.insert("datacontenttype".to_owned(), Value::from(content_type));
    }
    let content = if request.body.is_empty() { Content::None } else { Content::Bytes(request.body.to_vec()) };
    draft(attributes, &content)
}

/// The text of a header's value: without quotes around it, percent-decoded (HTTP binding 3.1.3.2).
fn header_text(value: &str) -> Option<String> {
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let mut unquoted = String::new();
    let mut rest = quoted.unwrap_or(value).chars();
    while let Some(c) = rest.next() {
        unquoted.push(if c == '\\' && quoted.is_some() { rest.next()? } else { c });
    }
    percent_encoding::percent_decode_str(&unquoted).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Data as it came.
enum Content<'c> {
    None,
    Json(&'c RawValue),
    Bytes(Vec<u8>),
}

/// Data that is no JSON.
#[derive(Serialize)]
struct Encoded<'e> {
    datacontenttype: &'e str,
    data_base64: String,
}

fn draft(mut attributes: BTreeMap<String, Value>, content: &Content<'_>) -> Result<Draft, Refusal> {
    if text(&attributes, "specversion")? != Some("1.0") {
        return Err(wrong("specversion", "`1.0`"));
    }
    let id = EventId::from(required(&attributes, "id")?);
    let event_type = required(&attributes, "type")?.to_owned();
    let source = required(&attributes, "source")?.to_owned();
    if source.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(wrong("source", "a URI reference"));
    }
    let subject = text(&attributes, "subject")?.map(str::to_owned);
    let time = text(&attributes, "time")?.map(str::parse::<Timestamp>).transpose();
    let time = time.map_err(|_| wrong("time", "an RFC 3339 time"))?;
    let content_type = text(&attributes, "datacontenttype")?.unwrap_or(JSON).to_owned();
    let draft = with_data(id, content, &content_type)?.typed(event_type);
    attributes.retain(|name, _| !CORE.contains(&name.as_str()));
    for (name, value) in &attributes {
        extension(name, value)?;
    }
    attributes.insert(ORIGIN_SOURCE.to_owned(), Value::from(source));
    attributes.remove(ORIGIN_SUBJECT);
    attributes.extend(subject.map(|subject| (ORIGIN_SUBJECT.to_owned(), Value::from(subject))));
    let draft = draft.extended(attributes);
    Ok(match time {
        Some(time) => draft.at(time),
        None => draft,
    })
}

fn with_data(id: EventId, content: &Content<'_>, content_type: &str) -> Result<Draft, Refusal> {
    let is_json = is_json(&media_type(content_type));
    let made = match content {
        Content::None => Draft::json(Some(id), &()),
        Content::Json(data) => Draft::json(Some(id), &data),
        Content::Bytes(bytes) if is_json => {
            let data: &RawValue = serde_json::from_slice(bytes)
                .map_err(|error| wrong("data", format_args!("JSON, as `{content_type}` says ({error})")))?;
            Draft::json(Some(id), &data)
        }
        Content::Bytes(bytes) => Draft::json(
            Some(id),
            &Encoded { datacontenttype: content_type, data_base64: STANDARD.encode(bytes) },
        ),
    };
    made.map_err(|error| Refusal::malformed(error.to_string()))
}

fn is_json(media_type: &str) -> bool {
    matches!(media_type, JSON | "text/json") || media_type.ends_with("+json")
}

fn text<'a>(attributes: &'a BTreeMap<String, Value>, name: &str) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = attributes.get(name) else { return Ok(None) };
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(Some)
        .ok_or_else(|| wrong(name, "a text that is not empty"))
}

fn required<'a>(attributes: &'a BTreeMap<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    text(attributes, name)?.ok_or_else(|| wrong(name, "a text that is not empty, found none"))
}

fn extension(name: &str, value: &Value) -> Result<(), Refusal> {
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !is_name {
        return Err(wrong(name, "a name of lower-case letters and digits"));
    }
    if value.is_object() || value.is_array() {
        return Err(wrong(name, "a text, a number or a boolean"));
    }
    Ok(())
}

fn wrong(attribute: &str, expected: impl std::fmt::Display) -> Refusal {
    Refusal::malformed(format!("CloudEvents attribute `{attribute}`: expected {expected}"))
}
