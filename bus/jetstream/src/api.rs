//! Requests to JetStream: JSON in, JSON out, with errors that say what is wrong.

use std::time::Duration;

use async_nats::{Message, Request, RequestErrorKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bus_core::BusError;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::link::Live;

/// How long one answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// A question is asked so often within that time.
const REPEATS: u32 = 5;
const PREFIX: &str = "$JS.API.";

/// Codes of JetStream's errors that something is decided by.
pub(crate) mod code {
    pub(crate) const NO_PEERS: u64 = 10_005;
    pub(crate) const CONSUMER_NOT_FOUND: u64 = 10_014;
    pub(crate) const NO_MESSAGE: u64 = 10_037;
    pub(crate) const STREAM_NAME_IN_USE: u64 = 10_058;
    pub(crate) const STREAM_NOT_FOUND: u64 = 10_059;
    pub(crate) const WRONG_LAST_SEQUENCE: u64 = 10_071;
    pub(crate) const STORE_FAILED: u64 = 10_077;
    pub(crate) const DUPLICATE_IN_PROCESS: u64 = 10_158;
    pub(crate) const WRONG_LAST_SEQUENCE_CONSTANT: u64 = 10_164;
}

/// Why a request brought nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// JetStream says no.
    #[error("{description} (JetStream error {code})")]
    Refused { code: u64, description: String },
    /// The server lets this user not send it.
    #[error("the user of the NATS server may not use `{0}`; allow it in the server's permissions")]
    Denied(String),
    /// Nobody listens there: no JetStream, no such stream, or nobody leads it now.
    #[error(
        "JetStream does not answer `{0}`; see whether it is switched on, and whether enough servers of the cluster run"
    )]
    NobodyThere(String),
    /// In any other way: it may have been carried out.
    #[error("{0}")]
    Unanswered(String),
}

impl ApiError {
    pub(crate) fn is(&self, wanted: u64) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }
}

