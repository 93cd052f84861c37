//! `slack`: Slack's events, interactions and slash commands (spec/event-sources.md 3.7).
//!
//! The data is what Slack sends: `{"type", "Data"}` of an event with its inner event as received, the payload of an interaction, the
//! fields of a command. Slack shows the answer to a command or an interaction to its user, so those are answered with an empty body.

use std::collections::BTreeMap;

use eventsource_core::{
    Check, Context, Draft, Endpoint, Error, EventSource, HttpSource, Reading, Refusal, Request, RouteKey,
    RouteSpec, SourceFilter, is_token,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zetes_api::{EventId, Invalid, SecretKeyRef};
use zetes_runtime::SecretText;

use crate::absent::object;
use crate::verify::hmac::{Hmac, Signature};

const PLAIN: &str = "text/plain; charset=utf-8";

/// Where deliveries come in, and what they must show.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where it is called.
    pub webhook: Option<Endpoint>,
    /// Secret that holds the verification token, which deliveries of events must carry.
    pub token: Option<SecretKeyRef>,
    /// Secret that holds the key by which every delivery must be signed.
    pub signing_secret: Option<SecretKeyRef>,
    /// Accepted and unused, as in the reference.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `slack`.
pub struct Slack {
    route: RouteSpec,
    reader: Reader,
}

struct Reader {
    token: SecretText,
    signature: Signature,
    cx: Context,
}

impl EventSource for Slack {
    const KIND: &'static str = "slack";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.present("token", config.token.as_ref());
        check.present("signingSecret", config.signing_secret.as_ref());
        check.webhook(config.webhook.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.webhook.as_ref().map(Endpoint::route).unwrap_or_default()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let missing = || Error::permanent("`slack` needs `webhook`, `token` and `signingSecret`");
        let secret = cx.secret(config.signing_secret.as_ref())?.ok_or_else(missing)?;
        let token = cx.secret(config.token.as_ref())?.ok_or_else(missing)?;
        let route = config.webhook.ok_or_else(missing)?.spec(cx)?;
        Ok(Self { route, reader: Reader { token, signature: signature(&secret)?, cx: cx.clone() } })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        cx.serve(self.route, self.reader).await
    }
}

/// How Slack signs: <https://api.slack.com/authentication/verifying-requests-from-slack>.
pub(crate) fn signature(secret: &SecretText) -> Result<Signature, Error> {
    let scheme = Hmac {
        header: "X-Slack-Signature".to_owned(),
        prefix: Some("v0=".to_owned()),
        timestamp_header: Some("X-Slack-Request-Timestamp".to_owned()),
        signed: Some("v0:{timestamp}:{body}".to_owned()),
        ..Hmac::default()
    };
    Signature::new(&scheme, secret, "signingSecret")
}

impl HttpSource for Reader {
    async fn read(&self, request: &Request) -> Result<Reading, Refusal> {
        self.signature.check(request, self.cx.clock().now())?;
        if request.header("content-type") == Some("application/x-www-form-urlencoded") {
            return form(&request.body);
        }
        self.callback(&request.body)
    }
}

/// The outer envelope of the Events API.
#[derive(Deserialize)]
struct Envelope<'e> {
    #[serde(default)]
    token: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    challenge: String,
    #[serde(default, borrow)]
    event: Option<&'e RawValue>,
    #[serde(default)]
    event_id: Option<String>,
    /// Seconds since 1970.
    #[serde(default)]
    event_time: Option<i64>,
}

/// The only member of an inner event that is looked at.
#[derive(Deserialize)]
struct Inner {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize)]
struct Data<'d> {
    r#type: &'d str,
    #[serde(rename = "Data")]
    data: &'d RawValue,
}

