//! What an author writes under `mqtt`.

use std::collections::BTreeMap;

use eventsource_core::{Check, SourceFilter, one_of};
use rumqttc::QoS;
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Backoff, BasicAuth, Finding, Invalid, Tls};

use crate::broker::{Address, SCHEMES};

/// Seconds between questions to a broker that is silent, where nothing else is said.
const KEEP_ALIVE: u16 = 30;

/// Which topic is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Address of the broker: `tcp://` or `mqtt://`, with TLS `ssl://` or `mqtts://`, through an HTTP port `ws://` or `wss://`.
    pub url: String,
    /// Topic; `+` and `#` are wildcards.
    pub topic: String,
    /// Name of the client, unique at the broker: of two with the same name it keeps the later one.
    pub client_id: String,
    /// 0 (default): what is sent while the connection is away is lost. 1 or 2: a message is acknowledged when its event is durable;
    /// with `cleanSession: false` none is lost.
    pub qos: u8,
    /// `false`: the broker keeps the subscription, and messages with a `qos` of 1 or 2, while nothing is connected; it forgets them when
    /// the event is removed from the manifests. Default `true`.
    pub clean_session: Option<bool>,
    /// Duration such as `30s` (default): a broker that is silent for so long is asked, and is gone when it does not answer.
    pub keep_alive: String,
    /// Accepted; Zetes connects anew for ever, with growing pauses.
    pub connection_backoff: Option<Backoff>,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// TLS to the server, where the address says that TLS is spoken. Without it the system's certificates count.
    pub tls: Option<Tls>,
    /// User name and password; they win over the address's.
    pub auth: Option<BasicAuth>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        self.check_address(&mut check);
        check.text("topic", &self.topic);
        if !self.topic.is_empty() && !rumqttc::valid_filter(&self.topic) {
            let message = format!(
                "expected a topic, `+` for one level and `#` at the end for all below, found `{}`",
                self.topic
            );
            check.idle("topic", message);
        }
        check.text("clientId", &self.client_id);
        if self.qos > 2 {
            check.bad("qos", format!("expected 0, 1 or 2, found {}", self.qos));
        }
        if self.qos == 0 && self.keeps_session() {
            let message = "with `qos` 0 the broker keeps no message";
            check.extend([Finding::warning("keeps-nothing", "cleanSession", message).hint("write `qos: 1`")]);
        }
        check.duration("keepAlive", &self.keep_alive);
        check.tls("tls", self.tls.as_ref());
        check.basic_auth("auth", self.auth.as_ref());
        check.filter(self.filter.as_ref());
        check.end()
    }

    fn check_address(&self, check: &mut Check) {
        check.text("url", &self.url);
        match Address::parse(&self.url) {
            None if self.url.is_empty() => {}
            None => {
                check.idle("url", format_args!("expected an address that begins with {}", one_of(&SCHEMES)));
            }
            Some(address) if self.tls.is_some() && !address.speaks_tls() => {
                let message = format!("{} does not speak TLS, so `tls` has no effect", address.place());
                check.extend([Finding::warning("no-tls", "tls", message).hint("write `ssl://` or `wss://`")]);
            }
            Some(_) => {}
        }
    }

    pub(crate) fn quality(&self) -> QoS {
        match self.qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        }
    }

    pub(crate) fn keeps_session(&self) -> bool {
        self.clean_session == Some(false)
    }

    /// Whole seconds, at least one.
    pub(crate) fn keep_alive_seconds(&self) -> u16 {
        let Ok(duration) = zetes_gotime::duration::parse(&self.keep_alive) else { return KEEP_ALIVE };
        u16::try_from(duration.as_secs().max(1)).unwrap_or(u16::MAX)
    }
}
