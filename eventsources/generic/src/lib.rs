//! `generic`: your own gRPC server sends events (spec/event-sources.md 2.22). Its contract is `proto/eventing.proto`.
//!
//! At most once: the contract knows no acknowledgement. What has arrived is emitted in order; a server that is not read waits, by the
//! flow control of HTTP/2. The contract gives an event no identity either, so ids are random.

mod config;
mod connector;
mod failure;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use eventsource_core::{Body, Context, Draft, Error, EventSource, NotJson, Peer};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use zetes_api::{Invalid, Tls};

pub use config::Config;
use connector::Connector;
pub use wire::{Event, EventSource as Wanted, METHOD};

/// Events that share one durable write.
const BATCH: usize = 256;
/// Until the server has accepted the connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// A server that ended its stream as it should is asked again after this, as by the reference.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A server that is silent for so long is asked by a ping. gRPC servers end connections that ask more often than each five minutes.
const PING_EVERY: Duration = Duration::from_secs(310);
const PING_PATIENCE: Duration = Duration::from_secs(20);

/// The kind `generic`.
pub struct Generic {
    config: Config,
    channel: Channel,
    peer: Peer,
}

/// The shape of the data.
#[derive(Serialize)]
struct Data<'e> {
    body: Body<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'e BTreeMap<String, String>>,
}

impl EventSource for Generic {
    const KIND: &'static str = "generic";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        config.check()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let target = config
            .target()
            .ok_or_else(|| Error::permanent(format!("`{}` is no address; write `host:port`", config.url)))?;
        let system = Tls::default();
        let tls = (!config.insecure).then(|| config.tls.as_ref().unwrap_or(&system));
        let peer = cx.peer(&target, tls);
        let endpoint = endpoint(&target, tls.is_some()).map_err(Error::permanent)?;
        let connector = Connector::new(cx.tls(tls)?);
        let connected = endpoint.connect_with_connector(connector).await;
        let channel = connected.map_err(|error| Error::upstream(peer.failure(&error)))?;
        Ok(Self { config, channel, peer })
    }

    /// A server's first word may be its first event, so the stream is not waited for before this.
    async fn run(self, cx: &Context) -> Result<(), Error> {
        let request = self.request(cx)?;
        let Some(started) = cx.unless_stopped(wire::start(self.channel.clone(), request)).await else {
            return Ok(());
        };
        let mut events = started.map_err(|status| failure::of(&status, &self.config, &self.peer))?;
        while let Some(batch) = cx.next_batch(&mut events, BATCH).await {
            let (mut drafts, mut end) = (Vec::with_capacity(batch.len()), Ok(()));
            for event in batch {
                match event {
                    Ok(event) => drafts.push(draft(&event, &self.config)?),
                    Err(status) => end = Err(failure::of(&status, &self.config, &self.peer)),
                }
            }
            cx.emit_all(drafts).await?;
            end?;
        }
        // The stream has ended as it should, or it is time to stop, which ends the pause, too.
        cx.pause(AGAIN_AFTER).await;
        Ok(())
    }
}

impl Generic {
    fn request(&self, cx: &Context) -> Result<Request<Wanted>, Error> {
        let mut request =
            Request::new(Wanted { name: cx.event().to_string(), config: self.config.config.clone().into() });
        let token = cx.secret(self.config.auth_secret.as_ref())?;
        if let (Some(token), Some(key)) = (token, &self.config.auth_secret) {
            let bearer = AsciiMetadataValue::try_from(format!("Bearer {}", token.expose_secret()));
            let bearer = bearer.map_err(|_| {
                Error::upstream(format!(
                    "the token in {} can't be sent: it is no line of ASCII text",
                    self.peer.secret(key)
                ))
            })?;
            request.metadata_mut().insert("authorization", bearer);
        }
        Ok(request)
    }
}

/// The connector speaks TLS, so the address has the scheme without it; what the server reads is the origin.
fn endpoint(target: &str, speaks_tls: bool) -> Result<Endpoint, String> {
    let scheme = if speaks_tls { "https" } else { "http" };
    let origin = format!("{scheme}://{target}").parse().map_err(|error| format!("`{target}`: {error}"))?;
    let endpoint = Endpoint::from_shared(format!("http://{target}")).map_err(|error| error.to_string())?;
    let endpoint = endpoint.origin(origin).connect_timeout(CONNECT_PATIENCE);
    Ok(endpoint
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE)
        .keep_alive_while_idle(true))
}

fn draft(event: &Event, config: &Config) -> Result<Draft, Error> {
    match Data::of(event, config) {
        Ok(data) => Draft::json(None, &data),
        Err(error) => Ok(Draft::unreadable(None, event.payload.clone(), error)),
    }
}

impl<'e> Data<'e> {
    fn of(event: &'e Event, config: &'e Config) -> Result<Self, NotJson> {
        Ok(Self { body: Body::of(&event.payload, config.json_body)?, metadata: config.metadata.as_ref() })
    }
}

#[cfg(test)]
mod tests;
