//! What a record becomes. No I/O.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use eventsource_core::{Body, Draft, Error};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rdkafka::message::{Headers as _, Message};
use serde::Serialize;
use serde_json::value::RawValue;
use zetes_api::EventId;

/// How Go prints a time that was never set.
const NEVER: &str = "0001-01-01 00:00:00 +0000 UTC";

/// The shape of the data.
#[derive(Serialize)]
struct Data<'d> {
    topic: &'d str,
    key: Cow<'d, str>,
    partition: i32,
    body: Body<'d>,
    timestamp: String,
    /// The last one of a name counts.
    headers: BTreeMap<&'d str, Cow<'d, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'d BTreeMap<String, String>>,
}

/// What all records of an event source have in common.
#[derive(Debug)]
pub(crate) struct Shape {
    /// `<event source>:<event>:<first broker>`.
    pub(crate) origin: String,
    pub(crate) json_body: bool,
    pub(crate) metadata: Option<BTreeMap<String, String>>,
}

impl Shape {
    pub(crate) fn id(&self, record: &impl Message) -> EventId {
        let (topic, partition, offset) = (record.topic(), record.partition(), record.offset());
        EventId::from(format!("{}:{topic}:{partition}:{offset}", self.origin))
    }

    /// The event of a record whose value is the body as it stands.
    pub(crate) fn draft(&self, record: &impl Message) -> Result<Draft, Error> {
        match record.payload().map(|value| Body::of(value, self.json_body)) {
            None => self.with_body(record, Body::Absent),
            Some(Ok(body)) => self.with_body(record, body),
            Some(Err(why)) => Ok(self.unreadable(record, why)),
        }
    }

    /// The event of a record whose value was decoded.
    pub(crate) fn decoded(&self, record: &impl Message, body: &RawValue) -> Result<Draft, Error> {
        self.with_body(record, Body::Json(body))
    }

    pub(crate) fn unreadable(&self, record: &impl Message, why: impl std::fmt::Display) -> Draft {
        Draft::unreadable(Some(self.id(record)), record.payload().unwrap_or_default().to_vec(), why)
    }

    fn with_body(&self, record: &impl Message, body: Body<'_>) -> Result<Draft, Error> {
        let Some(headers) = headers(record) else {
            return Ok(self.unreadable(record, "the name of a header is no UTF-8 text"));
        };
        let data = Data {
            topic: record.topic(),
            key: text(record.key()),
            partition: record.partition(),
            body,
            timestamp: time(record.timestamp().to_millis()),
            headers,
            metadata: self.metadata.as_ref(),
        };
        Draft::json(Some(self.id(record)), &data)
    }
}

/// `None` where the name of one is no UTF-8 text: the client has no other answer to that than a panic.
fn headers<M: Message>(record: &M) -> Option<BTreeMap<&str, Cow<'_, str>>> {
    let read = || {
        let headers = record.headers().into_iter().flat_map(|headers| headers.iter());
        headers.map(|header| (header.key, text(header.value))).collect()
    };
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// As the reference shows bytes: what is no text is replaced, what is absent is empty.
fn text(bytes: Option<&[u8]>) -> Cow<'_, str> {
    bytes.map_or(Cow::Borrowed(""), String::from_utf8_lossy)
}

/// As the reference prints it on a clock that stands at UTC.
fn time(milliseconds: Option<i64>) -> String {
    let at = milliseconds.and_then(|at| Timestamp::from_millisecond(at).ok());
    at.map_or_else(
        || NEVER.to_owned(),
        |at| zetes_gotime::format(zetes_gotime::DEFAULT, &at.to_zoned(TimeZone::UTC)),
    )
}
