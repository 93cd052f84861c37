//! Why an upstream can't be reached, as one sentence that says what to do. Decided on the types of errors.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};
use zetes_api::{Namespace, SecretKeyRef, Tls};

/// A server that is called, for messages.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Scheme, host and port: never a user or a password.
    place: String,
    /// Where TLS is spoken with it.
    tls: Option<Tls>,
    namespace: Namespace,
}

impl Peer {
    pub(crate) fn new(place: String, tls: Option<Tls>, namespace: Namespace) -> Self {
        Self { place, tls, namespace }
    }

    /// Scheme, host and port.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Why there is no connection, or no longer: TLS, the network, or otherwise the innermost error's own words.
    pub fn failure(&self, error: &(dyn Error + 'static)) -> String {
        if let Some(error) = find::<rustls::Error>(error) {
            return self.tls_failure(error);
        }
        let (known, told) =
            (find::<io::Error>(error).and_then(|error| self.io_failure(error)), innermost(error));
        let known = known.or_else(|| self.told_failure(&told));
        known.unwrap_or_else(|| format!("{} can't be used: {told}", self.place))
    }

    /// The login was refused. `keys` are the secrets that it was made of.
    pub fn refused_login(&self, keys: &[Option<&SecretKeyRef>]) -> String {
        let Self { place, .. } = self;
        let keys: Vec<String> = keys.iter().flatten().map(|key| self.secret(key)).collect();
        if keys.is_empty() {
            return format!("{place} refused the login; name the secrets of one that it knows with auth");
        }
        format!("{place} refused the login; correct the user name or the password in {}", keys.join(" and "))
    }

    /// For messages: where a value stands.
    pub fn secret(&self, key: &SecretKeyRef) -> String {
        format!("secret `{}/{}` key `{}`", self.namespace, key.name, key.key)
    }

    fn io_failure(&self, error: &io::Error) -> Option<String> {
        let Self { place, .. } = self;
        Some(match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!("nothing listens at {place}; start the server, or correct the address")
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                format!("no way leads to {place}; correct the address, or the network")
            }
            io::ErrorKind::TimedOut => {
                format!("{place} does not answer; see whether it runs and a firewall lets us through")
            }
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted => self.closed(),
            // A name service's error has no kind of its own.
            _ if error.to_string().contains("failed to lookup address") => {
                format!("the host name of {place} is not known; correct the address, or the name service")
            }
            _ => return None,
        })
    }

    fn wants_certificate(&self) -> String {
        format!(
            "{} wants a client certificate that it knows; name one with tls.clientCertSecret and tls.clientKeySecret",
            self.place
        )
    }

    fn closed(&self) -> String {
        let hint = self.tls.as_ref().map(|tls| match tls.client_cert_secret {
            None => {
                "; so does a port without TLS, and one that wants a client certificate: see tls.clientCertSecret"
            }
            Some(_) => "; so does a port without TLS, and one that does not know our client certificate",
        });
        format!("{} closed the connection{}", self.place, hint.unwrap_or_default())
    }

    /// HTTP/2 hands on what TLS and TCP said as a text only.
    fn told_failure(&self, told: &str) -> Option<String> {
        if told.contains("CertificateRequired") {
            return Some(self.wants_certificate());
        }
        let closed = ["connection closed", "broken pipe", "connection reset"];
        closed.iter().any(|text| told.contains(text)).then(|| self.closed())
    }

    fn tls_failure(&self, error: &rustls::Error) -> String {
        let Self { place, .. } = self;
        match error {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                match self.tls.as_ref().and_then(|tls| tls.ca_cert_secret.as_ref()) {
                    Some(key) => format!(
                        "the certificate of {place} is not signed by the CA in {}; put the server's CA there",
                        self.secret(key)
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
            rustls::Error::InvalidCertificate(other) => {
                format!(
                    "the certificate of {place} is not accepted ({other}); renew it, or name its CA with tls.caCertSecret"
                )
            }
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                format!("{place} does not speak TLS; name its TLS port, or connect without TLS")
            }
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::HandshakeFailure
                | AlertDescription::UnknownCA,
            ) => self.wants_certificate(),
            other => format!("TLS with {place} failed: {other}"),
        }
    }
}

/// The innermost error of this type in the chain, also inside I/O errors.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    chain(error).filter_map(|error| error.downcast_ref()).last()
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// An error and those inside it. An I/O error does not give the one that it holds as its source.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| inside(*error))
}

fn inside<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(tls: Option<Tls>) -> Peer {
        Peer::new("amqps://host:1".to_owned(), tls, "ci".into())
    }

    fn key(key: &str) -> SecretKeyRef {
        SecretKeyRef { name: "broker".to_owned(), key: key.to_owned(), optional: None }
    }

    #[test]
    fn a_failure_says_what_to_do() {
        let with_ca = Tls { ca_cert_secret: Some(key("ca")), ..Tls::default() };
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, unknown()));
        assert_eq!(
            peer(Some(with_ca)).failure(&wrapped),
            "the certificate of amqps://host:1 is not signed by the CA in secret `ci/broker` key `ca`; put the server's CA there"
        );
        assert_eq!(
            peer(Some(Tls::default())).failure(&unknown()),
            "the certificate of amqps://host:1 is signed by no CA that this system knows; name its CA with tls.caCertSecret"
        );
        assert_eq!(
            peer(None).failure(&io::Error::from(io::ErrorKind::ConnectionRefused)),
            "nothing listens at amqps://host:1; start the server, or correct the address"
        );
        assert_eq!(peer(None).failure(&io::Error::other("odd")), "amqps://host:1 can't be used: odd");
    }

    #[test]
    fn a_refused_login_names_its_secrets() {
        assert_eq!(
            peer(None).refused_login(&[Some(&key("u")), Some(&key("p"))]),
            "amqps://host:1 refused the login; correct the user name or the password in secret `ci/broker` key `u` and \
             secret `ci/broker` key `p`"
        );
        assert!(
            peer(None).refused_login(&[None]).ends_with("name the secrets of one that it knows with auth")
        );
    }
}
