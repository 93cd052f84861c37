//! The webhook endpoints of a Stripe account: <https://docs.stripe.com/api/webhook_endpoints>.

use eventsource_core::{Context, Error};
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value;
use zetes_runtime::{SecretText, random_id};

use super::Config;
use crate::registration::reason;

const ADDRESS: &str = "https://api.stripe.com";
const VERSION: &str = "2020-03-02";
/// Endpoints of one answer; an account has at most some tens.
const PAGE: &str = "100";
const MOST_PAGES: usize = 20;
/// Whose an endpoint is stands in its metadata under this key, so that none that somebody else made is ever deleted.
const OWNER: &str = "zetes";

/// One endpoint that is to be there.
pub(super) struct Api {
    client: reqwest::Client,
    address: String,
    key: SecretText,
    /// Where events are to go.
    url: String,
    events: Vec<String>,
    owner: String,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Hook>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Hook {
    id: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    enabled_events: Vec<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    metadata: Value,
}

impl Api {
    /// `None` where no endpoint is to be created.
    ///
    /// # Errors
    /// The key can't be read.
    pub(super) fn connect(config: &Config, cx: &Context) -> Result<Option<Self>, Error> {
        let url = config.webhook.as_ref().and_then(eventsource_core::Endpoint::public_url);
        let Some(url) = url.filter(|_| config.create_webhook) else { return Ok(None) };
        let key = cx.secret(config.api_key.as_ref())?;
        let key = key.ok_or_else(|| Error::permanent("`createWebhook` needs an `apiKey`"))?;
        let address =
            config.stripe_base_url.as_deref().filter(|address| !address.is_empty()).unwrap_or(ADDRESS);
        Ok(Some(Self {
            client: cx.http_client(None)?,
            address: address.trim_end_matches('/').to_owned(),
            key,
            url,
            events: config.event_filter.clone().unwrap_or_else(|| vec!["*".to_owned()]),
            owner: format!("{}/{}/{}", cx.namespace(), cx.source(), cx.event()),
        }))
    }

    /// Sees to it that there is an endpoint with our address, which is sent our events.
    ///
    /// # Errors
    /// What Stripe says.
    pub(super) async fn register(&self) -> Result<(), String> {
        let hooks = self.hooks().await?;
        let mut wanted: Vec<_> =
            (0..).map(|index| format!("enabled_events[{index}]")).zip(self.events.clone()).collect();
        let Some(hook) = hooks.iter().find(|hook| hook.url == self.url) else {
            wanted.push(("url".to_owned(), self.url.clone()));
            wanted.push((format!("metadata[{OWNER}]"), self.owner.clone()));
            return self.post("", &wanted).await;
        };
        if hook.status != "disabled" && has_same(&hook.enabled_events, &self.events) {
            return Ok(());
        }
        wanted.push(("disabled".to_owned(), "false".to_owned()));
        self.post(&format!("/{}", hook.id), &wanted).await
    }

    /// Deletes what we have made.
    ///
    /// # Errors
    /// What Stripe says.
    pub(super) async fn remove(&self) -> Result<(), String> {
        let is_ours = |hook: &&Hook| {
            hook.url == self.url && hook.metadata.get(OWNER) == Some(&self.owner.as_str().into())
        };
        for hook in self.hooks().await?.iter().filter(is_ours) {
            let deleted = self.request(Method::DELETE, &format!("/{}", hook.id));
            self.answer(deleted, &format!("the webhook endpoint {} could not be deleted", hook.id)).await?;
        }
        Ok(())
    }

    async fn hooks(&self) -> Result<Vec<Hook>, String> {
        const WHAT: &str = "the webhook endpoints can't be listed";
        let mut hooks: Vec<Hook> = Vec::new();
        for _ in 0..MOST_PAGES {
            let behind = hooks.last().map(|hook| ("starting_after", hook.id.as_str()));
            let query: Vec<_> = [("limit", PAGE)].into_iter().chain(behind).collect();
            let answer = self.answer(self.request(Method::GET, "").query(&query), WHAT).await?;
            let list: List = serde_json::from_str(&answer).map_err(|error| format!("{WHAT}: {error}"))?;
            let is_last = !list.has_more || list.data.is_empty();
            hooks.extend(list.data);
            if is_last {
                break;
            }
        }
        Ok(hooks)
    }

    async fn post(&self, path: &str, form: &[(String, String)]) -> Result<(), String> {
        // A key of its own for each attempt: Stripe repeats the answer to a known one for a day, also for an endpoint that is gone since.
        let request = self.request(Method::POST, path).header("Idempotency-Key", random_id()).form(form);
        let what = if path.is_empty() {
            "the webhook endpoint can't be created"
        } else {
            "the webhook endpoint can't be updated"
        };
        self.answer(request, what).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}/v1/webhook_endpoints{path}", self.address));
        request.bearer_auth(self.key.expose_secret()).header("Stripe-Version", VERSION)
    }

    /// The body of a good answer.
    async fn answer(&self, request: RequestBuilder, what: &str) -> Result<String, String> {
        let lost =
            |error: reqwest::Error| format!("{what}: {} does not answer: {}", self.address, reason(error));
        let answer = request.send().await.map_err(lost)?;
        let status = answer.status();
        let text = answer.text().await.map_err(lost)?;
        if status.is_success() {
            return Ok(text);
        }
        let told: Value = serde_json::from_str(&text).unwrap_or_default();
        let message = told.pointer("/error/message").and_then(Value::as_str).unwrap_or("without a reason");
        let hint = match status.as_u16() {
            401 => "; give `apiKey` a secret key of the account",
            403 => "; the key needs the right to write webhook endpoints",
            _ => "",
        };
        Err(format!("{what}: Stripe answers {status}: {message}{hint}"))
    }
}

fn has_same(ours: &[String], theirs: &[String]) -> bool {
    let all_in = |these: &[String], those: &[String]| these.iter().all(|one| those.contains(one));
    all_in(ours, theirs) && all_in(theirs, ours)
}
