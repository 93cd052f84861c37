//! `StorageGRID`'s tenant API: where notifications go, and which.

use eventsource_core::{Context, Endpoint, Error};
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use zetes_runtime::SecretText;

use super::Config;
use crate::registration::reason;

/// One endpoint, and the notifications of one bucket.
pub(super) struct Api {
    client: reqwest::Client,
    address: String,
    token: SecretText,
    url: String,
    name: String,
    topic: String,
    bucket: String,
    events: Vec<String>,
}

#[derive(Deserialize)]
struct Endpoints {
    #[serde(default)]
    data: Vec<Known>,
}

#[derive(Deserialize)]
struct Known {
    #[serde(default, rename = "endpointURN")]
    urn: String,
}

impl Api {
    /// `None` where there is no address that `StorageGRID` could be told.
    ///
    /// # Errors
    /// The token can't be read.
    pub(super) fn connect(config: &Config, cx: &Context) -> Result<Option<Self>, Error> {
        let Some(url) = config.webhook.as_ref().and_then(Endpoint::public_url) else { return Ok(None) };
        let token = cx.secret(config.auth_token.as_ref())?;
        Ok(Some(Self {
            client: cx.http_client(config.tls.as_ref())?,
            address: config.api_url.trim_end_matches('/').to_owned(),
            token: token.ok_or_else(|| Error::permanent("`storageGrid` needs an `authToken`"))?,
            url,
            name: cx.event().to_string(),
            topic: config.topic_arn.clone(),
            bucket: config.bucket.clone(),
            events: config.events.clone().unwrap_or_default(),
        }))
    }

    /// Sees to it that the endpoint is known, and that the bucket notifies it.
    ///
    /// # Errors
    /// What `StorageGRID` says.
    pub(super) async fn register(&self) -> Result<(), String> {
        let listed =
            self.answer(self.request(Method::GET, "endpoints")?, "the endpoints can't be listed").await?;
        let listed: Endpoints = serde_json::from_str(&listed)
            .map_err(|error| format!("the list of endpoints can't be read: {error}"))?;
        if !listed.data.iter().any(|known| known.urn == self.topic) {
            let endpoint = json!({
                "displayName": self.name,
                "endpointURI": self.url,
                "endpointURN": self.topic,
                "authType": "anonymous",
                "insecureTLS": true,
            });
            let request = self.request(Method::POST, "endpoints")?.json(&endpoint);
            self.answer(request, "the endpoint can't be created").await?;
        }
        let request = self.request(Method::PUT, &format!("containers/{}/notification", self.bucket))?;
        let what = format!("the notifications of the bucket `{}` can't be set", self.bucket);
        self.answer(request.json(&json!({"notification": self.notification()})), &what).await.map(drop)
    }

    fn notification(&self) -> String {
        let events: Vec<_> =
            self.events.iter().map(|event| format!("<Event>{}</Event>", escaped(event))).collect();
        let events = events.concat();
        let (id, topic) = (escaped(&self.name), escaped(&self.topic));
        format!(
            "<NotificationConfiguration><TopicConfiguration><Id>{id}</Id><Topic>{topic}</Topic>{events}\
             </TopicConfiguration></NotificationConfiguration>"
        )
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, String> {
        let address = format!("{}/org/{path}", self.address);
        let address =
            reqwest::Url::parse(&address).map_err(|error| format!("`apiURL` is no address: {error}"))?;
        Ok(self.client.request(method, address).bearer_auth(self.token.expose_secret()))
    }

    /// The body of a good answer.
    async fn answer(&self, request: RequestBuilder, what: &str) -> Result<String, String> {
        let lost = |error| format!("{what}: {} does not answer: {}", self.address, reason(error));
        let answer = request.send().await.map_err(lost)?;
        let status = answer.status();
        let text = answer.text().await.map_err(lost)?;
        if status.is_success() {
            return Ok(text);
        }
        let told: Value = serde_json::from_str(&text).unwrap_or_default();
        let message = told.pointer("/message/text").and_then(Value::as_str).unwrap_or("without a reason");
        let hint = match status.as_u16() {
            401 => "; `authToken` may have expired: sign in for a new one",
            404 => "; is there a bucket of that name in this tenant account?",
            _ => "",
        };
        Err(format!("{what}: StorageGRID answers {status}: {message}{hint}"))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
