//! From a connection to a handler: limits, time limits, authentication, and the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::front::Port;
use super::reply::{Refusal, Reply};
use super::route::{Route, RouteSpec, cleaned};
use super::signature::is_token;
use super::tls::ServerTls;
use crate::{Context, Draft, Error};

/// A header must be there within this time after the connection or the last request.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);
/// A body must be there within this time.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// Connections of one port at a time; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 4_096;

/// A request whose body is there, within its limit, and whose bearer token is right.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    /// A header whose value is text; the first one where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An event source that is called over HTTP: it only has to say what a request means.
pub trait HttpSource: Send + Sync + 'static {
    /// The events of a request, and what its caller is answered. No event at all is answered with 200, too.
    ///
    /// # Errors
    /// The request is refused, and becomes no event.
    fn read(&self, request: &Request) -> impl Future<Output = Result<Reading, Refusal>> + Send;
}

/// What a request means.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    drafts: Vec<Draft>,
    answer: Option<(&'static str, String)>,
}

impl Reading {
    /// What the caller gets with its 200 instead of `success`, once the events are durable.
    #[must_use]
    pub fn answered(mut self, content_type: &'static str, body: impl Into<String>) -> Self {
        self.answer = Some((content_type, body.into()));
        self
    }
}

impl From<Draft> for Reading {
    fn from(draft: Draft) -> Self {
        vec![draft].into()
    }
}

impl From<Vec<Draft>> for Reading {
    fn from(drafts: Vec<Draft>) -> Self {
        Self { drafts, answer: None }
    }
}

impl Context {
    /// Serves a route until it is time to stop. The caller gets its 200 after the events are durable.
    ///
    /// # Errors
    /// The port can't be opened, or the route belongs to another event.
    pub async fn serve(&self, spec: RouteSpec, source: impl HttpSource) -> Result<(), Error> {
        let (cx, source) = (self.clone(), Arc::new(source));
        let handler = move |request: Request| -> futures_util::future::BoxFuture<'static, Reply> {
            let (cx, source) = (cx.clone(), source.clone());
            Box::pin(async move { answer(&cx, &*source, &request).await })
        };
        let route = Route::new(spec, self.clone(), Arc::new(handler));
        let route = route.map_err(|error| Error::permanent(format!("endpoint: {error}")))?;
        self.keep_route(Some(self.front().add(route).await.map_err(Error::upstream)?));
        self.stopped().await;
        Ok(())
    }
}

async fn answer(cx: &Context, source: &impl HttpSource, request: &Request) -> Reply {
    let Reading { drafts, answer } = match source.read(request).await {
        Ok(reading) => reading,
        Err(refusal) => return refuse(cx, refusal),
    };
    let first = drafts.first().map(|draft| draft.id.clone());
    match cx.emit_or_refuse(drafts).await {
        Ok(()) => Reply::accepted(first.as_ref(), answer),
        Err(Error::Bus(bus_core::BusError::TooLarge { bytes, limit })) => {
            let text = format!("an event of {bytes} bytes is over the bus's limit of {limit} bytes");
            refuse(cx, Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", text))
        }
        Err(Error::Bus(error @ bus_core::BusError::Refused(_))) => {
            refuse(cx, Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "not-storable", error.to_string()))
        }
        Err(error) => Reply::busy(format!("failed to record event: {error}")),
    }
}

fn refuse(cx: &Context, refusal: Refusal) -> Reply {
    cx.metrics().rejected(refusal.reason);
    Reply::refused(refusal)
}

/// Accepts connections of one port until `stop`, then lets those in hand finish.
pub(crate) async fn port(listener: TcpListener, port: Arc<Port>, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file handles, most likely: somebody must close one first.
            tokio::task::yield_now().await;
            continue;
        };
        let (port, stop) = (port.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, port, stop).await;
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, port: Arc<Port>, stop: CancellationToken) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    match port.tls.load_full() {
        None => http(stream, Connection { port, client: None }, stop).await,
        Some(tls) => {
            let handshake = tokio_rustls::TlsAcceptor::from(tls.config.clone()).accept(stream);
            match tokio::time::timeout(HEADER_PATIENCE, handshake).await {
                Ok(Ok(stream)) => {
                    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                    let client =
                        shown.zip(tls.client_ca).map(|(certificate, ca)| Client::new(certificate, ca));
                    http(stream, Connection { port, client }, stop).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a caller was refused: TLS"),
                Err(_) => {}
            }
        }
    }
}

