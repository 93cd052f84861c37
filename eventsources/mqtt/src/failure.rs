//! What the broker, or the way to it, has said: one sentence that says what to do.

use eventsource_core::{Error, Peer};
use rumqttc::{ConnectReturnCode, ConnectionError, StateError};

use crate::Config;

pub(crate) fn of(error: &ConnectionError, config: &Config, peer: &Peer) -> Error {
    let (place, id) = (peer.place(), &config.client_id);
    Error::upstream(match error {
        ConnectionError::ConnectionRefused(code) => refused(*code, config, peer),
        ConnectionError::NetworkTimeout
        | ConnectionError::FlushTimeout
        | ConnectionError::MqttState(StateError::AwaitPingResp) => silent(place),
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            format!(
                "{place} closed the connection; when it does so again and again, another client has the id `{id}`"
            )
        }
        ConnectionError::ResponseValidation(_) | ConnectionError::Websocket(_) => {
            format!("{place} does not carry MQTT: {error}; correct port and path of the address")
        }
        other => peer.failure(other),
    })
}

fn refused(code: ConnectReturnCode, config: &Config, peer: &Peer) -> String {
    let place = peer.place();
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            let auth = config.auth.as_ref();
            let keys = auth.map(|auth| [auth.username.as_ref(), auth.password.as_ref()]).unwrap_or_default();
            peer.refused_login(&keys)
        }
        ConnectReturnCode::BadClientId => {
            format!("{place} does not accept the client id `{}`; write another clientId", config.client_id)
        }
        ConnectReturnCode::RefusedProtocolVersion => {
            format!("{place} does not speak MQTT 3.1.1; switch it on there")
        }
        ConnectReturnCode::ServiceUnavailable | ConnectReturnCode::Success => {
            format!("{place} says that it serves nobody now; it is tried again")
        }
    }
}

fn silent(place: &str) -> String {
    format!("{place} does not answer; see whether the broker runs and a firewall lets us through")
}
