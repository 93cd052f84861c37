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
}

impl Refusal {
    /// 400: the body or a header can't be understood.
    pub fn malformed(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason: "malformed", text: text.into(), allow: None }
    }

    /// 401: the signature or token is missing or wrong.
    pub fn unauthenticated(text: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, reason: "unauthenticated", text: text.into(), allow: None }
    }

    /// 405, with the methods that are allowed.
    pub fn method(allowed: &str) -> Self {
        let text = format!("method not allowed, expected {allowed}");
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            reason: "method",
            text,
            allow: Some(allowed.to_owned()),
        }
    }

    pub(crate) fn new(status: StatusCode, reason: &'static str, text: impl Into<String>) -> Self {
        Self { status, reason, text: text.into(), allow: None }
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

    /// The event is durable.
    pub(crate) fn accepted(id: Option<&EventId>) -> Self {
        let mut reply = Self::text(StatusCode::OK, "success");
        if let Some(id) = id.and_then(|id| HeaderValue::from_str(id.as_str()).ok()) {
            reply.headers.insert(EVENT_ID, id);
        }
        reply
    }

    /// The bus can't take it now; the caller may try again.
    pub(crate) fn busy(text: impl Into<String>) -> Self {
        let mut reply = Self::text(StatusCode::SERVICE_UNAVAILABLE, text);
        reply.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        reply
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
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        response
    }
}
