//! A provider's API that a test runs: it answers by the test's own function and remembers what it was asked. And how a delivery is sent.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use eventsource_core::testkit::{Kit, Source, eventually};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Where the event sources of these tests are said to be reached.
pub(crate) const PUBLIC: &str = "https://ci.example.com/";
/// The address that their hooks have, with the endpoint `/push`.
pub(crate) const HOOK_URL: &str = "https://ci.example.com/push";

/// What a provider was asked.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// As it was sent, with its query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `POST /api/v4/projects/3/hooks`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string()).with("content-type", "application/json")
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in self.headers {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
        }
        response
    }
}

struct Inner {
    answer: Box<dyn Fn(&Call) -> Answer + Send + Sync>,
    asked: Mutex<Vec<Call>>,
    refusal: Mutex<Option<Answer>>,
}

pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    _serving: JoinSet<()>,
}

impl Provider {
    pub(crate) async fn start(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner =
            Arc::new(Inner { answer: Box::new(answer), asked: Mutex::default(), refusal: Mutex::default() });
        let app = Router::new().fallback(reply).with_state(inner.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, inner, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every call is answered so from now on, until `None`.
    pub(crate) fn refuse(&self, refusal: Option<Answer>) {
        *self.inner.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    /// All calls so far.
    pub(crate) fn asked(&self) -> Vec<Call> {
        self.inner.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for so many calls of this method, and gives them.
    pub(crate) async fn calls(&self, method: &str, count: usize) -> Vec<Call> {
        eventually(&format!("{count} times {method}"), async || {
            let calls: Vec<_> = self.asked().into_iter().filter(|call| call.method == method).collect();
            (calls.len() >= count).then_some(calls)
        })
        .await
    }

    /// All calls so far that change something.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.asked().iter().filter(|call| call.method != "GET").map(Call::line).collect()
    }
}

async fn reply(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call {
        method: method.to_string(),
        path: uri.path_and_query().unwrap().to_string(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let refusal = inner.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let answer = refusal.unwrap_or_else(|| (inner.answer)(&call));
    inner.asked.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    answer.into_response()
}

/// A configuration with other fields.
pub(crate) fn with(mut config: Value, fields: Value) -> Value {
    if let Value::Object(fields) = fields {
        config.as_object_mut().unwrap().extend(fields);
    }
    config
}

/// Each test has a runtime of its own, so no connection is kept.
static CLIENT: LazyLock<reqwest::Client> =
    LazyLock::new(|| reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap());

/// What a delivery was answered with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) status: u16,
    /// The event's id, if it became one.
    pub(crate) id: String,
}

/// Sends a delivery to the endpoint `/push`.
pub(crate) async fn deliver(kit: &Kit, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Delivered {
    let (url, body) = (format!("http://{}/push", kit.address().await), body.into());
    eventually("the endpoint to be served", async || {
        let mut request = CLIENT.post(&url).body(body.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let id = answer.headers().get("x-event-id").map_or("", |id| id.to_str().unwrap()).to_owned();
        let status = answer.status().as_u16();
        (status != 404).then_some(Delivered { status, id })
    })
    .await
}

/// Waits until the trouble is over; an event source that has just been started has none yet.
pub(crate) async fn well(source: &Source) {
    eventually("the trouble to be over", async || source.status().trouble.is_none().then_some(())).await;
}

/// Waits until it is remembered that the hook of a place is this one.
pub(crate) async fn remembered(kit: &Kit, place: &str, id: &str) {
    kit.cursor(|memory| memory["hooks"][place]["id"] == id).await;
}

/// What a provider refuses, and a part of what is told, for all of them. Deliveries are received meanwhile.
pub(crate) async fn refusals_are_told(
    kit: &Kit,
    provider: &Provider,
    start: impl Fn(&Kit) -> Source,
    page: &str,
    right: &str,
) {
    let said = json!({"message": "no", "errors": [{"message": "why"}]});
    let limited = Answer::json(429, &said).with("retry-after", "120");
    let rows = [
        (Answer::json(403, &said), right),
        (Answer::json(404, &said), "it does not exist, or the token may not see it"),
        (limited, "the provider's limit is used up"),
        (Answer::json(500, &said), "500 Internal Server Error: no; why"),
        (Answer::text(200, "<html>a page for browsers"), "is this the address of its API?"),
        (Answer::text(200, r#"[{"cut": "#), "is this the address of its API?"),
    ];
    for (number, (refusal, expected)) in rows.into_iter().enumerate() {
        provider.refuse(Some(refusal));
        let source = start(kit);
        let trouble = source.trouble().await;
        for part in [expected, page, HOOK_URL] {
            assert!(trouble.contains(part), "`{part}` is not told: {trouble}");
        }
        let delivered = deliver(kit, &[], format!(r#"{{"n": {number}}}"#)).await;
        assert_eq!(delivered.status, 200, "deliveries go on: {trouble}");
        source.stop().await;
    }
    assert_eq!(kit.events(6).await.len(), 6);
    assert_eq!(provider.changes(), [""; 0]);
    provider.refuse(None);
    let source = start(kit);
    eventually("the hook to be made", async || (!provider.changes().is_empty()).then_some(())).await;
    well(&source).await;
}

/// Bodies that are no event, and how they are answered; `headers` are those of a right delivery without a signature.
pub(crate) async fn bad_bodies_become_no_event(
    kit: &Kit,
    headers: impl Fn(&[u8]) -> Vec<(&'static str, String)>,
) {
    let large = format!(r#"{{"large": "{}"}}"#, "x".repeat(2_000_000));
    let rows: [(&str, Vec<u8>, u16); 6] = [
        ("cut off", br#"{"ref": "refs/heads/ma"#.to_vec(), 400),
        ("empty", Vec::new(), 400),
        ("not UTF-8", b"{\"a\": \"\xff\"}".to_vec(), 400),
        ("two documents", b"{} {}".to_vec(), 400),
        ("nested beyond reason", "[".repeat(100_000).into_bytes(), 400),
        ("oversized", large.into_bytes(), 413),
    ];
    for (what, body, expected) in rows {
        let headers = headers(&body);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(deliver(kit, &headers, body).await.status, expected, "{what}");
    }
    assert!(kit.events_now().await.is_empty());
}
