//! Where the broker is, and how it is spoken with.

use std::sync::Arc;

use eventsource_core::{Context, Error, Peer};
use rumqttc::{AckMode, Broker, MqttOptions, TlsConfiguration, Transport};
use secrecy::ExposeSecret as _;
use url::Url;
use zetes_api::Tls;

use crate::Config;

/// How addresses begin.
pub(crate) const SCHEMES: [&str; 6] = ["tcp://", "mqtt://", "ssl://", "mqtts://", "ws://", "wss://"];
/// Bytes of a packet: the most that the protocol knows. What the bus can't hold becomes a dead letter, not a broken connection.
const LONGEST_PACKET: usize = 268_435_460;
/// Of packets that we send: a login may be a long token.
const LONGEST_SENT: usize = 1_048_576;

/// An address that can be read.
pub(crate) struct Address {
    url: Url,
    carrier: Carrier,
}

/// What carries the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Tcp,
    Tls,
    Websocket,
    TlsWebsocket,
}

impl Address {
    /// `None` where it has no host, or another scheme.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let carrier = match url.scheme() {
            "tcp" | "mqtt" => Carrier::Tcp,
            "ssl" | "tls" | "mqtts" | "mqtt+ssl" | "tcps" => Carrier::Tls,
            "ws" => Carrier::Websocket,
            "wss" => Carrier::TlsWebsocket,
            _ => return None,
        };
        url.host_str().filter(|host| !host.is_empty())?;
        Some(Self { url, carrier })
    }

    pub(crate) fn speaks_tls(&self) -> bool {
        matches!(self.carrier, Carrier::Tls | Carrier::TlsWebsocket)
    }

    /// For messages: scheme, host and port.
    pub(crate) fn place(&self) -> String {
        format!("{}://{}:{}", self.url.scheme(), self.host(), self.port())
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn port(&self) -> u16 {
        let usual = match self.carrier {
            Carrier::Tcp => 1883,
            Carrier::Tls => 8883,
            Carrier::Websocket => 80,
            Carrier::TlsWebsocket => 443,
        };
        self.url.port().unwrap_or(usual)
    }

    /// Without user and password.
    fn bare(&self) -> String {
        let mut url = self.url.clone();
        // Fails only where there is no host, which there is.
        let _cleared = url.set_username("").and_then(|()| url.set_password(None));
        url.into()
    }

    /// Decoded.
    fn login(&self) -> Option<(String, String)> {
        let decoded =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = Some(self.url.username()).filter(|user| !user.is_empty())?;
        Some((decoded(user), decoded(self.url.password().unwrap_or_default())))
    }
}

/// Everything for one connection, as the secrets are now, and who is called.
pub(crate) fn options(config: &Config, cx: &Context) -> Result<(MqttOptions, Peer), Error> {
    let address = Address::parse(&config.url).ok_or_else(|| {
        Error::permanent("the address can't be read; write `tcp://host:1883`, or `ssl://host:8883` for TLS")
    })?;
    let system = Tls::default();
    let tls = address.speaks_tls().then(|| config.tls.as_ref().unwrap_or(&system));
    let peer = cx.peer(address.place(), tls);
    let mut options = carried(config, &address, cx, tls)?;
    options.set_keep_alive(config.keep_alive_seconds()).set_ack_mode(AckMode::Manual);
    options.set_max_packet_size(LONGEST_PACKET, LONGEST_SENT);
    options.try_set_clean_session(!config.keeps_session()).map_err(Error::permanent)?;
    if let Some((user, password)) = login(config, &address, cx)? {
        options.set_credentials(user, password);
    }
    Ok((options, peer))
}

fn carried(
    config: &Config,
    address: &Address,
    cx: &Context,
    tls: Option<&Tls>,
) -> Result<MqttOptions, Error> {
    let id = config.client_id.clone();
    let tls = cx.tls(tls)?.map(|tls| TlsConfiguration::Rustls(Arc::new(tls)));
    let tcp = || MqttOptions::new(id.clone(), Broker::tcp(address.host(), address.port()));
    match (address.carrier, tls) {
        (Carrier::TlsWebsocket, Some(tls)) => {
            MqttOptions::websocket_with_tls_config(id, address.bare(), tls).map_err(Error::permanent)
        }
        (Carrier::Websocket | Carrier::TlsWebsocket, _) => {
            let broker = Broker::websocket(address.bare()).map_err(Error::permanent)?;
            Ok(MqttOptions::new(id, broker))
        }
        (_, Some(tls)) => {
            let mut options = tcp();
            options.set_transport(Transport::tls_with_config(tls));
            Ok(options)
        }
        (_, None) => Ok(tcp()),
    }
}

fn login(config: &Config, address: &Address, cx: &Context) -> Result<Option<(String, String)>, Error> {
    let Some(auth) = &config.auth else { return Ok(address.login()) };
    let value = |key| {
        let secret = cx.secret(key)?;
        Ok::<_, Error>(secret.map(|secret| secret.expose_secret().to_owned()).unwrap_or_default())
    };
    Ok(Some((value(auth.username.as_ref())?, value(auth.password.as_ref())?)))
}
