//! A failure as one sentence that says what to do. Decided on codes and error types where there are any.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use eventsource_core::Error;
use redis::{ErrorKind, RedisError};
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use crate::server::Server;

/// What the server, or the way to it, has said.
pub(crate) fn of(server: &Server, error: &RedisError) -> Error {
    let (place, user) = (&server.address, user(server));
    let said = error.detail().unwrap_or_default();
    let text = match error.code() {
        Some("NOAUTH") => format!("{place} asks for a password; name the secret that holds it with password"),
        Some("WRONGPASS") => format!("{place} refused the login of {user}; correct {}", login(server)),
        Some("NOPERM") => format!("{place}: {user} lacks a right ({said}); grant it with ACL SETUSER"),
        Some("LOADING") => format!("{place} still loads its data; it serves when that is done"),
        Some("MASTERDOWN") => format!("{place} is a replica that has lost its master; see to the master"),
        Some("MOVED" | "ASK" | "CLUSTERDOWN") => format!(
            "{place} is a node of a cluster and says {said}; name the node that has the stream with hostAddress"
        ),
        Some("DENIED") => {
            format!("{place} is in protected mode; give it a password, or bind it to an address")
        }
        Some("NOGROUP" | "UNBLOCKED") => {
            format!("{place} has lost a stream or its consumer group ({said}); it is made anew")
        }
        Some("ERR") if said.contains("DB index is out of range") => {
            format!("{place} has no database {}; correct db", server.db)
        }
        Some("ERR") if said.contains("without any password configured") => format!(
            "{place} has no password for the default user; remove password, or name the user with username"
        ),
        Some(code) => format!("{place} refused: {code} {said}"),
        None if error.kind() == ErrorKind::RESP3NotSupported => {
            format!("{place} is older than Redis 6; a newer one is needed")
        }
        None => return transport(server, error),
    };
    Error::upstream(text)
}

/// There is no way to it, or no longer.
pub(crate) fn transport(server: &Server, error: &(dyn StdError + 'static)) -> Error {
    let place = &server.address;
    if let Some(tls) = find::<rustls::Error>(error) {
        return Error::upstream(tls_failure(server, tls));
    }
    let kind = find::<io::Error>(error).map(io::Error::kind);
    Error::upstream(match kind {
        Some(io::ErrorKind::ConnectionRefused) => {
            format!("nothing listens at {place}; start the server, or correct hostAddress")
        }
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            format!("no way leads to {place}; correct hostAddress, or the network")
        }
        Some(io::ErrorKind::TimedOut) => return server.silent(),
        Some(io::ErrorKind::InvalidInput) => {
            format!("`{place}` is no address; write hostAddress as `host:port`")
        }
        // A name service's error has no kind of its own.
        _ if error.to_string().contains("lookup address") => {
            format!("the host name of {place} is not known; correct hostAddress, or the name service")
        }
        _ => ended(server),
    })
}

/// The connection was closed and nothing was said.
pub(crate) fn ended(server: &Server) -> String {
    let place = &server.address;
    let tls = if server.tls.is_none() { ", or when it speaks TLS and we do not (tls)" } else { "" };
    format!(
        "{place} closed the connection; a server does so when it stops, when its user may no longer come in{tls}"
    )
}

fn tls_failure(server: &Server, error: &rustls::Error) -> String {
    let place = &server.address;
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            match server.tls.as_ref().and_then(|tls| tls.ca_cert_secret.as_ref()) {
                Some(key) => format!(
                    "the certificate of {place} is not signed by the CA in secret `{}` key `{}`; put the server's CA there",
                    key.name, key.key
                ),
                None => format!(
                    "the certificate of {place} is signed by no CA that this system knows; name its CA with tls.caCertSecret"
                ),
            }
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!(
            "the certificate of {place} is for another name; connect by a name that stands in it, or renew it"
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => format!("the certificate of {place} has expired; renew it"),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("{place} does not speak TLS; name its TLS port, or remove tls")
        }
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA,
        ) => format!(
            "{place} wants a client certificate that it knows; name one with tls.clientCertSecret and tls.clientKeySecret"
        ),
        other => format!("TLS with {place} failed: {other}"),
    }
}

/// The first error of this type in the chain. I/O errors and the client's own don't give those inside them as sources.
fn find<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inside = inside(error);
        if let Some(found) = error.downcast_ref::<E>() {
            return inside.and_then(find::<E>).or(Some(found));
        }
        next = inside.or_else(|| error.source());
    }
    None
}

fn inside<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    if let Some(shared) = error.downcast_ref::<Arc<dyn StdError + Send + Sync>>() {
        return Some(&**shared);
    }
    let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inside.map(|inside| inside as &(dyn StdError + 'static))
}

fn user(server: &Server) -> String {
    match (&server.password, server.username.as_str()) {
        (None, _) | (_, "") => "the default user".to_owned(),
        (_, name) => format!("user `{name}`"),
    }
}

fn login(server: &Server) -> String {
    let secret = server.password.as_ref();
    let secret = secret.map(|key| format!("the password in secret `{}` key `{}`", key.name, key.key));
    format!("username, or {}", secret.unwrap_or_else(|| "password".to_owned()))
}
