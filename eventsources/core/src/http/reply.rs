//! What a caller is answered.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use zetes_api::EventId;

/// The header that names the event.
const EVENT_ID: HeaderName = HeaderName::from_static("x-event-id");

/// An answer before it is written.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    text: String,
    headers: HeaderMap,
}

/// Why a request became no event: a client's mistake, with the status that says so (S26).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
    pub(crate) text: String,
    pub(crate) allow: Option<String>,
    /// How the caller may show who it is, with a 401.
    pub(crate) challenge: Option<&'static str>,
}

impl Refusal {
    /// 400: the body or a header can't be understood.
    pub fn malformed(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", text)
    }

    /// 401: the signature or token is missing or wrong.
    pub fn unauthenticated(text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", text)
    }

    /// 503: what it takes to understand the request can't be had now; the caller may try again.
    pub fn later(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "later", text)
    }

    /// 405, with the methods that are allowed.
    pub fn method(allowed: &str) -> Self {
        let text = format!("method not allowed, expected {allowed}");
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", text);
        Self { allow: Some(allowed.to_owned()), ..refusal }
    }

    /// What the caller is told.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same, with where it was found before its text.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        Self { text: format!("{place}{}", self.text), ..self }
    }

    /// Tells the caller how to show who it is, as `WWW-Authenticate` does: `Basic realm="..."`.
    #[must_use]
    pub fn challenge(self, scheme: &'static str) -> Self {
        Self { challenge: Some(scheme), ..self }
    }

    pub(crate) fn new(status: StatusCode, reason: &'static str, text: impl Into<String>) -> Self {
        Self { status, reason, text: text.into(), allow: None, challenge: None }
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("request body too large, the limit is {limit} bytes"),
        )
    }
}

impl Reply {
    pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), headers: HeaderMap::new() }
    }

    /// The events are durable; `answer` is a content type and a body instead of the usual ones.
    pub(crate) fn accepted(id: Option<&EventId>, answer: Option<(&'static str, String)>) -> Self {
        let mut reply = Self::text(StatusCode::OK, "success");
        if let Some((content_type, body)) = answer {
            reply.text = body;
            reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(id) = id.and_then(|id| HeaderValue::from_str(id.as_str()).ok()) {
            reply.headers.insert(EVENT_ID, id);
        }
        reply
    }

    /// The bus can't take it now; the caller may try again.
    pub(crate) fn busy(text: impl Into<String>) -> Self {
        Self::refused(Refusal::later(text))
    }

    /// The same, at its clean path.
    pub(crate) fn moved(path: &str) -> Self {
        let mut reply = Self::text(StatusCode::MOVED_PERMANENTLY, "");
        if let Ok(path) = HeaderValue::from_str(path) {
            reply.headers.insert(header::LOCATION, path);
        }
        reply
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let mut reply = Self::text(refusal.status, refusal.text);
        if let Some(allow) = refusal.allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            reply.headers.insert(header::ALLOW, allow);
        }
        if let Some(challenge) = refusal.challenge {
            reply.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
            reply.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if refusal.status == StatusCode::PAYLOAD_TOO_LARGE {
            reply.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.text));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().entry(header::CONTENT_TYPE).or_insert(plain);
        response
    }
}
