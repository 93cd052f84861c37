//! A provider's REST API: JSON out, JSON in, and errors that say what to do.
//!
//! One call is one exchange: nothing is tried again here. Where the provider asks to come later, the error says when.

use eventsource_core::{Context, Error};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LINK};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;
use zetes_api::Tls;
use zetes_runtime::{Clock, SecretText};

use crate::limits;

/// Bytes of an answer.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
/// Pages of a list that are read.
const MOST_PAGES: usize = 100;
/// Characters of the provider's own message that are told.
const LONGEST_MESSAGE: usize = 300;
/// What may stand as it is in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~').remove(b'.');

/// Where the API is, and who asks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    provider: &'static str,
    client: Client,
    base: Url,
    headers: HeaderMap,
    login: Option<(SecretText, SecretText)>,
    /// Stands before the JSON of every answer.
    guard: &'static str,
    clock: Clock,
}

/// Why a call did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{provider}, {call}: {message}")]
pub(crate) struct ApiError {
    pub(crate) provider: &'static str,
    /// `GET repos/a/b/hooks`.
    pub(crate) call: String,
    /// What the provider answered with, if it did.
    pub(crate) status: Option<StatusCode>,
    /// The provider's own words.
    pub(crate) message: String,
    /// The provider is not to be asked again before.
    pub(crate) again: Option<Timestamp>,
}

impl ApiError {
    /// What was asked for is not there, or may not be seen.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.status, Some(StatusCode::NOT_FOUND | StatusCode::GONE))
    }

    /// It can't be made, most often because it is there already.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self.status, Some(StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY))
    }
}

impl Api {
    /// `base` is the address before the paths of all calls. Nothing is sent yet.
    ///
    /// # Errors
    /// Permanent: `base` is no HTTP address. Transient: TLS that can't be read.
    pub(crate) fn new(
        cx: &Context,
        provider: &'static str,
        base: &str,
        tls: Option<&Tls>,
    ) -> Result<Self, Error> {
        let wrong = |why| Error::permanent(format!("the address of {provider}'s API: {why}"));
        let base = base_url(base).map_err(wrong)?;
        Ok(Self {
            provider,
            client: cx.http_client(tls)?,
            base,
            headers: HeaderMap::new(),
            login: None,
            guard: "",
            clock: cx.clock().clone(),
        })
    }

    /// With a header on every call; `value` may be a secret, and is never told.
    ///
    /// # Errors
    /// Transient: `value` holds what no header can, a line break for example; the secret may be mended.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Result<Self, Error> {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            let provider = self.provider;
            Error::upstream(format!(
                "the header `{name}` for {provider}: the secret has characters that no header can hold, line breaks perhaps"
            ))
        })?;
        value.set_sensitive(true);
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// With a user name and a password on every call.
    pub(crate) fn with_login(mut self, user: SecretText, password: SecretText) -> Self {
        self.login = Some((user, password));
        self
    }

    /// With a text before the JSON of every answer, which browsers should not read as a script (Gerrit).
    pub(crate) fn guarded_by(mut self, guard: &'static str) -> Self {
        self.guard = guard;
        self
    }

    /// As another one, or with another token than before.
    pub(crate) fn authorized(&self, authorization: &str) -> Result<Self, ApiError> {
        let named = self.clone().with_header("authorization", authorization);
        named.map_err(|error| self.unsent("authorization".to_owned(), error.to_string()))
    }

    /// Why a call was not even sent.
    pub(crate) fn unsent(&self, call: String, message: String) -> ApiError {
        ApiError { provider: self.provider, call, status: None, message, again: None }
    }

    /// The address before all paths, with a `/` at its end.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// `path` is relative to the base, or a whole address below the same host: a next page.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        Ok(self.page(path).await?.0)
    }

    /// A list that may have more pages, told by `Link: <…>; rel="next"`; all of them, at most 100.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ApiError> {
        let (mut items, mut next) = self.page::<Vec<T>>(path).await?;
        for _ in 1..MOST_PAGES {
            let Some(page) = next else { break };
            let (more, after) = self.page::<Vec<T>>(&page).await?;
            items.extend(more);
            next = after;
        }
        Ok(items)
    }

    /// One page, and the address of the next one.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<(T, Option<String>), ApiError> {
        let call = Call { api: self, method: Method::GET, path };
        let answer = call.send(None::<&()>).await?;
        let next = next_page(answer.headers());
        Ok((call.json(answer).await?, next))
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        self.exchange(Method::POST, path, body).await
    }

    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        self.exchange(Method::PUT, path, body).await
    }

    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        self.exchange(Method::PATCH, path, body).await
    }

    /// 404 counts as done: it is gone.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), ApiError> {
        let call = Call { api: self, method: Method::DELETE, path };
        match call.send(None::<&()>).await {
            Err(ApiError { status: Some(StatusCode::NOT_FOUND), .. }) => Ok(()),
            ended => ended.map(drop),
        }
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let call = Call { api: self, method, path };
        let answer = call.send(Some(body)).await?;
        call.json(answer).await
    }
}

