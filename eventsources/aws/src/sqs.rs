//! `sqs`: messages of Amazon SQS (spec/event-sources.md 2.16).
//!
//! At least once: messages are deleted when their events are durable, and come again with the same ids after a crash. The order of
//! a FIFO queue's groups is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connection_aws::{Connection, Settings};
use eventsource_core::{Body, Check, Context, Draft, Error, EventSource, SourceFilter};
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zetes_api::{EventId, Invalid, SecretKeyRef};

use crate::account;

/// As many as one request may receive, or delete.
const BATCH: usize = 10;
/// Requests at a time while the queue is full of messages; one while it is empty.
const MOST_RECEIVES: usize = 8;
/// A connection that died silently is noticed so long after SQS should have answered, twice: one attempt more is made.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
const DEFAULT_WAIT: i64 = 3;
const DEFAULT_VISIBILITY: i64 = 120;
/// SQS has two words for it, one for each of its protocols.
const NO_QUEUE: [&str; 2] = ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"];

/// Which queue is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// AWS region.
    pub region: String,
    /// Name of the queue.
    pub queue: String,
    /// Account that owns the queue. Default: our own.
    pub queue_account_id: String,
    /// Seconds that one request waits for messages, at most 20. 0 means 3.
    pub wait_time_seconds: i64,
    /// Seconds for which a message is hidden from other readers, and after which it comes again if it was not deleted, at most 43,200.
    /// 0 means 120. Zetes' own; the bus must take the event within this time.
    pub visibility_timeout_seconds: i64,
    /// Secret that holds the access key; with `secretKey`. Default: default AWS credentials.
    pub access_key: Option<SecretKeyRef>,
    /// Secret that holds the secret key; with `accessKey`.
    pub secret_key: Option<SecretKeyRef>,
    /// Secret that holds the session token of temporary keys.
    pub session_token: Option<SecretKeyRef>,
    /// Role that is assumed; the two keys are unused then.
    #[serde(rename = "roleARN")]
    pub role_arn: String,
    /// Address of the service, instead of Amazon's, `http://localhost:4566` for example.
    pub endpoint: String,
    /// Secret that holds the PEM certificates which are trusted at `endpoint` instead of the system's. Zetes' own.
    pub ca_certificate: Option<SecretKeyRef>,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// A message whose body is no JSON, though `jsonBody` says so, stays in the queue, which hands it out again until its own
    /// dead-letter queue takes it: give the queue a redrive policy. Without `dlq` such a message is kept among Zetes' dead letters, and
    /// deleted.
    pub dlq: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

impl Config {
    fn settings(&self, cx: &Context) -> Settings {
        Settings {
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            role_arn: self.role_arn.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            session_token: self.session_token.clone(),
            ca_certificate: self.ca_certificate.clone(),
            ..account::settings(cx)
        }
    }
}

/// The kind `sqs`.
pub struct Sqs {
    config: Config,
    aws: Connection,
    client: Client,
    url: String,
}

impl EventSource for Sqs {
    const KIND: &'static str = "sqs";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("region", &config.region);
        account::check_keys(
            &mut check,
            &config.role_arn,
            config.access_key.as_ref(),
            config.secret_key.as_ref(),
        );
        account::check_endpoint(&mut check, &config.endpoint);
        check.text("queue", &config.queue);
        for (field, seconds, most) in [
            ("waitTimeSeconds", config.wait_time_seconds, 20),
            ("visibilityTimeoutSeconds", config.visibility_timeout_seconds, 43_200),
        ] {
            if !(0..=most).contains(&seconds) {
                check.idle(field, format_args!("expected 0 to {most} seconds, found {seconds}"));
            }
        }
        check.filter(config.filter.as_ref());
        check.end()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let aws = config.settings(cx).connect().await.map_err(Error::upstream)?;
        let client = Client::new(aws.sdk_config());
        let owner = Some(&config.queue_account_id).filter(|id| !id.is_empty()).cloned();
        let asked = client.get_queue_url().queue_name(&config.queue).set_queue_owner_aws_account_id(owner);
        let asked = asked.send().await;
        let mut source = Self { config, aws, client, url: String::new() };
        source.url = asked.map_err(|error| source.failed(&error))?.queue_url.unwrap_or_default();
        Ok(source)
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        let mut requests = FuturesUnordered::new();
        let mut at_a_time = 1;
        loop {
            while requests.len() < at_a_time {
                requests.push(self.receive());
            }
            let Some(received) = cx.next_batch(&mut requests, MOST_RECEIVES).await else { return Ok(()) };
            let (mut messages, mut failure) = (Vec::new(), None);
            for received in received {
                match received {
                    Ok(received) => {
                        at_a_time = next_width(at_a_time, received.len());
                        messages.extend(received);
                    }
                    Err(error) => failure = Some(error),
                }
            }
            self.take(&messages, cx).await?;
            failure.map_or(Ok(()), Err)?;
        }
    }
}

