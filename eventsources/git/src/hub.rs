//! What GitHub has and Gitea has taken over: signed deliveries, and hooks under `repos/<owner>/<name>` and `orgs/<organization>`.

use std::collections::{BTreeMap, BTreeSet};

use eventsource_core::{HttpSource, Reading, Refusal, Request};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use url::Url;
use zetes_runtime::SecretText;

use crate::api::segment;
use crate::delivery;
use crate::registration::Place;
use crate::signature;

/// Repositories of one owner.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Repositories {
    /// User or organization.
    #[serde(default)]
    pub owner: String,
    /// Names of repositories.
    #[serde(default)]
    pub names: Vec<String>,
}

/// How a provider names its headers.
pub(crate) struct Dialect {
    /// The event's name; also a key of the event's body.
    pub(crate) event: &'static str,
    /// The delivery's id, the same when it is sent again; also a key of the event's body.
    pub(crate) delivery: &'static str,
    /// Where a signature may stand, the best first.
    pub(crate) signatures: &'static [&'static str],
}

/// Makes deliveries events.
pub(crate) struct Reader {
    pub(crate) dialect: &'static Dialect,
    pub(crate) secret: Option<SecretText>,
    pub(crate) metadata: Option<BTreeMap<String, String>>,
}

impl HttpSource for Reader {
    async fn read(&self, request: &Request) -> Result<Reading, Refusal> {
        if let Some(secret) = &self.secret {
            self.check(request, secret)?;
        }
        let body = self.with_delivery(&payload(request)?, request)?;
        let id = request.header(self.dialect.delivery);
        Ok(delivery::event_with(id, request, &body, self.metadata.as_ref())?.into())
    }
}

impl Reader {
    /// GitHub signs what it sends; Gitea signs the payload, also where it sends it in a form.
    fn check(&self, request: &Request, secret: &SecretText) -> Result<(), Refusal> {
        let signed = self.dialect.signatures.iter().find_map(|name| request.header(name));
        signature::check(signed, secret, &request.body).or_else(|refusal| {
            let payload = form(request).ok_or(refusal)?;
            signature::check(signed, secret, payload.as_bytes())
        })
    }

    /// The payload with the two headers that Sensors look at among its keys; all else stays as it was written.
    fn with_delivery(&self, payload: &str, request: &Request) -> Result<Box<RawValue>, Refusal> {
        let malformed = |error: serde_json::Error| {
            Refusal::malformed(format!("the payload is not a JSON object: {error}"))
        };
        let mut members: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(payload).map_err(malformed)?;
        for name in [self.dialect.event, self.dialect.delivery] {
            let value = to_raw_value(request.header(name).unwrap_or_default()).map_err(malformed)?;
            members.insert(name.to_owned(), value);
        }
        to_raw_value(&members).map_err(malformed)
    }
}

/// The provider's JSON text, out of the body or out of its form.
fn payload(request: &Request) -> Result<String, Refusal> {
    let text = match media_type(request) {
        "application/json" => String::from_utf8(request.body.to_vec()).ok(),
        "application/x-www-form-urlencoded" => form(request),
        _ => {
            let content_type = request.header("content-type").unwrap_or_default();
            let text = format!("webhook request has unsupported Content-Type \"{content_type}\"");
            return Err(Refusal::malformed(text));
        }
    };
    text.ok_or_else(|| Refusal::malformed("the request holds no payload in UTF-8"))
}

fn media_type(request: &Request) -> &str {
    let content_type = request.header("content-type").unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim()
}

fn form(request: &Request) -> Option<String> {
    if media_type(request) != "application/x-www-form-urlencoded" {
        return None;
    }
    let mut pairs = url::form_urlencoded::parse(&request.body);
    pairs.find(|(name, _)| name == "payload").map(|(_, value)| value.into_owned())
}

/// A hook as the API shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Hook {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) active: bool,
    #[serde(default)]
    pub(crate) events: Vec<String>,
    #[serde(default)]
    pub(crate) config: HookConfig,
    #[serde(default)]
    pub(crate) branch_filter: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct HookConfig {
    pub(crate) url: Option<String>,
    pub(crate) content_type: Option<String>,
    /// `"0"`, `"1"`, or a number.
    pub(crate) insecure_ssl: Option<Value>,
}

impl Hook {
    pub(crate) fn url(&self) -> String {
        self.config.url.clone().unwrap_or_default()
    }
}

/// Each place once, in the order of the manifest.
pub(crate) fn places(repositories: &[Repositories], organizations: &[String]) -> Vec<Place> {
    let repositories = repositories.iter().flat_map(|Repositories { owner, names }| {
        names.iter().map(|name| Place(format!("repos/{}/{}", segment(owner), segment(name))))
    });
    let organizations = organizations.iter().map(|name| Place(format!("orgs/{}", segment(name))));
    let mut seen = BTreeSet::new();
    repositories.chain(organizations).filter(|place| seen.insert(place.clone())).collect()
}

pub(crate) fn is_organization(place: &Place) -> bool {
    place.0.starts_with("orgs/")
}

/// The page for hooks of a place, in the interface for people at `web`; `organizations` is its folder of organizations.
pub(crate) fn settings_page(web: &str, organizations: &str, place: &Place) -> String {
    match place.0.split_once('/') {
        Some(("orgs", name)) => format!("{web}/{organizations}/{name}/settings/hooks"),
        Some((_, repository)) => format!("{web}/{repository}/settings/hooks"),
        None => web.to_owned(),
    }
}

/// The address of the interface for people: the API's, without its `prefix`.
pub(crate) fn web_address(api: &Url, prefix: &str) -> String {
    let address = api.as_str().trim_end_matches('/');
    address.strip_suffix(prefix).unwrap_or(address).to_owned()
}
