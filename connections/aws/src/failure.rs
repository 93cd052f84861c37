//! A failure as one sentence that says what to do. Decided on codes, and on error types where there are any.

use std::error::Error;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use rustls::CertificateError;

/// Why something did not work, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// The service's word for it, `AccessDenied` for example; `None` where no service has answered.
    pub code: Option<String>,
    pub text: String,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { code: None, text: text.into() }
    }

    /// Whether the service's code is one of these.
    pub fn is_one_of(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }
}

/// Where requests go.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    /// Where the certificates that are trusted stand.
    pub(crate) ca: Option<String>,
}

/// Who we say that we are.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    Role(String),
    /// Where the secrets stand.
    Keys {
        access: String,
        secret: String,
        token: Option<String>,
    },
    DefaultChain,
}

// === impl Place ===

impl Place {
    pub(crate) fn address(&self, service: &str) -> String {
        let china = if self.region.starts_with("cn-") { ".cn" } else { "" };
        let amazon = || format!("https://{service}.{}.amazonaws.com{china}", self.region);
        self.endpoint.clone().unwrap_or_else(amazon)
    }

    /// For messages.
    fn named(&self) -> String {
        self.endpoint.clone().unwrap_or_else(|| format!("AWS in {}", self.region))
    }

    pub(crate) fn unreached(&self, login: &Login, error: &(dyn Error + 'static)) -> String {
        if let Some(credentials) = find::<CredentialsError>(error) {
            return login.not_given(self, credentials);
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return self.tls(tls);
        }
        let here = self.named();
        match find::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => {
                format!("nothing listens at {here}; start the server, or correct `endpoint`")
            }
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                format!("no way leads to {here}; correct `endpoint`, or the network")
            }
            _ => {
                let why = innermost(error);
                format!(
                    "{here} can't be used ({why}); see that it is there, and `region` and `endpoint` right"
                )
            }
        }
    }

    fn tls(&self, error: &rustls::Error) -> String {
        let here = self.named();
        match error {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => match &self.ca {
                Some(ca) => format!(
                    "the certificate of {here} is not signed by the CA in {ca}; put the server's CA there"
                ),
                None => format!(
                    "the certificate of {here} is signed by no CA that this system knows; name its CA with caCertificate"
                ),
            },
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!(
                "the certificate of {here} is for another name; use the name that stands in it as `endpoint`"
            ),
            rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => {
                format!("the certificate of {here} has expired; renew it")
            }
            rustls::Error::InvalidMessage(_) => {
                format!("{here} does not speak TLS; write `http://`, or set TLS up there")
            }
            other => format!("TLS with {here} failed: {other}"),
        }
    }
}

// === impl Login ===

impl Login {
    /// What the service's answer means.
    pub(crate) fn refused(&self, place: &Place, code: &str, message: &str) -> String {
        let here = place.named();
        // Some services end their messages with a full stop, and the sentence goes on.
        let message = message.trim_end_matches('.');
        match code {
            "InvalidAccessKeyId" | "InvalidClientTokenId" | "UnrecognizedClientException" => {
                format!("{here} does not know the access key of {}; correct it", self.access_key())
            }
            "SignatureDoesNotMatch" | "InvalidSignatureException" => {
                format!(
                    "{here} does not accept the signature: correct the secret key of {}",
                    self.secret_key()
                )
            }
            "ExpiredToken" | "ExpiredTokenException" => {
                format!(
                    "the session token of {} has expired; put new keys and a new token there",
                    self.token()
                )
            }
            "RequestTimeTooSkewed" | "RequestExpired" => {
                format!("{here} says that our clock is wrong ({message}); set this machine's clock")
            }
            "AccessDenied" | "AccessDeniedException" | "AuthorizationError" => {
                format!("{here} denies it to {} ({message}); grant the right", self.named())
            }
            code => format!("{here} answered {code} ({message})"),
        }
    }

    /// There are no credentials, for this reason.
    pub(crate) fn not_given(&self, place: &Place, error: &CredentialsError) -> String {
        match (self, error) {
            (_, CredentialsError::CredentialsNotLoaded(_)) => self.none_found(),
            (Self::Role(role), error) => {
                let why = innermost(error);
                format!(
                    "the role `{role}` can't be assumed at the token service of {} ({why}); see its trust policy, and our own credentials",
                    place.region
                )
            }
            (_, error) => format!("the AWS credentials can't be had: {}", innermost(error)),
        }
    }

    pub(crate) fn none_found(&self) -> String {
        let base =
            if let Self::Role(role) = self { format!(" to assume the role `{role}`") } else { String::new() };
        format!(
            "no AWS credentials{base}: looked in the environment (AWS_ACCESS_KEY_ID), the files ~/.aws/credentials and ~/.aws/config, \
             the web identity (AWS_WEB_IDENTITY_TOKEN_FILE), the container's role (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI) and the \
             instance's (its metadata service); give one of them, or keys with accessKey and secretKey"
        )
    }

    fn access_key(&self) -> &str {
        if let Self::Keys { access, .. } = self { access } else { self.source() }
    }

    fn secret_key(&self) -> &str {
        if let Self::Keys { secret, .. } = self { secret } else { self.source() }
    }

    fn token(&self) -> &str {
        if let Self::Keys { token: Some(token), .. } = self { token } else { self.source() }
    }

    fn named(&self) -> &str {
        if let Self::Keys { access, .. } = self { access } else { self.source() }
    }

    fn source(&self) -> &str {
        match self {
            Self::Role(role) => role,
            Self::Keys { .. } => "the secrets",
            Self::DefaultChain => "the default AWS credentials",
        }
    }
}

/// The first error of this type in the chain, also inside an I/O error.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = error.downcast_ref::<E>() {
            // An I/O error around another one says less than that one.
            return inside.and_then(|inside| find::<E>(inside)).or(Some(found));
        }
        next = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    None
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