/// Requests at a time, after one that brought so many messages.
fn next_width(at_a_time: usize, received: usize) -> usize {
    match received {
        BATCH.. => (at_a_time * 2).min(MOST_RECEIVES),
        0 => (at_a_time / 2).max(1),
        _ => at_a_time,
    }
}

impl Sqs {
    async fn receive(&self) -> Result<Vec<Message>, Error> {
        let or_default = |seconds: i64, default| if seconds == 0 { default } else { seconds };
        let wait = or_default(self.config.wait_time_seconds, DEFAULT_WAIT);
        let visibility = or_default(self.config.visibility_timeout_seconds, DEFAULT_VISIBILITY);
        let patience = Duration::from_secs(wait.unsigned_abs()) + ANSWER_PATIENCE;
        let timeouts = TimeoutConfig::builder().read_timeout(patience).build();
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .set_max_number_of_messages(i32::try_from(BATCH).ok())
            .set_visibility_timeout(i32::try_from(visibility).ok())
            .set_wait_time_seconds(i32::try_from(wait).ok())
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_attribute_names("All")
            .customize()
            .config_override(aws_sdk_sqs::Config::builder().timeout_config(timeouts))
            .send()
            .await;
        Ok(received.map_err(|error| self.failed(&error))?.messages.unwrap_or_default())
    }

    async fn take(&self, messages: &[Message], cx: &Context) -> Result<(), Error> {
        let (mut drafts, mut done) = (Vec::with_capacity(messages.len()), Vec::with_capacity(messages.len()));
        for message in messages {
            let (id, payload) = (id(message), message.body.as_deref().unwrap_or_default());
            let draft = match Body::of(payload.as_bytes(), self.config.json_body) {
                Ok(body) => Data::of(message, body, self.config.metadata.as_ref()).draft(sent(message))?,
                Err(why) if self.config.dlq => {
                    let text = format!(
                        "message {id} stays in the queue, for the queue's own dead letters (`dlq`): {why}"
                    );
                    cx.trouble(Some(text));
                    continue;
                }
                Err(why) => Draft::unreadable(Some(EventId::from(id)), payload.as_bytes().to_vec(), why),
            };
            drafts.push(draft);
            done.push(message);
        }
        cx.emit_all(drafts).await?;
        try_join_all(done.chunks(BATCH).map(|batch| self.delete(batch))).await?;
        Ok(())
    }

    async fn delete(&self, batch: &[&Message]) -> Result<(), Error> {
        let mut request = self.client.delete_message_batch().queue_url(&self.url);
        for (number, message) in batch.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .set_receipt_handle(message.receipt_handle.clone())
                .build();
            request = request.entries(entry.map_err(Error::upstream)?);
        }
        let deleted = request.send().await.map_err(|error| self.failed(&error))?;
        // They come again, and are the same events.
        let Some(first) = deleted.failed.first() else { return Ok(()) };
        let (queue, count, code) = (&self.config.queue, deleted.failed.len(), &first.code);
        let why = first.message.as_deref().unwrap_or("no reason given");
        Err(Error::upstream(format!(
            "queue `{queue}`: {count} of {} messages were not deleted: {code} ({why})",
            batch.len()
        )))
    }

    fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (queue, here) = (&self.config.queue, self.aws.address("sqs"));
        let failure = self.aws.failed(&format!("queue `{queue}`"), error, error.code(), error.message());
        if failure.is_one_of(&NO_QUEUE) {
            return Error::upstream(format!(
                "queue `{queue}` does not exist at {here}; create it, or correct `queue`, `region` or `queueAccountId`"
            ));
        }
        Error::upstream(failure)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'m> {
    message_id: &'m str,
    message_attributes: Option<BTreeMap<&'m str, Attribute<'m>>>,
    body: Body<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'m BTreeMap<String, String>>,
}

