//! `amqp`: messages of AMQP 0-9-1 queues become events (spec/event-sources.md 2.6).
//!
//! At least once: a message is acknowledged when its event is durable, unless `autoAck` is written out (S38). The event's id is the
//! `messageId` that the sender gave. Without one it is random: AMQP has no other identity that outlives a connection, so a message that
//! comes again after a crash is a second event.

mod address;
mod arguments;
mod config;
mod consumer;
mod failure;

use std::collections::BTreeMap;

use eventsource_core::{Body, Context, Draft, Error, EventSource, NotJson};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lapin::message::Delivery;
use lapin::types::ShortString;
use serde::Serialize;
use zetes_api::{EventId, Invalid};
use zetes_schedule::go_time;

pub use config::{Config, Consume, ExchangeDeclare, QueueBind, QueueDeclare};
use consumer::Messages;

/// Messages that share one durable write.
const BATCH: usize = 256;
/// A message without a time, as the reference writes it.
const NO_TIME: &str = "0001-01-01 00:00:00 +0000 UTC";

/// The kind `amqp`.
pub struct Amqp {
    config: Config,
    messages: Messages,
}

/// The shape of the data.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'m> {
    content_type: &'m str,
    content_encoding: &'m str,
    delivery_mode: u8,
    priority: u8,
    correlation_id: &'m str,
    reply_to: &'m str,
    expiration: &'m str,
    message_id: &'m str,
    timestamp: String,
    r#type: &'m str,
    app_id: &'m str,
    exchange: &'m str,
    routing_key: &'m str,
    body: Body<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'m BTreeMap<String, String>>,
}

impl EventSource for Amqp {
    const KIND: &'static str = "amqp";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        config.check()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let messages = Messages::open(&config, cx).await?;
        Ok(Self { config, messages })
    }

    async fn run(mut self, cx: &Context) -> Result<(), Error> {
        while let Some(batch) = cx.next_batch(&mut self.messages.stream, BATCH).await {
            let (messages, end) = until_failure(batch);
            if self.config.acknowledges_early() {
                self.messages.acknowledge(&messages).await?;
            }
            let drafts: Result<_, _> = messages.iter().map(|message| draft(message, &self.config)).collect();
            cx.emit_all(drafts?).await?;
            if let Some(error) = end {
                return Err(error);
            }
            if !self.config.acknowledges_early() {
                self.messages.acknowledge(&messages).await?;
            }
        }
        self.messages.close().await;
        Ok(())
    }
}

/// The messages, and the first failure behind them.
fn until_failure(batch: Vec<Result<Delivery, Error>>) -> (Vec<Delivery>, Option<Error>) {
    let (mut messages, mut end) = (Vec::with_capacity(batch.len()), None);
    for item in batch {
        match item {
            Ok(message) => messages.push(message),
            Err(error) => drop(end.get_or_insert(error)),
        }
    }
    (messages, end)
}

fn draft(message: &Delivery, config: &Config) -> Result<Draft, Error> {
    let id = text(message.properties.message_id().as_ref());
    let id = (!id.is_empty()).then(|| EventId::from(id));
    match Data::of(message, config) {
        Ok(data) => Draft::json(id, &data),
        Err(error) => Ok(Draft::unreadable(id, message.data.clone(), error)),
    }
}

impl<'m> Data<'m> {
    fn of(message: &'m Delivery, config: &'m Config) -> Result<Self, NotJson> {
        let properties = &message.properties;
        Ok(Self {
            content_type: text(properties.content_type().as_ref()),
            content_encoding: text(properties.content_encoding().as_ref()),
            delivery_mode: properties.delivery_mode().unwrap_or_default(),
            priority: properties.priority().unwrap_or_default(),
            correlation_id: text(properties.correlation_id().as_ref()),
            reply_to: text(properties.reply_to().as_ref()),
            expiration: text(properties.expiration().as_ref()),
            message_id: text(properties.message_id().as_ref()),
            timestamp: time(*properties.timestamp()),
            r#type: text(properties.kind().as_ref()),
            app_id: text(properties.app_id().as_ref()),
            exchange: message.exchange.as_str(),
            routing_key: message.routing_key.as_str(),
            body: Body::of(&message.data, config.json_body)?,
            metadata: config.metadata.as_ref(),
        })
    }
}

fn text(property: Option<&ShortString>) -> &str {
    property.map_or("", ShortString::as_str)
}

/// Seconds since 1970, as the reference writes them on a clock that stands at UTC.
fn time(seconds: Option<u64>) -> String {
    let at = seconds.and_then(|seconds| Timestamp::from_second(i64::try_from(seconds).ok()?).ok());
    at.map_or_else(|| NO_TIME.to_owned(), |at| go_time::format(&at.to_zoned(TimeZone::UTC)))
}

#[cfg(test)]
mod tests;
