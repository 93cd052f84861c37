//! What the server, or the way to it, has said: one sentence that says what to do.

use eventsource_core::{Error, Peer};
use tonic::{Code, Status};

use crate::Config;
use crate::wire::METHOD;

pub(crate) fn of(status: &Status, config: &Config, peer: &Peer) -> Error {
    let (place, message) = (peer.place(), status.message());
    Error::upstream(match status.code() {
        Code::Unauthenticated => match &config.auth_secret {
            Some(key) => format!("{place} refused the token ({message}); correct it in {}", peer.secret(key)),
            None => {
                format!("{place} asks for a token ({message}); name the secret that holds it with authSecret")
            }
        },
        Code::PermissionDenied => {
            format!("{place} does not give us events ({message}); grant the token's owner the right there")
        }
        Code::Unimplemented => format!("{place} has no method {METHOD}; see proto/eventing.proto"),
        Code::InvalidArgument | Code::FailedPrecondition | Code::NotFound => {
            format!("{place} refused what stands under config: {message}")
        }
        Code::OutOfRange => format!("{place} sent what can't be read: {message}"),
        code => match std::error::Error::source(status) {
            Some(source) => peer.failure(source),
            None => format!("{place} ended the stream: {message} ({code:?})"),
        },
    })
}
