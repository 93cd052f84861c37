//! What the broker, or the way to it, has said: one sentence that says what to do.

use eventsource_core::{Error, Peer};
use lapin::ErrorKind;
use lapin::protocol::AMQPErrorKind;

use crate::Config;

/// Codes of the protocol.
const CONNECTION_FORCED: u16 = 320;
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const RESOURCE_LOCKED: u16 = 405;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

/// Who is called, and what was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) peer: Peer,
    pub(crate) config: Config,
    pub(crate) vhost: String,
}

/// What was going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum During {
    Connect,
    /// Exchange, queue, binding and messages.
    Consume,
}

impl Subject {
    pub(crate) fn failure(&self, error: &lapin::Error, during: During) -> Error {
        let place = self.peer.place();
        Error::upstream(match error.kind() {
            ErrorKind::ProtocolError(refusal) => {
                let code = match refusal.kind() {
                    AMQPErrorKind::Soft(error) => error.get_id(),
                    AMQPErrorKind::Hard(error) => error.get_id(),
                };
                self.refused(code, refusal.get_message().as_str(), during)
            }
            ErrorKind::MissingHeartbeatError => self.silent(),
            ErrorKind::IOError(_) => self.peer.failure(error),
            ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..) => {
                format!("{place} closed the connection")
            }
            other => format!("{place} can't be used: {}", lapin::Error::from(other.clone())),
        })
    }

    pub(crate) fn silent(&self) -> String {
        format!(
            "{} does not answer; see whether the broker runs and a firewall lets us through",
            self.peer.place()
        )
    }

    /// The broker has ended the consumer without an error.
    pub(crate) fn cancelled(&self) -> String {
        format!(
            "{} ended the consumer: {} was deleted, or has moved; it is declared anew",
            self.peer.place(),
            self.queue()
        )
    }

    fn refused(&self, code: u16, text: &str, during: During) -> String {
        let place = self.peer.place();
        match (code, during) {
            (ACCESS_REFUSED, During::Connect) => self.refused_login(),
            (ACCESS_REFUSED, During::Consume) => {
                format!("{place} refused: {text}; give the user the right in virtual host `{}`", self.vhost)
            }
            (NOT_ALLOWED, During::Connect) => format!(
                "{place} does not open virtual host `{}`: {text}; correct the path of the address, or give the user the right",
                self.vhost
            ),
            (NOT_FOUND, _) => format!("{place} refused: {text}; it was deleted, and is declared anew"),
            (RESOURCE_LOCKED, _) => {
                format!("{place} refused: {text}; another connection has {} for itself", self.queue())
            }
            (PRECONDITION_FAILED, _) => format!(
                "{place} refused: {text}; write what the broker has under exchangeDeclare and queueDeclare, or delete it there"
            ),
            (CONNECTION_FORCED, _) => format!("{place} closed the connection: {text}"),
            _ => format!("{place} refused: {text} ({code})"),
        }
    }

    fn refused_login(&self) -> String {
        let Config { auth, url_secret, .. } = &self.config;
        let place = self.peer.place();
        match (auth, url_secret) {
            (Some(auth), _) => self.peer.refused_login(&[auth.username.as_ref(), auth.password.as_ref()]),
            (None, Some(key)) => {
                format!("{place} refused the login; correct the address in {}", self.peer.secret(key))
            }
            (None, None) => self.peer.refused_login(&[]),
        }
    }

    fn queue(&self) -> String {
        let queue = self.config.queue_declare.as_ref().filter(|queue| !queue.name.is_empty());
        queue.map_or_else(|| "its queue".to_owned(), |queue| format!("queue `{}`", queue.name))
    }
}
