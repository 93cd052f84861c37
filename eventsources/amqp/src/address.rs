//! Where the broker is: the address of the manifest, or that in a secret.

use lapin::uri::{AMQPScheme, AMQPUri};
use url::Url;

/// Seconds between heartbeats. A broker that misses two is gone.
const HEARTBEAT: u16 = 10;

/// An address that can be read.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    uri: AMQPUri,
}

impl Address {
    /// `None` where it is none. The virtual host is `/` where the address names none, as in the reference.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let mut uri: AMQPUri = text.parse().ok()?;
        // The client knows no addresses in brackets.
        host.trim_start_matches('[').trim_end_matches(']').clone_into(&mut uri.authority.host);
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Some(Self { uri })
    }

    pub(crate) fn speaks_tls(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }

    /// For messages: scheme, host and port.
    pub(crate) fn place(&self) -> String {
        let host = &self.uri.authority.host;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        format!("{}://{host}:{}", self.uri.scheme, self.uri.authority.port)
    }

    pub(crate) fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// What the client is given.
    pub(crate) fn into_uri(self) -> AMQPUri {
        self.uri
    }

    /// The address's own user and password give way.
    #[must_use]
    pub(crate) fn with_login(mut self, user: String, password: String) -> Self {
        self.uri.authority.userinfo.username = user;
        self.uri.authority.userinfo.password = password;
        self
    }
}
