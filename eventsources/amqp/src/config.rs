//! What an author writes under `amqp`.

use std::collections::BTreeMap;

use eventsource_core::{Check, SourceFilter};
use lapin::types::FieldTable;
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Backoff, BasicAuth, Finding, Invalid, SecretKeyRef, Tls};

use crate::address::Address;
use crate::arguments;

/// Bytes of a name in the protocol.
const LONGEST_NAME: usize = 255;

/// Which messages are received. A partial object sets its other members to false.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Address of the broker, `amqp://host:5672/vhost`, with TLS `amqps://host:5671/vhost`; instead of `urlSecret`.
    pub url: String,
    /// Secret that holds the address; instead of `url`.
    pub url_secret: Option<SecretKeyRef>,
    /// Name of the exchange.
    pub exchange_name: String,
    /// `direct`, `fanout`, `topic`, `headers`, or that of a plugin.
    pub exchange_type: String,
    /// Routing key of the binding; needed for `fanout`, too.
    pub routing_key: String,
    /// How the exchange is declared. Absent: durable.
    pub exchange_declare: Option<ExchangeDeclare>,
    /// How the queue is declared. Absent: named by the broker, exclusive; it ends with the connection, and what is sent until the next
    /// one is lost. A name and `durable: true` lose nothing.
    pub queue_declare: Option<QueueDeclare>,
    /// How the queue is bound to the exchange.
    pub queue_bind: Option<QueueBind>,
    /// How messages are consumed. Absent: acknowledged when their events are durable.
    pub consume: Option<Consume>,
    /// Accepted; Zetes connects anew for ever, with growing pauses.
    pub connection_backoff: Option<Backoff>,
    /// TLS to the server, where the address begins with `amqps://`. Without it the system's certificates count.
    pub tls: Option<Tls>,
    /// User name and password (SASL PLAIN); they win over the address's.
    pub auth: Option<BasicAuth>,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// How the exchange is declared.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the protocol")]
pub struct ExchangeDeclare {
    /// It outlives the broker.
    pub durable: bool,
    /// It is deleted when nothing is bound to it any more.
    pub auto_delete: bool,
    /// Nobody may publish to it.
    pub internal: bool,
    /// Accepted; the broker's confirmation is waited for all the same, so that a refusal is told.
    pub no_wait: bool,
}

/// How the queue is declared.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the protocol")]
pub struct QueueDeclare {
    /// Its name; without one the broker gives it a unique name.
    pub name: String,
    /// It outlives the broker.
    pub durable: bool,
    /// It is deleted when nobody consumes from it any more.
    pub auto_delete: bool,
    /// Only this connection uses it, and it ends with it.
    pub exclusive: bool,
    /// Accepted; the broker's confirmation is waited for all the same, so that a refusal is told.
    pub no_wait: bool,
    /// YAML map of arguments, `x-queue-type: quorum` for example.
    pub arguments: String,
}

/// How the queue is bound.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueBind {
    /// Accepted; the broker's confirmation is waited for all the same, so that a refusal is told.
    pub no_wait: bool,
}

/// How messages are consumed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the protocol")]
pub struct Consume {
    /// Name of the consumer.
    pub consumer_tag: String,
    /// A message counts as received before its event is durable: what is in hand at a crash, or when the bus refuses, is lost.
    pub auto_ack: bool,
    /// Nobody else consumes from the queue.
    pub exclusive: bool,
    /// Accepted; `RabbitMQ` does not know it.
    pub no_local: bool,
    /// Accepted; the broker's confirmation is waited for all the same, so that a refusal is told.
    pub no_wait: bool,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        self.check_address(&mut check);
        check.text("routingKey", &self.routing_key);
        check.text("exchangeType", &self.exchange_type);
        if self.exchange_name.is_empty() {
            check.idle("exchangeName", "expected `exchangeName`");
        }
        let queue = self.queue_declare.as_ref();
        let names = [
            ("routingKey", self.routing_key.as_str()),
            ("exchangeType", &self.exchange_type),
            ("exchangeName", &self.exchange_name),
            ("queueDeclare.name", queue.map_or("", |queue| &queue.name)),
            ("consume.consumerTag", self.consume.as_ref().map_or("", |consume| &consume.consumer_tag)),
        ];
        for (field, name) in names.into_iter().filter(|(_, name)| name.len() > LONGEST_NAME) {
            let found = name.len();
            check.idle(field, format_args!("expected at most {LONGEST_NAME} bytes, found {found}"));
        }
        if let Err(error) = self.arguments() {
            check.idle("queueDeclare.arguments", error);
        }
        check.tls("tls", self.tls.as_ref());
        check.basic_auth("auth", self.auth.as_ref());
        check.filter(self.filter.as_ref());
        check.end()
    }

    fn check_address(&self, check: &mut Check) {
        match (self.url.is_empty(), self.url_secret.is_some()) {
            (true, false) => check.missing("url", "`url` or `urlSecret`"),
            (true, true) => {}
            (false, true) => check.bad("urlSecret", "expected one of `url` and `urlSecret`, found both"),
            (false, false) => match Address::parse(&self.url) {
                None => check.idle("url", "expected an address that begins with `amqp://` or `amqps://`"),
                Some(address) if self.tls.is_some() && !address.speaks_tls() => {
                    let message = format!("{} does not speak TLS, so `tls` has no effect", address.place());
                    check.extend([Finding::warning("no-tls", "tls", message).hint("write `amqps://`")]);
                }
                Some(_) => {}
            },
        }
    }

    /// Arguments of the queue.
    ///
    /// # Errors
    /// They are no YAML map.
    pub(crate) fn arguments(&self) -> Result<FieldTable, String> {
        let queue = self.queue_declare.as_ref();
        arguments::parse(queue.map_or("", |queue| &queue.arguments))
    }

    pub(crate) fn acknowledges_early(&self) -> bool {
        self.consume.as_ref().is_some_and(|consume| consume.auto_ack)
    }
}
