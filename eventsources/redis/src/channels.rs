//! `redis`: messages of Redis channels become events (spec/event-sources.md 2.12).
//!
//! At most once, as channels are: what is published while nobody listens is gone, and Redis closes the connection of a listener that
//! is too slow.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use eventsource_core::{Body, Check, Context, Draft, Error, EventSource, SourceFilter};
use futures_util::stream;
use redis::{Msg, PushInfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zetes_api::{Invalid, SecretKeyRef, Tls};

use crate::connection::Connection;
use crate::failure;
use crate::server::Server;

/// Messages that are made durable together.
const MOST_AT_ONCE: usize = 100;
/// After so long without a message the server is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(10);

/// Which channels are read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// `host:port` of the server; without a port 6379.
    pub host_address: String,
    /// Names of the channels; patterns are not known.
    pub channels: Option<Vec<String>>,
    /// User name, where the server has users; with `password`.
    pub username: String,
    /// Secret that holds the password; with `namespace`. Without it nobody logs in.
    pub password: Option<SecretKeyRef>,
    /// Must be there beside `password`; the secret is looked for in the object's namespace.
    pub namespace: String,
    /// Number of the database. Default 0. Channels are the same in all of them.
    pub db: i32,
    /// TLS to the server.
    pub tls: Option<Tls>,
    /// The body is JSON and stands in the data as it is; without it the body is text, where bytes that are no UTF-8 become U+FFFD.
    pub json_body: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `redis`.
pub struct Redis {
    connection: Connection,
    config: Config,
}

/// The shape of the data.
#[derive(Serialize)]
struct Data<'d> {
    channel: &'d str,
    /// There are no patterns; the reference has it all the same.
    pattern: &'static str,
    body: Payload<'d>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'d BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'p> {
    Json(Body<'p>),
    Text(Cow<'p, str>),
}

impl EventSource for Redis {
    const KIND: &'static str = "redis";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        config.server().check(&mut check);
        check.present("channels", config.channels.as_ref());
        if config.channels.as_ref().is_some_and(Vec::is_empty) {
            check.idle("channels", "expected at least one channel");
        }
        if config.password.is_some() && config.namespace.is_empty() {
            check.missing("namespace", "`namespace` beside `password`");
        }
        check.filter(config.filter.as_ref());
        check.end()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let channels = config.channels.as_deref().filter(|channels| !channels.is_empty());
        let channels =
            channels.ok_or_else(|| Error::permanent("channels is empty: nothing would be received"))?;
        let mut connection = Connection::open(config.server(), cx).await?;
        connection.subscribe(channels).await?;
        Ok(Self { connection, config })
    }

    async fn run(mut self, cx: &Context) -> Result<(), Error> {
        loop {
            let mut messages = stream::poll_fn(|task| self.connection.poll_message(task));
            let heard = tokio::select! {
                biased;
                batch = cx.next_batch(&mut messages, MOST_AT_ONCE) => Some(batch),
                () = cx.clock().sleep(SILENCE) => None,
            };
            match heard {
                Some(Some(batch)) => emit(batch, &self.config, cx).await?,
                Some(None) if self.connection.has_ended() => return Err(self.ended()),
                Some(None) => return Ok(()),
                None => match cx.unless_stopped(self.connection.ping()).await {
                    Some(answered) => answered?,
                    None => return Ok(()),
                },
            }
        }
    }
}

impl Redis {
    fn ended(&self) -> Error {
        let text = failure::ended(&self.connection.server);
        Error::upstream(format!("{text}; or when it reads too slowly (client-output-buffer-limit)"))
    }
}

impl Config {
    fn server(&self) -> Server {
        Server {
            address: self.host_address.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            db: self.db,
            tls: self.tls.clone(),
        }
    }
}

async fn emit(batch: Vec<PushInfo>, config: &Config, cx: &Context) -> Result<(), Error> {
    let messages = batch.into_iter().filter_map(Msg::from_push_info);
    let drafts: Result<Vec<_>, _> = messages.map(|message| draft(&message, config)).collect();
    cx.emit_all(drafts?).await
}

fn draft(message: &Msg, config: &Config) -> Result<Draft, Error> {
    let payload = message.get_payload_bytes();
    let body = if config.json_body {
        match Body::of(payload, true) {
            Ok(body) => Payload::Json(body),
            Err(why) => return Ok(Draft::unreadable(None, payload.to_vec(), why)),
        }
    } else {
        Payload::Text(String::from_utf8_lossy(payload))
    };
    let metadata = config.metadata.as_ref();
    Draft::json(None, &Data { channel: message.get_channel_name(), pattern: "", body, metadata })
}

#[cfg(test)]
mod tests;
