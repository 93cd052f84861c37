//! A failure as one sentence that says what to do. Decided on error types where there are any.

use std::error::Error;
use std::io;

use async_nats::{ConnectError, ConnectErrorKind};
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use zetes_api::{BasicAuth, NatsAuth, SecretKeyRef};

use crate::login::Login;
use crate::settings::Settings;

/// Why no server of the settings could be used.
pub(crate) fn failure(settings: &Settings, error: &ConnectError) -> String {
    let places = settings.places();
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => refused_login(settings),
        ConnectErrorKind::Authentication => {
            format!("the login for {places} can't be made: {}", innermost(error))
        }
        ConnectErrorKind::Dns => {
            format!(
                "the host name of {places} is not known ({}); correct the url, or the name service",
                innermost(error)
            )
        }
        ConnectErrorKind::TimedOut => {
            format!(
                "{places} does not answer; see whether a NATS server runs there and a firewall lets us through"
            )
        }
        ConnectErrorKind::ServerParse => {
            format!("{places} announced an address that can't be read: {}", innermost(error))
        }
        ConnectErrorKind::Tls | ConnectErrorKind::Io | ConnectErrorKind::MaxReconnects => {
            transport(settings, error)
                .unwrap_or_else(|| format!("{places} can't be used: {}", innermost(error)))
        }
    }
}

/// TLS stands, but anybody could be at the other end.
pub(crate) fn unverified(settings: &Settings) -> String {
    let places = settings.places();
    if settings.tls.is_some() {
        format!("the certificate of {places} is not verified, because of tls.insecureSkipVerify")
    } else {
        format!(
            "the certificate of {places} is not verified; write tls.caCertSecret, or tls:// for one of a public CA"
        )
    }
}

fn refused_login(settings: &Settings) -> String {
    let places = settings.places();
    let asks = |member: &str| format!("{places} asks for a login; name a secret that has it with {member}");
    let refused = |what: &str, keys: &[Option<&SecretKeyRef>]| {
        let keys: Vec<String> = keys.iter().flatten().map(|key| settings.secret(key)).collect();
        format!("{places} refused the login; correct {what} in {}", keys.join(" and "))
    };
    match &settings.login {
        Login::AccessSecret(None) => asks("accessSecret"),
        Login::AccessSecret(Some(key)) => refused("the name, password, token or key", &[Some(key)]),
        Login::Auth(auth) => match &**auth {
            NatsAuth { basic: Some(BasicAuth { username, password }), .. } => {
                refused("the user name or the password", &[username.as_ref(), password.as_ref()])
            }
            NatsAuth { token: Some(key), .. } => refused("the token", &[Some(key)]),
            NatsAuth { nkey: Some(key), .. } => refused("the seed", &[Some(key)]),
            NatsAuth { credential: Some(key), .. } => refused("the credentials", &[Some(key)]),
            _ => asks("auth"),
        },
    }
}

fn transport(settings: &Settings, error: &ConnectError) -> Option<String> {
    let places = settings.places();
    if let Some(tls) = find::<rustls::Error>(error) {
        return Some(tls_failure(settings, tls));
    }
    let io = find::<io::Error>(error)?;
    Some(match io.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("nothing listens at {places}; start the server, or correct the url")
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("no way leads to {places} ({}); correct the url, or the network", io.kind())
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
            if settings.requires_tls() || settings.url.contains("tls://") =>
        {
            format!(
                "{places} broke the TLS handshake off; a server without TLS does so: set it up there, or remove tls and tls://"
            )
        }
        _ => return None,
    })
}

fn tls_failure(settings: &Settings, error: &rustls::Error) -> String {
    let places = settings.places();
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            let ca = settings.tls.as_ref().and_then(|tls| tls.ca_cert_secret.as_ref());
            match ca {
                Some(key) => format!(
                    "the certificate of {places} is not signed by the CA in {}; put the server's CA there",
                    settings.secret(key)
                ),
                None => format!(
                    "the certificate of {places} is signed by no CA that this system knows; name its CA with tls.caCertSecret"
                ),
            }
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!(
            "the certificate of {places} is for another name; connect by a name that stands in it, or renew it"
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => format!("the certificate of {places} has expired; renew it"),
        // webpki's word for it comes as text only.
        rustls::Error::InvalidCertificate(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            format!(
                "the certificate of {places} is a CA's own, which can't stand for a server; give the server one that is signed by a CA"
            )
        }
        rustls::Error::InvalidCertificate(other) => format!(
            "the certificate of {places} is not accepted ({other}); renew it, or name its CA with tls.caCertSecret"
        ),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!(
                "{places} does not speak TLS; set it up there, or remove tls and tls:// from the settings"
            )
        }
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA,
        ) => {
            format!(
                "{places} wants a client certificate that it knows; name one with tls.clientCertSecret and tls.clientKeySecret"
            )
        }
        other => format!("TLS with {places} failed: {other}"),
    }
}

/// The first error of this type in the chain, also inside an I/O error.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            // An I/O error around another one says less than that one.
            return inner.and_then(|inner| find::<E>(inner)).or(Some(found));
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    None
}

fn innermost(error: &ConnectError) -> String {
    let mut last: &dyn Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let text = last.to_string();
    text.strip_prefix("AuthError(")
        .and_then(|text| text.strip_suffix(')'))
        .map_or(text.clone(), str::to_owned)
}
