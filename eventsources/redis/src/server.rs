//! Where the server is and who we are there: what both kinds say of it.

use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{Check, Context, Error};
use redis::{ProtocolVersion, RedisConnectionInfo};
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zetes_api::{SecretKeyRef, Tls};

use crate::failure;

const DEFAULT_PORT: &str = "6379";
/// A server that has not accepted a connection by then does not run, or a firewall swallows what we send.
const DIAL_PATIENCE: Duration = Duration::from_secs(10);

/// A server and a user.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// `host:port`, as the manifest says it.
    pub(crate) address: String,
    pub(crate) username: String,
    pub(crate) password: Option<SecretKeyRef>,
    pub(crate) db: i32,
    pub(crate) tls: Option<Tls>,
}

/// What commands and answers go over.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<W: AsyncRead + AsyncWrite + Send + Unpin> Wire for W {}

impl Server {
    pub(crate) fn check(&self, check: &mut Check) {
        check.text("hostAddress", &self.address);
        if self.db < 0 {
            check.bad("db", format!("expected the number of a database, found {}", self.db));
        }
        check.tls("tls", self.tls.as_ref());
    }

    pub(crate) async fn dial(&self, cx: &Context) -> Result<Box<dyn Wire>, Error> {
        let (host, port) = self.host_and_port();
        let tls = cx.tls(self.tls.as_ref())?;
        let dialled = timeout(DIAL_PATIENCE, TcpStream::connect(format!("{host}:{port}"))).await;
        let tcp = dialled.map_err(|_| self.silent())?.map_err(|error| failure::transport(self, &error))?;
        // Small commands are not to wait for the acknowledgement of the one before.
        tcp.set_nodelay(true).map_err(|error| failure::transport(self, &error))?;
        let Some(config) = tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name =
            name.map_err(|_| Error::permanent(format!("`{host}` is no host name; correct hostAddress")))?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        let connected = timeout(DIAL_PATIENCE, connecting).await.map_err(|_| {
            Error::upstream(format!(
                "{} does not answer to TLS; name its TLS port, or remove tls",
                self.address
            ))
        })?;
        Ok(Box::new(connected.map_err(|error| failure::transport(self, &error))?))
    }

    /// What is said first. Without a password nobody logs in, as in the reference.
    pub(crate) fn login(&self, cx: &Context) -> Result<RedisConnectionInfo, Error> {
        let login = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_lib_name("zetes", env!("CARGO_PKG_VERSION"))
            .set_db(self.db.into());
        let Some(password) = cx.secret(self.password.as_ref())? else { return Ok(login) };
        let login = login.set_password(password.expose_secret());
        Ok(if self.username.is_empty() { login } else { login.set_username(&self.username) })
    }

    pub(crate) fn silent(&self) -> Error {
        Error::upstream(format!(
            "{} does not answer; see whether Redis runs there and a firewall lets us through",
            self.address
        ))
    }

    /// Brackets of an IPv6 address stay.
    fn host_and_port(&self) -> (&str, &str) {
        match self.address.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (if host.is_empty() { "localhost" } else { host }, port)
            }
            _ => (&self.address, DEFAULT_PORT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_has_the_usual_one() {
        for (address, host, port) in [
            ("redis:6380", "redis", "6380"),
            ("redis", "redis", "6379"),
            (":6380", "localhost", "6380"),
            ("[::1]:6380", "[::1]", "6380"),
            ("[::1]", "[::1]", "6379"),
        ] {
            let server = Server {
                address: address.to_owned(),
                username: String::new(),
                password: None,
                db: 0,
                tls: None,
            };
            assert_eq!(server.host_and_port(), (host, port), "{address}");
        }
    }
}
