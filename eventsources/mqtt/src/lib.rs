//! `mqtt`: messages of MQTT 3.1.1 topics become events (spec/event-sources.md 2.8).
//!
//! With `qos` 0, as in the reference, at most once. With 1 or 2 a message is acknowledged when its event is durable, and with
//! `cleanSession: false` the broker keeps what comes while nothing runs: at least once. MQTT gives a message no identity that outlives its
//! acknowledgement, so events have random ids, and a message that comes again after a crash is a second event.

mod broker;
mod config;
mod failure;
mod session;

use std::borrow::Cow;
use std::collections::BTreeMap;

use eventsource_core::{Body, Context, Draft, Error, EventSource, NotJson};
use rumqttc::Publish;
use serde::Serialize;
use zetes_api::Invalid;

pub use config::Config;
use session::Session;

/// Messages that share one durable write.
const BATCH: usize = 256;

/// The kind `mqtt`.
pub struct Mqtt {
    config: Config,
    session: Session,
}

/// The shape of the data.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'m> {
    topic: Cow<'m, str>,
    message_id: u16,
    body: Body<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'m BTreeMap<String, String>>,
}

impl EventSource for Mqtt {
    const KIND: &'static str = "mqtt";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        config.check()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let session = Session::open(&config, cx).await?;
        cx.trouble(session.lowered());
        Ok(Self { config, session })
    }

    async fn run(mut self, cx: &Context) -> Result<(), Error> {
        while let Some(batch) = cx.next_batch(&mut self.session.messages, BATCH).await {
            let (messages, end) = until_failure(batch);
            let drafts: Result<_, _> = messages.iter().map(|message| draft(message, &self.config)).collect();
            cx.emit_all(drafts?).await?;
            self.session.acknowledge(&messages)?;
            if let Some(error) = end {
                return Err(error);
            }
        }
        self.session.close().await;
        Ok(())
    }

    /// The broker forgets a session that it keeps.
    async fn retire(config: Config, cx: &Context) -> Result<(), Error> {
        if config.keeps_session() { Session::forget(&config, cx).await } else { Ok(()) }
    }
}

/// The messages, and the failure behind them.
fn until_failure(batch: Vec<Result<Publish, Error>>) -> (Vec<Publish>, Option<Error>) {
    let (mut messages, mut end) = (Vec::with_capacity(batch.len()), None);
    for item in batch {
        match item {
            Ok(message) => messages.push(message),
            Err(error) => end = Some(error),
        }
    }
    (messages, end)
}

fn draft(message: &Publish, config: &Config) -> Result<Draft, Error> {
    match Data::of(message, config) {
        Ok(data) => Draft::json(None, &data),
        Err(error) => Ok(Draft::unreadable(None, message.payload.clone(), error)),
    }
}

impl<'m> Data<'m> {
    fn of(message: &'m Publish, config: &'m Config) -> Result<Self, NotJson> {
        Ok(Self {
            topic: String::from_utf8_lossy(&message.topic),
            message_id: message.pkid,
            body: Body::of(&message.payload, config.json_body)?,
            metadata: config.metadata.as_ref(),
        })
    }
}

#[cfg(test)]
mod tests;
