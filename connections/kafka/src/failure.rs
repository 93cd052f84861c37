//! Which of the few ways to fail it was, and what a person does about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::context::Told;
use crate::settings::Settings;

/// What a call was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About<'a> {
    Cluster,
    Topic(&'a str),
    Group(&'a str),
    /// As `Topic`, for who only reads it.
    ReadTopic(&'a str),
    /// As `Group`, for who never deletes it.
    ReadGroup(&'a str),
}

/// Why brokers can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    pub kind: FailureKind,
    /// One sentence: what is wrong, where, and what to do.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// What was configured can't be used at all.
    Settings,
    /// User or password.
    Login,
    /// The broker's certificate, or ours.
    Certificate,
    /// One side speaks TLS and the other doesn't.
    Protocol,
    Unreachable,
    /// A right is missing.
    Permission,
    TopicMissing,
    TooLarge,
    Other,
}

impl FailureKind {
    /// Would a client with newly read secrets do better?
    pub fn is_about_secrets(self) -> bool {
        matches!(self, Self::Settings | Self::Login | Self::Certificate)
    }
}

impl Failure {
    pub(crate) fn of(error: &KafkaError, told: &[Told], settings: &Settings, about: &About<'_>) -> Self {
        let code = error.rdkafka_error_code();
        let kind = kind_of_code(code).or_else(|| told.iter().rev().find_map(Told::kind));
        let kind = kind.unwrap_or(match code {
            Some(code) if is_connection(code) => FailureKind::Unreachable,
            _ => FailureKind::Other,
        });
        let reason = || told.last().map_or_else(|| error.to_string(), |told| told.reason.clone());
        Self { kind, text: text(kind, settings, about, reason) }
    }
}

impl Told {
    /// librdkafka has one code for all that a handshake or a lost connection can mean, so that its text is looked at, too.
    fn kind(&self) -> Option<FailureKind> {
        let says = |part: &str| self.reason.contains(part);
        match self.code {
            Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
                Some(FailureKind::Login)
            }
            _ if says("SASL authentication") => Some(FailureKind::Login),
            _ if says("wrong version number") || says("PLAINTEXT broker listener") => {
                Some(FailureKind::Protocol)
            }
            Code::SSL => Some(FailureKind::Certificate),
            _ if says("SSL handshake failed") || says("certificate") => Some(FailureKind::Certificate),
            _ if says("SSL listener") || says("security.protocol") => Some(FailureKind::Protocol),
            // It hung up at the first request of all.
            _ if says("in state APIVERSION_QUERY") => Some(FailureKind::Protocol),
            Code::BrokerTransportFailure | Code::Resolve => Some(FailureKind::Unreachable),
            _ => None,
        }
    }
}

fn kind_of_code(code: Option<Code>) -> Option<FailureKind> {
    match code? {
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
            Some(FailureKind::Login)
        }
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => Some(FailureKind::Permission),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            Some(FailureKind::TopicMissing)
        }
        Code::MessageSizeTooLarge => Some(FailureKind::TooLarge),
        _ => None,
    }
}

fn is_connection(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::MessageTimedOut
            | Code::Resolve
            | Code::NetworkException
            | Code::WaitingForCoordinator
    )
}

fn text(kind: FailureKind, settings: &Settings, about: &About<'_>, reason: impl Fn() -> String) -> String {
    let url = &settings.url;
    match kind {
        FailureKind::Login => login(settings),
        FailureKind::Certificate => format!(
            "the certificate of the brokers at {url} was not accepted: name the authority that signed it in `tls.caCertSecret`, and use the host name that stands in it ({})",
            reason()
        ),
        FailureKind::Protocol if settings.has_tls() => {
            format!("the brokers at {url} speak no TLS there: remove `tls`, or name the port that does")
        }
        FailureKind::Protocol => format!(
            "the brokers at {url} closed the connection as one does that wants TLS or a login: set `tls` or `sasl`, or name the port without"
        ),
        FailureKind::Unreachable => format!(
            "none of the brokers at {url} can be reached: check that they run and that `url` is right ({})",
            reason()
        ),
        FailureKind::Permission => permission(settings, about),
        FailureKind::TopicMissing => match about {
            About::Topic(topic) | About::ReadTopic(topic) => {
                format!("the topic {topic} does not exist; create it")
            }
            About::Cluster | About::Group(_) | About::ReadGroup(_) => {
                "a topic does not exist; create it".to_owned()
            }
        },
        FailureKind::TooLarge => {
            "the broker refuses a message of this size; raise the topic's `max.message.bytes`".to_owned()
        }
        FailureKind::Settings | FailureKind::Other => format!("the brokers at {url} failed: {}", reason()),
    }
}

fn login(settings: &Settings) -> String {
    let url = &settings.url;
    match &settings.sasl {
        Some(sasl) => format!(
            "the brokers at {url} refused the login by {}: correct user and password in the secrets {}/{} and {}/{}",
            if sasl.mechanism.is_empty() { "PLAIN" } else { &sasl.mechanism },
            sasl.user_secret.name,
            sasl.user_secret.key,
            sasl.password_secret.name,
            sasl.password_secret.key,
        ),
        None => format!("the brokers at {url} want a login: set `sasl`"),
    }
}

fn permission(settings: &Settings, about: &About<'_>) -> String {
    let user = if settings.sasl.is_some() { "the user of `sasl`" } else { "this client" };
    match about {
        About::Topic(topic) => {
            format!("{user} has no right on topic {topic}: grant Read, Write and Describe on it")
        }
        About::Group(group) => {
            format!("{user} has no right on consumer group {group}: grant Read, Describe and Delete on it")
        }
        About::ReadTopic(topic) => {
            format!("{user} has no right to read topic {topic}: grant Read and Describe on it")
        }
        About::ReadGroup(group) => {
            format!("{user} has no right to join consumer group {group}: grant Read and Describe on it")
        }
        About::Cluster => format!("{user} has no right to do this: grant Describe on the cluster"),
    }
}
