//! One connection and its subscription, as one stream of what is heard.

use std::task::{self, Poll};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, Message, ServerError, SubscribeErrorKind, Subscriber};
use connection_nats::{Login, Settings};
use eventsource_core::{Context, Error};
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use tokio::sync::mpsc::{self, Receiver};

use crate::Config;

/// Messages that wait for the bus; what comes behind them is lost.
const WAITING: usize = 8_192;
/// Notices of the client that wait to be read. More say nothing new.
const NOTICES: usize = 16;
/// A server that is silent is asked; one that does not answer three times is gone.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Bytes of a connection's buffer; it grows with the messages. The client's own 64 KiB are much for a source that is idle.
const READ_BUFFER: u16 = 16_384;
/// How long the server may take to have the subscription.
const ROUND_TRIP: Duration = Duration::from_secs(2);

/// What comes from the connection.
#[derive(Debug)]
pub(crate) enum Heard {
    Message(Message),
    /// A message came while too many were waiting, and is lost.
    Loss,
    /// Nothing comes any more: why.
    End(String),
}

/// A subscription that stands.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) heard: BoxStream<'static, Heard>,
    /// TLS stands, but anybody could be at the other end.
    pub(crate) unverified: Option<String>,
}

impl Connection {
    pub(crate) async fn open(config: &Config, cx: &Context) -> Result<Self, Error> {
        let settings = settings(config, cx);
        let places = settings.places();
        let (sender, mut notices) = mpsc::channel(NOTICES);
        let adjust = |options: ConnectOptions| {
            // The client's own reconnect has as many tries as there are addresses, so that it ends; ours has ended before.
            let tries = config.url.split(',').count();
            let subject = config.subject.clone();
            let options = options.name(cx.owner()).max_reconnects(tries).ignore_discovered_servers();
            let options = options.ping_interval(PING_EVERY).read_buffer_capacity(READ_BUFFER);
            options.subscription_capacity(WAITING).event_callback(move |event| {
                if let Some(notice) = notice(event, &subject, &places) {
                    // Who reads has one to read already where there is no room.
                    drop(sender.try_send(notice));
                }
                std::future::ready(())
            })
        };
        let connected = settings.connect(adjust).await.map_err(Error::upstream)?;
        let messages = subscribe(&connected.client, config).await?;
        round_trip(&connected.client, &mut notices).await?;
        let unverified = connected.warnings.into_iter().next();
        Ok(Self { client: connected.client, heard: heard(messages, notices, settings.places()), unverified })
    }
}

fn settings(config: &Config, cx: &Context) -> Settings {
    Settings {
        url: config.url.clone(),
        login: Login::Auth(Box::new(config.auth.clone().unwrap_or_default())),
        tls: config.tls.clone(),
        namespace: cx.namespace().clone(),
        secrets: cx.secrets(),
    }
}

async fn subscribe(client: &Client, config: &Config) -> Result<Subscriber, Error> {
    let subject = config.subject.clone();
    let subscribed = match &config.queue {
        Some(queue) => client.queue_subscribe(subject, queue.clone()).await,
        None => client.subscribe(subject).await,
    };
    subscribed.map_err(|error| match error.kind() {
        SubscribeErrorKind::InvalidSubject => Error::permanent(format!(
            "`{}` is no subject; write words with dots between them, `*` for one word and `>` for all that follow",
            config.subject
        )),
        SubscribeErrorKind::InvalidQueueName => Error::permanent(format!(
            "`{}` is no name of a queue group; write one word",
            config.queue.as_deref().unwrap_or_default()
        )),
        SubscribeErrorKind::Other => Error::upstream(error),
    })
}

/// Returns when the server has the subscription, or has refused it. The client knows no question to which every server has an answer,
/// so a request goes where nobody listens. A user who may not send it is told so by the server, which is an answer, too.
async fn round_trip(client: &Client, notices: &mut Receiver<Heard>) -> Result<(), Error> {
    let request = client.request(client.new_inbox(), "".into());
    let answered = async {
        tokio::select! {
            biased;
            notice = notices.recv() => match notice {
                Some(Heard::End(why)) => Err(Error::upstream(why)),
                _ => Ok(()),
            },
            // No listener, no permission or no answer: all the same.
            _answer = request => Ok(()),
        }
    };
    tokio::time::timeout(ROUND_TRIP, answered).await.unwrap_or(Ok(()))
}

/// Losses at once, then messages, and the end behind those that have come: they are there, and may be emitted.
pub(crate) fn heard(
    mut messages: impl Stream<Item = Message> + Send + Unpin + 'static,
    mut notices: Receiver<Heard>,
    places: String,
) -> BoxStream<'static, Heard> {
    let (mut end, mut is_over) = (None, false);
    let heard = move |cx: &mut task::Context<'_>| {
        if is_over {
            return Poll::Ready(None);
        }
        while let Poll::Ready(Some(notice)) = notices.poll_recv(cx) {
            match notice {
                // The first reason is the one that the server gave.
                Heard::End(why) => drop(end.get_or_insert(why)),
                other => return Poll::Ready(Some(other)),
            }
        }
        let end = match messages.poll_next_unpin(cx) {
            Poll::Ready(Some(message)) => return Poll::Ready(Some(Heard::Message(message))),
            Poll::Ready(None) => end.take().or_else(|| Some(lost(&places))),
            Poll::Pending => end.take(),
        };
        is_over = end.is_some();
        end.map_or(Poll::Pending, |why| Poll::Ready(Some(Heard::End(why))))
    };
    stream::poll_fn(heard).boxed()
}

/// What an event of the client means for the subscription.
fn notice(event: Event, subject: &str, places: &str) -> Option<Heard> {
    match event {
        Event::SlowConsumer(_) => Some(Heard::Loss),
        Event::Disconnected => Some(Heard::End(lost(places))),
        Event::ServerError(ServerError::AuthorizationViolation) => {
            Some(Heard::End(format!("{places} ended the login: the user may not connect any more")))
        }
        Event::ServerError(ServerError::Other(text)) => refusal(&text, subject, places),
        _ => None,
    }
}

fn lost(places: &str) -> String {
    format!("the connection to {places} is lost")
}

/// Words of the server which end the subscription, as it writes them. They come without a code.
fn refusal(text: &str, subject: &str, places: &str) -> Option<Heard> {
    let lower = text.to_lowercase();
    if lower.starts_with("permissions violation for subscription") {
        // Another one is that of the round trip.
        return text.contains(&format!("\"{subject}\"")).then(|| {
            Heard::End(format!(
                "{places} does not let the user subscribe to `{subject}`; allow it in the user's permissions"
            ))
        });
    }
    let ends = ["authentication", "slow consumer", "maximum", "stale connection"];
    ends.iter()
        .any(|begin| lower.contains(begin))
        .then(|| Heard::End(format!("{places} ended the connection: {text}")))
}