impl From<ApiError> for BusError {
    fn from(error: ApiError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

#[derive(Deserialize)]
struct Failed {
    error: Option<FailedBody>,
}

#[derive(Deserialize)]
struct FailedBody {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// A stream as the server tells it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: Map<String, Value>,
    pub(crate) created: String,
    pub(crate) state: StreamState,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StreamState {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    #[serde(default)]
    pub(crate) subjects: Option<Map<String, Value>>,
}

/// A consumer as the server tells it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ConsumerInfo {
    pub(crate) name: String,
    pub(crate) config: Map<String, Value>,
    pub(crate) ack_floor: Floor,
    #[serde(default)]
    pub(crate) num_ack_pending: u64,
    #[serde(default)]
    pub(crate) num_pending: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Floor {
    pub(crate) stream_seq: u64,
}

impl ConsumerInfo {
    /// What it is handed.
    pub(crate) fn filters(&self) -> Vec<String> {
        let one =
            self.config.get("filter_subject").and_then(Value::as_str).filter(|filter| !filter.is_empty());
        let many = self.config.get("filter_subjects").and_then(Value::as_array).into_iter().flatten();
        one.into_iter().chain(many.filter_map(Value::as_str)).map(str::to_owned).collect()
    }
}

/// A message that was read back.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Bytes,
    pub(crate) time: Timestamp,
}

impl Stored {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

#[derive(Deserialize)]
struct MessageAnswer {
    message: RawMessage,
}

#[derive(Deserialize)]
struct RawMessage {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: Option<String>,
    #[serde(default)]
    data: Option<String>,
    time: String,
}

/// Questions and acknowledgements.
fn may_be_repeated(subject: &str) -> bool {
    let is_question = ["STREAM.INFO.", "STREAM.MSG.GET.", "CONSUMER.INFO.", "CONSUMER.NAMES."];
    let path = subject.strip_prefix(PREFIX).unwrap_or_default();
    is_question.iter().any(|question| path.starts_with(question)) || subject.starts_with("$JS.ACK.")
}

impl Live {
    /// Asks JetStream. `path` stands behind `$JS.API.`.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, ApiError> {
        let subject = format!("{PREFIX}{path}");
        let payload = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let answer = self.request(&subject, payload).await?.payload;
        let unreadable = |error: serde_json::Error| {
            ApiError::Unanswered(format!(
                "the answer of the NATS server to `{subject}` can't be read: {error}"
            ))
        };
        let failed: Failed = serde_json::from_slice(&answer).map_err(unreadable)?;
        if let Some(FailedBody { err_code, description }) = failed.error {
            return Err(ApiError::Refused { code: err_code, description });
        }
        serde_json::from_slice(&answer).map_err(unreadable)
    }

    /// One message and its answer. What changes nothing the second time is sent again meanwhile: one that came while nobody led is
    /// lost, and the answer to the next is not to wait for the first one's end.
    pub(crate) async fn request(&self, subject: &str, payload: Bytes) -> Result<Message, ApiError> {
        let (tries, patience) =
            if may_be_repeated(subject) { (REPEATS, PATIENCE / REPEATS) } else { (1, PATIENCE) };
        for _ in 0..tries {
            let request = Request::new().payload(payload.clone()).timeout(Some(patience));
            let asked = self.client.send_request(subject.to_owned(), request);
            match self.until_gone(|denied| denied == subject, asked).await? {
                Ok(answer) => return Ok(answer),
                Err(error) if error.kind() == RequestErrorKind::TimedOut => {}
                Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                    return Err(ApiError::NobodyThere(subject.to_owned()));
                }
                Err(error) => {
                    return Err(ApiError::Unanswered(format!("`{subject}` could not be sent: {error}")));
                }
            }
        }
        Err(ApiError::Unanswered(format!(
            "no answer to `{subject}` within {} s; see whether the server is overloaded, or the cluster without a leader",
            PATIENCE.as_secs()
        )))
    }

    pub(crate) async fn stream_info(&self, stream: &str) -> Result<StreamInfo, ApiError> {
        self.ask(&format!("STREAM.INFO.{stream}"), &Value::Null).await
    }

    /// All subjects of a stream that match, in order.
    pub(crate) async fn subjects(&self, stream: &str, filter: &str) -> Result<Vec<String>, ApiError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            total: usize,
            state: StreamState,
        }
        let mut subjects: Vec<String> = Vec::new();
        loop {
            let body = json!({"subjects_filter": filter, "offset": subjects.len()});
            let page: Page = self.ask(&format!("STREAM.INFO.{stream}"), &body).await?;
            let found: Vec<String> =
                page.state.subjects.unwrap_or_default().into_iter().map(|(subject, _)| subject).collect();
            let is_last = found.is_empty();
            subjects.extend(found);
            if is_last || subjects.len() >= page.total {
                subjects.sort_unstable();
                return Ok(subjects);
            }
        }
    }

    /// The message that `which` names, from the stream's leader; `None` when there is none.
    pub(crate) async fn message(&self, stream: &str, which: &Value) -> Result<Option<Stored>, ApiError> {
        match self.ask::<MessageAnswer>(&format!("STREAM.MSG.GET.{stream}"), which).await {
            Ok(answer) => stored(answer.message)
                .map(Some)
                .ok_or_else(|| ApiError::Unanswered(format!("a message of stream `{stream}` can't be read"))),
            Err(error) if error.is(code::NO_MESSAGE) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The last message of a subject.
    pub(crate) async fn last(&self, stream: &str, subject: &str) -> Result<Option<Stored>, ApiError> {
        self.message(stream, &json!({"last_by_subj": subject})).await
    }

    /// The first message at or after a sequence on any of the subjects.
    pub(crate) async fn next(
        &self,
        stream: &str,
        from: u64,
        subjects: &[String],
    ) -> Result<Option<Stored>, ApiError> {
        let mut first: Option<Stored> = None;
        for subject in subjects {
            let found = self.message(stream, &json!({"seq": from.max(1), "next_by_subj": subject})).await?;
            first = match (first, found) {
                (Some(first), Some(found)) if found.sequence > first.sequence => Some(first),
                (first, found) => found.or(first),
            };
        }
        Ok(first)
    }

    /// Takes messages away: those below `keep`, or those of a subject.
    pub(crate) async fn purge(&self, stream: &str, which: &Value) -> Result<u64, ApiError> {
        #[derive(Deserialize)]
        struct Purged {
            #[serde(default)]
            purged: u64,
        }
        let purged: Purged = self.ask(&format!("STREAM.PURGE.{stream}"), which).await?;
        Ok(purged.purged)
    }

    pub(crate) async fn consumer_info(&self, stream: &str, durable: &str) -> Result<ConsumerInfo, ApiError> {
        self.ask(&format!("CONSUMER.INFO.{stream}.{durable}"), &Value::Null).await
    }

    /// All consumers of a stream that there are, each as its own leader tells it.
    pub(crate) async fn consumers(&self, stream: &str) -> Result<Vec<ConsumerInfo>, ApiError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            total: usize,
            #[serde(default)]
            consumers: Option<Vec<String>>,
        }
        let mut names: Vec<String> = Vec::new();
        loop {
            let body = json!({"offset": names.len()});
            let page: Page = self.ask(&format!("CONSUMER.NAMES.{stream}"), &body).await?;
            let found = page.consumers.unwrap_or_default();
            let is_last = found.is_empty();
            names.extend(found);
            if is_last || names.len() >= page.total {
                break;
            }
        }
        let asked = names.iter().map(|name| self.consumer_info(stream, name));
        let answers = futures_util::future::join_all(asked).await;
        let there = answers
            .into_iter()
            .filter(|answer| !answer.as_ref().is_err_and(|error| error.is(code::CONSUMER_NOT_FOUND)));
        there.collect()
    }

    /// Creates a durable consumer, or changes the one that is there.
    pub(crate) async fn put_consumer(
        &self,
        stream: &str,
        durable: &str,
        config: &Map<String, Value>,
    ) -> Result<ConsumerInfo, ApiError> {
        let body = json!({"stream_name": stream, "config": config});
        self.ask(&format!("CONSUMER.DURABLE.CREATE.{stream}.{durable}"), &body).await
    }

    pub(crate) async fn delete_consumer(&self, stream: &str, durable: &str) -> Result<(), ApiError> {
        match self.ask::<Value>(&format!("CONSUMER.DELETE.{stream}.{durable}"), &Value::Null).await {
            Err(error) if !error.is(code::CONSUMER_NOT_FOUND) => Err(error),
            _ => Ok(()),
        }
    }
}

fn stored(raw: RawMessage) -> Option<Stored> {
    let decode = |text: Option<String>| STANDARD.decode(text.unwrap_or_default()).ok();
    let headers = String::from_utf8(decode(raw.hdrs)?).ok()?;
    let headers = headers.lines().skip(1).filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let (payload, time) = (decode(raw.data)?.into(), raw.time.parse().ok()?);
    Some(Stored { sequence: raw.seq, subject: raw.subject, headers, payload, time })
}