impl Reader {
    fn callback(&self, body: &[u8]) -> Result<Reading, Refusal> {
        let envelope: Envelope<'_> = object(body)
            .map_err(|error| Refusal::malformed(format!("failed to parse the event: {error}")))?;
        if !is_token(envelope.token.as_bytes(), &self.token) {
            return Err(Refusal::unauthenticated("failed to extract event, invalid verification token"));
        }
        match envelope.kind.as_str() {
            "url_verification" => Ok(Reading::default().answered(PLAIN, envelope.challenge)),
            "event_callback" => inner(&envelope),
            // `app_rate_limited` and what else Slack tells of itself.
            _ => Ok(Reading::default()),
        }
    }
}

fn inner(envelope: &Envelope<'_>) -> Result<Reading, Refusal> {
    let malformed = |what: &str| Refusal::malformed(format!("failed to parse the event: {what}"));
    let event = envelope.event.ok_or_else(|| malformed("there is no `event`"))?;
    let Inner { kind } = serde_json::from_str(event.get()).map_err(|_| malformed("`event` has no `type`"))?;
    let draft = json(envelope.event_id.clone(), &Data { r#type: &kind, data: event })?;
    let time = envelope.event_time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    Ok(match time {
        Some(time) => draft.at(time).into(),
        None => draft.into(),
    })
}

/// An interaction, a command, or the question whether the certificate is right.
fn form(body: &[u8]) -> Result<Reading, Refusal> {
    let fields: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let draft = if let Some(payload) = fields.get("payload") {
        interaction(payload)?
    } else if fields.contains_key("command") {
        command(&fields)?
    } else if fields.contains_key("ssl_check") {
        return Ok(Reading::default());
    } else {
        return Err(Refusal::malformed("could not determine slack type from form parameters"));
    };
    Ok(Reading::from(draft).answered(PLAIN, ""))
}

fn interaction(payload: &str) -> Result<Draft, Refusal> {
    #[derive(Deserialize)]
    struct Triggered {
        #[serde(default)]
        trigger_id: Option<String>,
    }
    let malformed = |error| Refusal::malformed(format!("failed to parse the interaction: {error}"));
    let Triggered { trigger_id } = object(payload.as_bytes()).map_err(malformed)?;
    let payload: &RawValue = serde_json::from_str(payload).map_err(malformed)?;
    json(trigger_id, &payload)
}

/// A slash command with the members of the reference; a text that Slack did not send is empty.
#[derive(Serialize)]
struct Command<'f> {
    token: &'f str,
    team_id: &'f str,
    team_domain: &'f str,
    #[serde(skip_serializing_if = "str::is_empty")]
    enterprise_id: &'f str,
    #[serde(skip_serializing_if = "str::is_empty")]
    enterprise_name: &'f str,
    is_enterprise_install: bool,
    channel_id: &'f str,
    channel_name: &'f str,
    user_id: &'f str,
    user_name: &'f str,
    #[serde(rename = "command")]
    name: &'f str,
    text: &'f str,
    response_url: &'f str,
    trigger_id: &'f str,
    api_app_id: &'f str,
}

fn command(fields: &BTreeMap<String, String>) -> Result<Draft, Refusal> {
    let text = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let command = Command {
        token: text("token"),
        team_id: text("team_id"),
        team_domain: text("team_domain"),
        enterprise_id: text("enterprise_id"),
        enterprise_name: text("enterprise_name"),
        is_enterprise_install: text("is_enterprise_install") == "true",
        channel_id: text("channel_id"),
        channel_name: text("channel_name"),
        user_id: text("user_id"),
        user_name: text("user_name"),
        name: text("command"),
        text: text("text"),
        response_url: text("response_url"),
        trigger_id: text("trigger_id"),
        api_app_id: text("api_app_id"),
    };
    json(fields.get("trigger_id").cloned(), &command)
}

fn json(id: Option<String>, data: &impl Serialize) -> Result<Draft, Refusal> {
    Draft::json(id.map(EventId::from), data).map_err(|error| Refusal::malformed(error.to_string()))
}
