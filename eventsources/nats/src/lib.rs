//! `nats`: messages of NATS subjects become events (spec/event-sources.md 2.9).
//!
//! At most once: core NATS keeps no message. What the server handed out is emitted, also at a stop; what is sent while nobody listens, or
//! faster than the bus takes it, is gone, and the status tells the latter. A lost connection ends the attempt, so that the status tells
//! it, too; the supervisor connects anew.

mod config;
mod connection;

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::Message;
use eventsource_core::{Body, Context, Draft, Error, EventSource, NotJson};
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::time::Instant;
use zetes_api::Invalid;

pub use config::Config;
use connection::{Connection, Heard};

/// Messages that share one durable write.
const BATCH: usize = 1_000;
/// A stop waits so long for what the server has handed out already.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);
/// After so long without a loss, losses are over.
const LOSS_FORGOTTEN_AFTER: Duration = Duration::from_mins(1);

/// The kind `nats`.
pub struct Nats {
    config: Config,
    connection: Connection,
    /// When a message was given up last, because too many were waiting.
    last_loss: Option<Instant>,
}

/// The shape of the data.
#[derive(Serialize)]
struct Data<'m> {
    subject: &'m str,
    body: Body<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<BTreeMap<&'m str, Vec<&'m str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'m BTreeMap<String, String>>,
}

impl EventSource for Nats {
    const KIND: &'static str = "nats";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        config.check()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let connection = Connection::open(&config, cx).await?;
        cx.trouble(connection.unverified.clone());
        Ok(Self { config, connection, last_loss: None })
    }

    async fn run(mut self, cx: &Context) -> Result<(), Error> {
        while let Some(batch) = cx.next_batch(&mut self.connection.heard, BATCH).await {
            self.take(batch, cx).await?;
        }
        self.drain(cx).await
    }
}

impl Nats {
    /// Emits the messages; an error where the connection has ended behind them.
    async fn take(&mut self, batch: Vec<Heard>, cx: &Context) -> Result<(), Error> {
        let (mut drafts, mut end) = (Vec::with_capacity(batch.len()), Ok(()));
        for heard in batch {
            match heard {
                Heard::Message(message) => drafts.push(draft(&message, &self.config)?),
                Heard::Loss => self.last_loss = Some(Instant::now()),
                Heard::End(why) => end = Err(Error::upstream(why)),
            }
        }
        self.tell(cx);
        cx.emit_all(drafts).await?;
        end
    }

    fn tell(&mut self, cx: &Context) {
        match self.last_loss {
            Some(at) if at.elapsed() < LOSS_FORGOTTEN_AFTER => cx.trouble(Some(format!(
                "messages of `{}` come faster than the bus takes them, and NATS keeps none: some are lost; share them with more \
                 sources of one `queue`, or send fewer",
                self.config.subject
            ))),
            Some(_) => {
                self.last_loss = None;
                cx.trouble(self.connection.unverified.clone());
            }
            None => {}
        }
    }

    /// Takes what the server has handed out until now, and no more.
    async fn drain(mut self, cx: &Context) -> Result<(), Error> {
        if self.connection.client.drain().await.is_err() {
            return Ok(());
        }
        let rest = async {
            let mut messages = Vec::new();
            while let Some(heard) = self.connection.heard.next().await {
                match heard {
                    Heard::Message(message) => messages.push(Heard::Message(message)),
                    Heard::Loss => {}
                    Heard::End(_) => break,
                }
            }
            messages
        };
        let Ok(messages) = tokio::time::timeout(DRAIN_PATIENCE, rest).await else { return Ok(()) };
        self.take(messages, cx).await
    }
}

/// NATS gives a message no identity: the event's id is random.
fn draft(message: &Message, config: &Config) -> Result<Draft, Error> {
    match Data::of(message, config) {
        Ok(data) => Draft::json(None, &data),
        Err(error) => Ok(Draft::unreadable(None, message.payload.clone(), error)),
    }
}

impl<'m> Data<'m> {
    fn of(message: &'m Message, config: &'m Config) -> Result<Self, NotJson> {
        let header = message.headers.as_ref().filter(|headers| !headers.is_empty()).map(|headers| {
            let fields = headers.iter();
            fields.map(|(name, values)| (name.as_ref(), values.iter().map(AsRef::as_ref).collect())).collect()
        });
        Ok(Self {
            subject: message.subject.as_str(),
            body: Body::of(&message.payload, config.json_body)?,
            header,
            metadata: config.metadata.as_ref(),
        })
    }
}

#[cfg(test)]
mod tests;
