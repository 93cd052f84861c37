//! The admin port: health, metrics, and what became of events. Bound to loopback unless told otherwise.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use sensor_core::DeadLetterId;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zetes_api::EventId;

use crate::history::ProcessId;
use crate::observed::Observed;

/// Serves until `stop`.
///
/// # Errors
/// The listener fails for good.
pub(crate) async fn serve(
    listener: TcpListener,
    observed: Arc<Observed>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(observed)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(observed: Arc<Observed>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/process", get(process))
        .route("/api/v1/buses", get(buses))
        .route("/api/v1/events", get(events))
        .route("/api/v1/events/explain", get(explain_event))
        .route("/api/v1/dead-letters", get(dead_letters))
        .route("/api/v1/dead-messages", get(dead_messages))
        .route("/api/v1/dead-messages/show", get(dead_message))
        .route("/api/v1/dead-letters/redrive", post(redrive))
        .route("/api/v1/dead-letters/discard", post(discard))
        .with_state(observed)
}

#[derive(Deserialize)]
struct ReadyQuery {
    verbose: Option<String>,
}

/// 200 when every part serves, else 503; one line per part when `verbose`.
async fn ready(State(observed): State<Arc<Observed>>, Query(query): Query<ReadyQuery>) -> Response {
    let parts = observed.parts();
    let failing: Vec<_> = parts.iter().filter(|part| !part.ready).collect();
    let shown: Vec<_> = if query.verbose.is_some() { parts.iter().collect() } else { failing.clone() };
    let mut text =
        shown.iter().map(ToString::to_string).fold(String::new(), |text, line| text + &line + "\n");
    text.push_str(if failing.is_empty() { "ok\n" } else { "not ready\n" });
    let code = if failing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, text).into_response()
}

async fn metrics(State(observed): State<Arc<Observed>>) -> Response {
    match observed.metrics().await {
        Ok(text) => ([("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => failure(&error),
    }
}

async fn status(State(observed): State<Arc<Observed>>) -> Response {
    Json(observed.parts()).into_response()
}

/// For who found our address in the data directory: whether it is still us.
async fn process() -> Response {
    Json(ProcessId::ours()).into_response()
}

async fn buses(State(observed): State<Arc<Observed>>) -> Response {
    Json(observed.buses().await).into_response()
}

#[derive(Deserialize)]
struct EventsQuery {
    #[serde(default = "twenty")]
    limit: usize,
}

fn twenty() -> usize {
    20
}

async fn events(State(observed): State<Arc<Observed>>, Query(query): Query<EventsQuery>) -> Response {
    match observed.newest(query.limit.clamp(1, 10_000)).await {
        Ok(lines) => Json(lines).into_response(),
        Err(error) => failure(&error),
    }
}

#[derive(Deserialize)]
struct IdQuery {
    id: String,
}

async fn explain_event(State(observed): State<Arc<Observed>>, Query(query): Query<IdQuery>) -> Response {
    match observed.explain(&EventId::from(query.id)).await {
        Ok(explanations) => Json(explanations).into_response(),
        Err(error) => failure(&error),
    }
}

async fn dead_letters(State(observed): State<Arc<Observed>>) -> Response {
    match observed.dead_letters().await {
        Ok(letters) => Json(letters).into_response(),
        Err(error) => failure(&error),
    }
}

async fn dead_messages(State(observed): State<Arc<Observed>>) -> Response {
    match observed.dead_messages().await {
        Ok(messages) => Json(messages).into_response(),
        Err(error) => failure(&error),
    }
}

async fn dead_message(State(observed): State<Arc<Observed>>, Query(query): Query<IdQuery>) -> Response {
    match observed.dead_message(&query.id).await {
        Ok(message) => Json(message).into_response(),
        Err(error) => failure(&error),
    }
}

/// A body of JSON and nothing else: a page in a browser can't send it to another origin unasked.
#[derive(Deserialize)]
struct OneDeadLetter {
    id: DeadLetterId,
}

async fn redrive(State(observed): State<Arc<Observed>>, Json(one): Json<OneDeadLetter>) -> Response {
    answer(&one.id, observed.redrive(&one.id).await)
}

async fn discard(State(observed): State<Arc<Observed>>, Json(one): Json<OneDeadLetter>) -> Response {
    answer(&one.id, observed.discard(&one.id).await)
}

fn answer(id: &DeadLetterId, done: anyhow::Result<bool>) -> Response {
    match done {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => (StatusCode::NOT_FOUND, format!("there is no dead letter `{id}`\n")).into_response(),
        Err(error) => (StatusCode::CONFLICT, format!("{error:#}\n")).into_response(),
    }
}

fn failure(error: &dyn std::fmt::Display) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}