/// Why this is no address of an API, if it is none.
pub(crate) fn not_an_address(text: &str) -> Option<String> {
    base_url(text).err()
}

fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(&format!("{}/", text.trim_end_matches('/')));
    url.ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| format!("expected an address such as `https://git.example.com`, found `{text}`"))
}

/// A part of a path as it may stand between two `/`.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// One exchange, so that every failure names it.
struct Call<'c> {
    api: &'c Api,
    method: Method,
    path: &'c str,
}

impl Call<'_> {
    async fn send(&self, body: Option<&impl Serialize>) -> Result<Response, ApiError> {
        let mut request = self.request()?;
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| self.failed(&error))?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.refused(answer).await) }
    }

    fn request(&self) -> Result<RequestBuilder, ApiError> {
        let Api { client, headers, login, .. } = self.api;
        let request = client.request(self.method.clone(), self.address()?).headers(headers.clone());
        Ok(match login {
            Some((user, password)) => {
                request.basic_auth(user.expose_secret(), Some(password.expose_secret()))
            }
            None => request,
        })
    }

    /// Never another host than the provider's: the token goes with every call.
    fn address(&self) -> Result<Url, ApiError> {
        let base = &self.api.base;
        let text =
            if self.path.contains("://") { self.path.to_owned() } else { format!("{base}{}", self.path) };
        let address = Url::parse(&text).map_err(|error| self.error(None, format!("no address: {error}")))?;
        if address.origin() == base.origin() {
            Ok(address)
        } else {
            Err(self.error(None, format!("the next page is at another host than {base}")))
        }
    }

    async fn json<T: DeserializeOwned>(&self, answer: Response) -> Result<T, ApiError> {
        let status = answer.status();
        let bytes = self.bytes(answer).await?;
        let bytes = bytes.strip_prefix(self.api.guard.as_bytes()).unwrap_or(&bytes);
        // Who wants nothing of it (`()`) also takes an answer without a body.
        let bytes = if bytes.iter().all(u8::is_ascii_whitespace) { b"null" } else { bytes };
        serde_json::from_slice(bytes).map_err(|error| {
            self.error(
                Some(status),
                format!("the answer is not what the API documents: {error}; is this the address of its API?"),
            )
        })
    }

    async fn bytes(&self, mut answer: Response) -> Result<Vec<u8>, ApiError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.failed(&error))? {
            if bytes.len() + chunk.len() > LARGEST_ANSWER {
                return Err(
                    self.error(Some(answer.status()), format!("the answer is over {LARGEST_ANSWER} bytes"))
                );
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn refused(&self, answer: Response) -> ApiError {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let said = message(&self.bytes(answer).await.unwrap_or_default());
        let again = limits::again(status, &headers, &said, self.api.now());
        let message = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
        ApiError { again, ..self.error(Some(status), message) }
    }

    /// There was no answer.
    fn failed(&self, error: &reqwest::Error) -> ApiError {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            message = cause.to_string();
            source = cause.source();
        }
        let what = if error.is_timeout() { "no answer in time" } else { "not reached" };
        self.error(None, format!("{what} at {}: {message}", self.api.base))
    }

    fn error(&self, status: Option<StatusCode>, message: String) -> ApiError {
        let Self { api, method, path } = self;
        ApiError { provider: api.provider, call: format!("{method} {path}"), status, message, again: None }
    }
}

/// What the provider says in its own words: `message` with its `errors`, `error`, `error.message`, or the beginning of a plain text.
fn message(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let said = match serde_json::from_str::<Value>(&text) {
        Ok(json) => json_message(&json),
        // A page for browsers says nothing that one line could hold.
        Err(_) if text.trim_start().starts_with('<') => String::new(),
        Err(_) => text.into_owned(),
    };
    said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST_MESSAGE).collect()
}

fn json_message(json: &Value) -> String {
    let texts: Vec<String> = ["message", "error", "error_description", "errors"]
        .iter()
        .filter_map(|key| json.get(key))
        .flat_map(|value| match value {
            Value::Array(values) => values.iter().map(json_text).collect(),
            other => vec![json_text(other)],
        })
        .filter(|text| !text.is_empty())
        .collect();
    texts.join("; ")
}

fn json_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(members) => members.get("message").map(json_text).unwrap_or_default(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The address under `rel="next"` of RFC 8288.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    links.flat_map(|value| value.split(',')).find_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = |one: &str| matches!(one.trim(), r#"rel="next""# | "rel=next");
        parameters.split(';').any(is_next).then(|| address.to_owned())
    })
}

#[cfg(test)]
mod tests;