/// What the requests of one connection share.
struct Connection {
    port: Arc<Port>,
    /// Who is at the other end, if it has shown a certificate.
    client: Option<Client>,
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Connection,
    stop: CancellationToken,
) {
    let router = Router::new().fallback(dispatch).with_state(Arc::new(connection));
    let service = TowerToHyperService::new(router);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_PATIENCE);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEADER_PATIENCE);
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    // A connection that breaks is the client's affair: what it was owed is on the bus or was never answered.
    let ended = tokio::select! {
        ended = serving.as_mut() => Some(ended),
        () = stop.cancelled() => None,
    };
    if ended.is_none() {
        serving.as_mut().graceful_shutdown();
        drop(serving.await);
    }
}

async fn dispatch(State(connection): State<Arc<Connection>>, request: axum::extract::Request) -> Response {
    let path = percent_encoding::percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    if let Some(clean) = cleaned(&path) {
        return Reply::moved(&clean).into_response();
    }
    let route = connection.port.routes.load().iter().find(|route| route.matches(&path)).cloned();
    let reply = match route {
        Some(route) => routed(&route, request, path, connection.client.as_ref()).await,
        None if path == "/health" => Reply::text(StatusCode::OK, "OK"),
        None => Reply::text(StatusCode::NOT_FOUND, "404 page not found\n"),
    };
    reply.into_response()
}

async fn routed(
    route: &Route,
    request: axum::extract::Request,
    path: String,
    client: Option<&Client>,
) -> Reply {
    if let Err(refusal) = authenticate(route, request.headers(), client) {
        return refuse(&route.owner, refusal);
    }
    let (head, body) = request.into_parts();
    let body = match body_of(body, &head.headers, &route.spec).await {
        Ok(body) => body,
        Err(refusal) => return refuse(&route.owner, refusal),
    };
    let query = head.uri.query().map(str::to_owned);
    (route.handler)(Request { method: head.method, path, query, headers: head.headers, body }).await
}

fn authenticate(route: &Route, headers: &HeaderMap, client: Option<&Client>) -> Result<(), Refusal> {
    if let Some(ca) = route.spec.tls.as_ref().and_then(ServerTls::client_ca) {
        Client::admit(client, ca, &route.spec.allowed_clients)?;
    }
    let Ok(Some(secret)) = route.owner.current_secret(route.spec.auth.as_ref()) else {
        return match &route.spec.auth {
            None => Ok(()),
            Some(_) => {
                Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "secret", "Error loading auth token"))
            }
        };
    };
    let header =
        headers.get(header::AUTHORIZATION).map(axum::http::HeaderValue::as_bytes).unwrap_or_default();
    let Some(token) = header.strip_prefix(b"Bearer ") else {
        return Err(Refusal::unauthenticated("Invalid Authorization Header"));
    };
    if is_token(token, &secret) { Ok(()) } else { Err(Refusal::unauthenticated("Invalid Auth token")) }
}

/// The one place that bounds bodies, in bytes and in time.
async fn body_of(body: axum::body::Body, headers: &HeaderMap, spec: &RouteSpec) -> Result<Bytes, Refusal> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > spec.max_body) {
        return Err(Refusal::too_large(spec.max_body));
    }
    match tokio::time::timeout(BODY_PATIENCE, Limited::new(body, spec.max_body).collect()).await {
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow", "the body did not come in time")),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large(spec.max_body)),
        Ok(Err(error)) => Err(Refusal::malformed(format!("the body can't be read: {error}"))),
    }
}
