//! Dead letters of both kinds: rounds that Sensors gave up, and messages that event sources could not read.

use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bus_core::Bus;
use eventsource_core::{DeadMessage, DeadMessages};
use jiff::Timestamp;
use sensor_core::{DeadLetter, DeadLetterId, DeadLetters};
use serde_json::Value;
use zetes_api::{Namespace, ObjectName};

/// One dead letter.
#[derive(Clone, Debug)]
pub(crate) enum Letter {
    Round(DeadLetter),
    Message(DeadMessage),
}

impl Letter {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Round(letter) => letter.id.as_str(),
            Self::Message(message) => &message.id,
        }
    }

    pub(crate) fn at(&self) -> Timestamp {
        match self {
            Self::Round(letter) => letter.at,
            Self::Message(message) => message.at,
        }
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        match self {
            Self::Round(letter) => &letter.namespace,
            Self::Message(message) => &message.namespace,
        }
    }

    pub(crate) fn sensor(&self) -> Option<&ObjectName> {
        match self {
            Self::Round(letter) => Some(&letter.sensor),
            Self::Message(_) => None,
        }
    }

    pub(crate) fn event_source(&self) -> Option<&ObjectName> {
        match self {
            Self::Round(_) => None,
            Self::Message(message) => Some(&message.event_source),
        }
    }

    /// `sensor/<name>` or `eventsource/<name>`.
    pub(crate) fn object(&self) -> String {
        match self {
            Self::Round(letter) => format!("sensor/{}", letter.sensor),
            Self::Message(message) => format!("eventsource/{}", message.event_source),
        }
    }

    /// The trigger, or the event, of that object.
    pub(crate) fn part(&self) -> &str {
        match self {
            Self::Round(letter) => letter.trigger.as_str(),
            Self::Message(message) => message.event.as_str(),
        }
    }

    /// Of a round; a message is not tried.
    pub(crate) fn attempts(&self) -> Option<u32> {
        match self {
            Self::Round(letter) => Some(letter.attempts),
            Self::Message(_) => None,
        }
    }

    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Round(letter) => &letter.reason,
            Self::Message(message) => &message.reason,
        }
    }

    pub(crate) fn error(&self) -> &str {
        match self {
            Self::Round(letter) => &letter.error,
            Self::Message(message) => &message.error,
        }
    }

    /// Everything, for `-o json`. A message that is text has it under `text` beside its bytes.
    pub(crate) fn value(&self) -> serde_json::Result<Value> {
        match self {
            // Through a plain value: the events are kept as text that only JSON can embed.
            Self::Round(letter) => serde_json::to_value(letter),
            Self::Message(message) => {
                let mut value = serde_json::to_value(message)?;
                let text = STANDARD.decode(&message.raw).ok().and_then(|raw| String::from_utf8(raw).ok());
                if let (Some(members), Some(text)) = (value.as_object_mut(), text) {
                    members.insert("text".to_owned(), text.into());
                }
                Ok(value)
            }
        }
    }
}

/// The dead letters of a bus, oldest first; of a long message only the beginning.
///
/// # Errors
/// The bus can't be read.
pub(crate) async fn of_bus(bus: &Arc<dyn Bus>) -> anyhow::Result<Vec<Letter>> {
    let rounds = DeadLetters::of(bus.clone()).list().await?;
    let messages = DeadMessages(&**bus).list().await?;
    let mut letters: Vec<Letter> =
        rounds.into_iter().map(Letter::Round).chain(messages.into_iter().map(Letter::Message)).collect();
    letters.sort_by_key(Letter::at);
    Ok(letters)
}

/// Removes a dead letter for good; `false` where there is none of that id.
///
/// # Errors
/// The bus does not take it.
pub(crate) async fn discard(bus: &Arc<dyn Bus>, id: &DeadLetterId) -> anyhow::Result<bool> {
    let is_round = DeadLetters::of(bus.clone()).discard(id).await.context("a round")?;
    Ok(is_round || DeadMessages(&**bus).discard(id.as_str()).await.context("a message")?)
}
