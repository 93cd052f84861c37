//! One connection and its subscription.

use std::time::Duration;

use eventsource_core::{Context, Error, Peer};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use rumqttc::{AsyncClient, Event, EventLoop, Packet, Publish, QoS, SubAck, SubscribeReasonCode};

use crate::{Config, broker, failure};

/// Acknowledgements that wait to be sent. At least one question to the connection lies between two batches, so these never fill it.
const REQUESTS: usize = 4 * crate::BATCH;
/// A stop waits so long for acknowledgements to be sent.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A subscription that stands.
pub(crate) struct Session {
    client: AsyncClient,
    /// Ends with the failure of the connection.
    pub(crate) messages: BoxStream<'static, Result<Publish, Error>>,
    lowered: Option<String>,
}

/// The client's loop, which must not be asked again after a failure: it would connect anew by itself.
struct Connection {
    events: EventLoop,
    config: Config,
    peer: Peer,
}

impl Session {
    /// Subscribes on each connection: a broker that lost a session does not tell.
    pub(crate) async fn open(config: &Config, cx: &Context) -> Result<Self, Error> {
        let (options, peer) = broker::options(config, cx)?;
        let (client, events) = AsyncClient::builder(options).capacity(REQUESTS).build();
        let mut connection = Connection { events, config: config.clone(), peer };
        client.try_subscribe(config.topic.clone(), config.quality()).map_err(Error::permanent)?;
        let (early, granted) = connection.subscribed().await?;
        let lowered = (granted != config.quality()).then(|| lowered(&connection, granted));
        let messages = stream::iter(early.into_iter().map(Ok)).chain(connection.messages()).boxed();
        Ok(Self { client, messages, lowered })
    }

    /// What a person should know: the broker gives a lower quality than was asked for.
    pub(crate) fn lowered(&self) -> Option<String> {
        self.lowered.clone()
    }

    /// Queues what acknowledges these messages. It is sent with the next question for messages.
    pub(crate) fn acknowledge(&self, messages: &[Publish]) -> Result<(), Error> {
        messages.iter().try_for_each(|message| self.client.try_ack(message)).map_err(Error::upstream)
    }

    /// Sends what is queued, and parts.
    pub(crate) async fn close(mut self) {
        if self.client.try_disconnect().is_ok() {
            let parting = async { while let Some(Ok(_)) = self.messages.next().await {} };
            // Who is not there to be parted from keeps the messages, and hands them out again.
            let _parted = tokio::time::timeout(CLOSE_PATIENCE, parting).await;
        }
    }

    /// The broker forgets the session: a client with its name asks for a clean one.
    pub(crate) async fn forget(config: &Config, cx: &Context) -> Result<(), Error> {
        let clean = Config { clean_session: Some(true), ..config.clone() };
        let (options, peer) = broker::options(&clean, cx)?;
        let (client, events) = AsyncClient::builder(options).capacity(REQUESTS).build();
        let mut connection = Connection { events, config: clean, peer };
        // The first answer is that to the login.
        connection.next().await?;
        client.try_disconnect().map_err(Error::upstream)?;
        while connection.next().await.is_ok() {}
        Ok(())
    }
}

impl Connection {
    async fn next(&mut self) -> Result<Event, Error> {
        let event = self.events.poll().await;
        event.map_err(|error| failure::of(&error, &self.config, &self.peer))
    }

    /// The quality that the broker gives, and messages that a kept session brings before its answer.
    async fn subscribed(&mut self) -> Result<(Vec<Publish>, QoS), Error> {
        let mut early = Vec::new();
        loop {
            match self.next().await? {
                Event::Incoming(Packet::Publish(message)) => early.push(message),
                Event::Incoming(Packet::SubAck(answer)) => return Ok((early, self.granted(&answer)?)),
                _ => {}
            }
        }
    }

    fn granted(&self, answer: &SubAck) -> Result<QoS, Error> {
        match answer.return_codes.first() {
            Some(SubscribeReasonCode::Success(quality)) => Ok(*quality),
            _ => Err(Error::upstream(format!(
                "{} does not let the client subscribe to `{}`; allow it in the broker's access list",
                self.peer.place(),
                self.config.topic
            ))),
        }
    }

    fn messages(self) -> impl futures_util::Stream<Item = Result<Publish, Error>> {
        stream::unfold(Some(self), |connection| async {
            let mut connection = connection?;
            loop {
                match connection.next().await {
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        return Some((Ok(message), Some(connection)));
                    }
                    Ok(_) => {}
                    Err(error) => return Some((Err(error), None)),
                }
            }
        })
    }
}

fn lowered(connection: &Connection, granted: QoS) -> String {
    format!(
        "{} gives `{}` with qos {} only, so messages may be lost; allow qos {} there",
        connection.peer.place(),
        connection.config.topic,
        granted as u8,
        connection.config.qos
    )
}
