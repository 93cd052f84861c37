//! What one connection is made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::{Client, ConnectOptions, ServerAddr};
use zetes_api::{Namespace, SecretKeyRef, Tls};
use zetes_runtime::Secrets;

use crate::explain;
use crate::login::{Credentials, Login};

/// A server, or the servers of a cluster, as an object names them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `nats://host:port` or `tls://host:port`, several with commas between them.
    pub url: String,
    pub login: Login,
    /// Set: TLS is required and verified, unless it says otherwise. Unset: TLS only where the server requires it, and not verified.
    pub tls: Option<Tls>,
    /// Whose secrets these are.
    pub namespace: Namespace,
    pub secrets: Secrets,
}

/// Options for one connection. async-nats may use them for reconnects: the login is read anew each time, certificates are not.
#[derive(Debug)]
pub struct Attempt {
    pub options: ConnectOptions,
    pub addresses: Vec<ServerAddr>,
    unverified: Arc<AtomicBool>,
}

/// A connection that stands.
#[derive(Debug)]
pub struct Connected {
    pub client: Client,
    /// What an operator should know: TLS that is not verified.
    pub warnings: Vec<String>,
}

/// Why there is no connection, and what to do, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConnectFailure(pub(crate) String);

impl Settings {
    /// Everything for one connection, as the secrets are now.
    ///
    /// # Errors
    /// An address that can't be read, a secret or certificate that can't be had.
    pub fn attempt(&self) -> Result<Attempt, ConnectFailure> {
        let addresses = self.addresses()?;
        let unverified = Arc::new(AtomicBool::new(false));
        let credentials = Credentials::new(self, addresses.first());
        credentials.check()?;
        let options = ConnectOptions::with_auth_callback(move |nonce| {
            let auth = credentials.answer(&nonce);
            async move { auth.map_err(|ConnectFailure(text)| async_nats::AuthError::new(text)) }
        });
        let options = options.tls_client_config(self.tls_config(&unverified)?);
        Ok(Attempt { options: options.require_tls(self.requires_tls()), addresses, unverified })
    }

    /// One connection. `adjust` may set what is not about address, TLS and login.
    ///
    /// # Errors
    /// As for [`Settings::attempt`]; a server that is not reached, or refuses.
    pub async fn connect(
        &self,
        adjust: impl FnOnce(ConnectOptions) -> ConnectOptions,
    ) -> Result<Connected, ConnectFailure> {
        let Attempt { options, addresses, unverified } = self.attempt()?;
        let connected = adjust(options).connect(addresses.as_slice()).await;
        let client = connected.map_err(|error| ConnectFailure(explain::failure(self, &error)))?;
        let warnings =
            if unverified.load(Ordering::Relaxed) { vec![explain::unverified(self)] } else { Vec::new() };
        Ok(Connected { client, warnings })
    }

    /// Hosts and ports, for messages: no user, no password.
    pub fn places(&self) -> String {
        let places: Vec<String> = self.parts().map(place).collect();
        places.join(", ")
    }

    /// For messages: where a value stands.
    pub(crate) fn secret(&self, key: &SecretKeyRef) -> String {
        format!("secret `{}/{}` key `{}`", self.namespace, key.name, key.key)
    }

    /// Whether a connection without TLS is refused.
    pub fn requires_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Verified where TLS is asked for; where only the server asks for it, any certificate is taken and `unverified` is set.
    fn tls_config(&self, unverified: &Arc<AtomicBool>) -> Result<rustls::ClientConfig, ConnectFailure> {
        let demands_tls = self.parts().all(|part| part.starts_with("tls://"));
        let made = match &self.tls {
            Some(tls) if !tls.insecure_skip_verify => {
                zetes_runtime::tls::client(tls, &self.namespace, &self.secrets)
            }
            None if demands_tls => {
                zetes_runtime::tls::client(&Tls::default(), &self.namespace, &self.secrets)
            }
            _ => zetes_runtime::tls::accepting_anything(unverified.clone()),
        };
        made.map_err(|failure| ConnectFailure(failure.to_string()))
    }

    fn addresses(&self) -> Result<Vec<ServerAddr>, ConnectFailure> {
        let unreadable = |part: &str| {
            ConnectFailure(format!(
                "`{}` is no address of a NATS server; write `nats://host:4222`",
                place(part)
            ))
        };
        let addresses: Vec<ServerAddr> =
            self.parts().map(|part| part.parse().map_err(|_| unreadable(part))).collect::<Result<_, _>>()?;
        if let Some(other) = addresses.iter().find(|address| !["nats", "tls"].contains(&address.scheme())) {
            return Err(unreadable(other.as_url_str()));
        }
        if addresses.is_empty() {
            return Err(ConnectFailure("the url names no NATS server; write `nats://host:4222`".to_owned()));
        }
        Ok(addresses)
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        self.url.split(',').map(str::trim).filter(|part| !part.is_empty())
    }
}

/// One part of the url without user and password.
fn place(part: &str) -> String {
    let (scheme, rest) = part.split_once("://").unwrap_or(("", part));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}
