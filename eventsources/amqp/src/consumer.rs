//! One connection, with the exchange, the queue and the consumer that the manifest describes.

use std::time::Duration;

use eventsource_core::{Context, Error};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::tcp::RustlsConnector;
use lapin::types::{FieldTable, ShortString};
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind, runtime};
use secrecy::ExposeSecret as _;
use zetes_api::Tls;

use crate::Config;
use crate::address::Address;
use crate::config::{Consume, ExchangeDeclare, QueueDeclare};
use crate::failure::{During, Subject};

/// Messages that the broker hands out before the first of them is acknowledged: they wait in memory.
const PREFETCH: u16 = 256;
/// Until the broker has let us in.
const CONNECT_PATIENCE: Duration = Duration::from_secs(20);
/// A stop waits so long for acknowledgements to be sent.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A consumer that stands.
pub(crate) struct Messages {
    connection: Connection,
    channel: Channel,
    /// Ends with a failure: that of the channel, or that the broker has ended the consumer.
    pub(crate) stream: BoxStream<'static, Result<Delivery, Error>>,
    subject: Subject,
}

impl Messages {
    pub(crate) async fn open(config: &Config, cx: &Context) -> Result<Self, Error> {
        let address = address(config, cx)?;
        let system = Tls::default();
        let tls = address.speaks_tls().then(|| config.tls.as_ref().unwrap_or(&system));
        let peer = cx.peer(address.place(), tls);
        let subject = Subject { peer, config: config.clone(), vhost: address.vhost().to_owned() };
        let connector = cx.tls(tls)?.map(RustlsConnector::from);
        let connecting = tokio::time::timeout(CONNECT_PATIENCE, connect(address, connector, cx));
        let connected = connecting.await.map_err(|_| Error::upstream(subject.silent()))?;
        let connection = connected.map_err(|error| subject.failure(&error, During::Connect))?;
        let (channel, consumer) = match consume(&connection, config).await {
            Ok(consuming) => consuming,
            Err(Refused::Broker(error)) => return Err(subject.failure(&error, During::Consume)),
            Err(Refused::Manifest(why)) => return Err(Error::permanent(why)),
        };
        Ok(Self { connection, channel, stream: messages(consumer, subject.clone()), subject })
    }

    /// Acknowledges these messages, which are the oldest ones, all at once.
    pub(crate) async fn acknowledge(&mut self, messages: &[Delivery]) -> Result<(), Error> {
        let Some(last) = messages.last() else { return Ok(()) };
        let acknowledged =
            self.channel.basic_ack(last.delivery_tag, BasicAckOptions { multiple: true }).await;
        acknowledged.map_err(|error| self.subject.failure(&error, During::Consume))
    }

    /// Sends what is queued, and parts. What is not acknowledged goes back into the queue.
    pub(crate) async fn close(self) {
        let parting = self.connection.close(200, ShortString::default());
        // Who is not there to be parted from keeps the messages, and hands them out again.
        let _parted = tokio::time::timeout(CLOSE_PATIENCE, parting).await;
    }
}

fn messages(consumer: Consumer, subject: Subject) -> BoxStream<'static, Result<Delivery, Error>> {
    let end = Err(Error::upstream(subject.cancelled()));
    let messages = consumer.map(move |item| item.map_err(|error| subject.failure(&error, During::Consume)));
    messages.chain(stream::iter([end])).boxed()
}

/// Who can help.
enum Refused {
    Broker(lapin::Error),
    Manifest(String),
}

impl From<lapin::Error> for Refused {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error)
    }
}

fn address(config: &Config, cx: &Context) -> Result<Address, Error> {
    let in_secret = cx.secret(config.url_secret.as_ref())?;
    let text = in_secret.as_ref().map_or(config.url.as_str(), |secret| secret.expose_secret());
    let unreadable =
        "the address can't be read; write `amqp://host:5672/vhost`, or `amqps://host:5671/vhost` for TLS";
    let address = Address::parse(text.trim()).ok_or_else(|| {
        // A secret may be mended.
        if in_secret.is_some() { Error::upstream(unreadable) } else { Error::permanent(unreadable) }
    })?;
    let Some(auth) = &config.auth else { return Ok(address) };
    let value = |key| {
        let secret = cx.secret(key)?;
        Ok::<_, Error>(secret.map(|secret| secret.expose_secret().to_owned()).unwrap_or_default())
    };
    Ok(address.with_login(value(auth.username.as_ref())?, value(auth.password.as_ref())?))
}

async fn connect(
    address: Address,
    connector: Option<RustlsConnector>,
    cx: &Context,
) -> lapin::Result<Connection> {
    let properties = ConnectionProperties::default().with_connection_name(cx.owner().into());
    let uri = address.into_uri();
    Connection::connector(
        uri,
        runtime::default_runtime()?,
        async move |uri, runtime| {
            let place = runtime.to_socket_addrs((uri.authority.host.clone(), uri.authority.port));
            let stream = AsyncTcpStream::connect(&runtime, place).await?;
            match &connector {
                Some(connector) => Ok(stream.into_rustls(connector, &uri.authority.host).await?),
                None => Ok(stream),
            }
        },
        properties,
    )
    .await
}

/// Declares and binds, then asks for messages.
async fn consume(connection: &Connection, config: &Config) -> Result<(Channel, Consumer), Refused> {
    let channel = connection.create_channel().await?;
    declare_exchange(&channel, config).await?;
    let queue = declare_queue(&channel, config).await?;
    let (exchange, key) = (short(&config.exchange_name)?, short(&config.routing_key)?);
    channel
        .queue_bind(queue.clone(), exchange, key, QueueBindOptions::default(), FieldTable::default())
        .await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let Consume { consumer_tag, exclusive, no_local, .. } = config.consume.clone().unwrap_or_default();
    // Also with `autoAck`: what the broker counts as received when it is sent comes as fast as the network carries it.
    let options = BasicConsumeOptions { no_ack: false, exclusive, no_local, nowait: false };
    let consumer =
        channel.basic_consume(queue, short(&consumer_tag)?, options, FieldTable::default()).await?;
    Ok((channel, consumer))
}

async fn declare_exchange(channel: &Channel, config: &Config) -> Result<(), Refused> {
    let absent = ExchangeDeclare { durable: true, ..ExchangeDeclare::default() };
    let ExchangeDeclare { durable, auto_delete, internal, .. } =
        config.exchange_declare.clone().unwrap_or(absent);
    let options = ExchangeDeclareOptions { passive: false, durable, auto_delete, internal, nowait: false };
    let kind = ExchangeKind::Custom(config.exchange_type.clone());
    Ok(channel.exchange_declare(short(&config.exchange_name)?, kind, options, FieldTable::default()).await?)
}

/// The queue's name, which is the broker's choice where the manifest has none.
async fn declare_queue(channel: &Channel, config: &Config) -> Result<ShortString, Refused> {
    let absent = QueueDeclare { exclusive: true, ..QueueDeclare::default() };
    let QueueDeclare { name, durable, auto_delete, exclusive, .. } =
        config.queue_declare.clone().unwrap_or(absent);
    let options = QueueDeclareOptions { passive: false, durable, exclusive, auto_delete, nowait: false };
    let arguments = config.arguments().map_err(Refused::Manifest)?;
    Ok(channel.queue_declare(short(&name)?, options, arguments).await?.name().clone())
}

fn short(name: &str) -> Result<ShortString, Refused> {
    ShortString::try_new(name).map_err(|_| {
        Refused::Manifest(format!("expected names of at most 255 bytes, found one of {}", name.len()))
    })
}
