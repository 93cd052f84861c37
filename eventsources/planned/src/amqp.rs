//! `amqp`: messages of an AMQP 0-9-1 broker, such as `RabbitMQ` (spec/event-sources.md 2.6).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Backoff, BasicAuth, Invalid, SecretKeyRef, Tls};

/// Which messages are received. A partial object sets its other members to false.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Address of the broker, `amqp://` or `amqps://`; instead of `urlSecret`.
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
    /// How the queue is declared. Absent: named by the broker, exclusive.
    pub queue_declare: Option<QueueDeclare>,
    /// How the queue is bound to the exchange.
    pub queue_bind: Option<QueueBind>,
    /// How messages are consumed. Absent: acknowledged by the broker itself.
    pub consume: Option<Consume>,
    /// Attempts and pauses when it connects.
    pub connection_backoff: Option<Backoff>,
    /// TLS to the server.
    pub tls: Option<Tls>,
    /// User name and password; they win over the address's.
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
    /// The broker's confirmation is not waited for.
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
    /// The broker's confirmation is not waited for.
    pub no_wait: bool,
    /// YAML map of arguments, `x-queue-type: quorum` for example.
    pub arguments: String,
}

/// How the queue is bound.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueBind {
    /// The broker's confirmation is not waited for.
    pub no_wait: bool,
}

/// How messages are consumed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the protocol")]
pub struct Consume {
    /// Name of the consumer.
    pub consumer_tag: String,
    /// The broker counts a message as received when it has sent it.
    pub auto_ack: bool,
    /// Nobody else consumes from the queue.
    pub exclusive: bool,
    /// Accepted; `RabbitMQ` does not know it.
    pub no_local: bool,
    /// The broker's confirmation is not waited for.
    pub no_wait: bool,
}

/// The kind `amqp`.
pub struct Amqp;

impl Planned for Amqp {
    const KIND: &'static str = "amqp";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        match (config.url.is_empty(), config.url_secret.is_some()) {
            (true, false) => check.missing("url", "`url` or `urlSecret`"),
            (false, true) => check.bad("urlSecret", "expected one of `url` and `urlSecret`, found both"),
            _ => {}
        }
        check.text("routingKey", &config.routing_key);
        check.text("exchangeType", &config.exchange_type);
        if config.exchange_name.is_empty() {
            check.idle("exchangeName", "expected `exchangeName`");
        }
        check.tls("tls", config.tls.as_ref());
        check.basic_auth("auth", config.auth.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