/// Names and order are those of AWS's library for Go, which Sensors know.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute<'m> {
    binary_list_values: Option<Vec<String>>,
    binary_value: Option<String>,
    data_type: &'m str,
    string_list_values: Option<&'m [String]>,
    string_value: Option<&'m str>,
}

impl<'m> From<&'m MessageAttributeValue> for Attribute<'m> {
    fn from(value: &'m MessageAttributeValue) -> Self {
        let text = |blob: &Blob| STANDARD.encode(blob);
        Self {
            binary_list_values: value.binary_list_values.as_ref().map(|list| list.iter().map(text).collect()),
            binary_value: value.binary_value.as_ref().map(text),
            data_type: &value.data_type,
            string_list_values: value.string_list_values.as_deref(),
            string_value: value.string_value.as_deref(),
        }
    }
}

impl<'m> Data<'m> {
    fn of(message: &'m Message, body: Body<'m>, metadata: Option<&'m BTreeMap<String, String>>) -> Self {
        let attributes = message.message_attributes.as_ref().filter(|attributes| !attributes.is_empty());
        let attributes =
            attributes.map(|all| all.iter().map(|(name, value)| (name.as_str(), value.into())).collect());
        Self { message_id: id(message), message_attributes: attributes, body, metadata }
    }

    fn draft(&self, sent: Option<Timestamp>) -> Result<Draft, Error> {
        let draft = Draft::json(Some(EventId::from(self.message_id)), self)?;
        Ok(match sent {
            Some(time) => draft.at(time),
            None => draft,
        })
    }
}

fn id(message: &Message) -> &str {
    message.message_id.as_deref().unwrap_or_default()
}

fn sent(message: &Message) -> Option<Timestamp> {
    let time = message.attributes.as_ref()?.get(&MessageSystemAttributeName::SentTimestamp)?;
    Timestamp::from_millisecond(time.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn data(message: &Message, metadata: Option<&BTreeMap<String, String>>) -> Value {
        let body = message.body.as_deref().unwrap_or_default();
        serde_json::to_value(Data::of(message, Body::of(body.as_bytes(), true).unwrap(), metadata)).unwrap()
    }

    #[test]
    fn the_data_is_that_of_the_reference() {
        let text = MessageAttributeValue::builder().data_type("String").string_value("eu").build().unwrap();
        let binary = MessageAttributeValue::builder()
            .data_type("Binary")
            .binary_value(Blob::new(b"\xff"))
            .build()
            .unwrap();
        let message = Message::builder()
            .message_id("m-1")
            .body(r#"{"n":12345678901234567890}"#)
            .message_attributes("region", text)
            .message_attributes("raw", binary)
            .attributes(MessageSystemAttributeName::SentTimestamp, "1700000000123")
            .build();
        let metadata = BTreeMap::from([("team".to_owned(), "ci".to_owned())]);
        let nothing = json!({"BinaryListValues": null, "BinaryValue": null, "StringListValues": null, "StringValue": null});
        let attribute = |known: Value| {
            let mut attribute = nothing.as_object().unwrap().clone();
            attribute.extend(known.as_object().unwrap().clone());
            Value::Object(attribute)
        };
        let expected = json!({
            "messageId": "m-1",
            "messageAttributes": {
                "raw": attribute(json!({"DataType": "Binary", "BinaryValue": "/w=="})),
                "region": attribute(json!({"DataType": "String", "StringValue": "eu"})),
            },
            "body": serde_json::from_str::<Value>(r#"{"n":12345678901234567890}"#).unwrap(),
            "metadata": {"team": "ci"},
        });
        assert_eq!(data(&message, Some(&metadata)), expected);
        assert_eq!(sent(&message).unwrap().to_string(), "2023-11-14T22:13:20.123Z");
    }

    #[test]
    fn a_message_without_attributes_has_null_in_their_place() {
        let message = Message::builder().message_id("m").body("1").build();
        assert_eq!(data(&message, None), json!({"messageId": "m", "messageAttributes": null, "body": 1}));
    }

    #[test]
    fn a_full_answer_doubles_the_requests_and_an_empty_one_halves_them() {
        let widths: Vec<_> = [10, 10, 10, 10, 3, 0, 0, 0, 0]
            .iter()
            .scan(1, |width, received| {
                *width = next_width(*width, *received);
                Some(*width)
            })
            .collect();
        assert_eq!(widths, [2, 4, 8, 8, 8, 4, 2, 1, 1]);
    }
}
