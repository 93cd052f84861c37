//! What an adapter is given: where to emit, what it may know, and when to stop.

mod emit;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus_core::{Bus, Change, StateKey};
use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use reqwest::redirect::{Action, Attempt, Policy};
use rustls::ClientConfig;
use tokio_util::sync::CancellationToken;
use zetes_api::{EventName, Namespace, ObjectName, SecretKeyRef, Tls};
use zetes_runtime::{Clock, SecretText, Secrets};

use crate::filter::Filter;
use crate::http::RouteGuard;
use crate::metrics::{EventMetrics, Metrics};
use crate::supervisor::Part;
use crate::{Error, Front, Peer};

/// How often secrets are looked at for changes.
const SECRETS_EVERY: Duration = Duration::from_secs(2);
/// Limits of an exchange with an HTTP API.
const HTTP_CONNECT_PATIENCE: Duration = Duration::from_secs(10);
const HTTP_PATIENCE: Duration = Duration::from_secs(30);
const MOST_REDIRECTS: usize = 5;

/// What all event sources of a process share. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub secrets: Secrets,
    pub front: Front,
    pub metrics: Metrics,
}

/// One event of one EventSource, as its adapter sees the world: for one attempt, from `connect` to the end of `run`. Cheap to
/// clone.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
    /// Those that were read in this attempt are remembered: one that changes ends it.
    secrets: Secrets,
    /// The end of this attempt.
    stop: CancellationToken,
}

struct Inner {
    deps: Deps,
    namespace: Namespace,
    source: ObjectName,
    event: EventName,
    event_type: &'static str,
    filter: Option<Filter>,
    metrics: EventMetrics,
    part: Part,
    /// The route that is served. It outlives an attempt that ends because a secret changed, until the next one serves it anew.
    route: Mutex<Option<RouteGuard>>,
}

impl Context {
    pub(crate) fn new(
        deps: Deps,
        (namespace, source, event): (Namespace, ObjectName, EventName),
        (event_type, filter): (&'static str, Option<Filter>),
        part: Part,
        stop: CancellationToken,
    ) -> Self {
        let metrics = deps.metrics.of_event(&namespace, &source, &event);
        let secrets = deps.secrets.remembering();
        let route = Mutex::default();
        let inner = Inner { deps, namespace, source, event, event_type, filter, metrics, part, route };
        Self { inner: Arc::new(inner), secrets, stop }
    }

    /// The next attempt: it has read no secret, and ends with `self` or before.
    pub(crate) fn attempt(&self) -> Self {
        Self { stop: self.stop.child_token(), ..self.detached() }
    }

    /// An attempt that nobody stops: for what is left to do when the object is gone.
    pub(crate) fn detached(&self) -> Self {
        let secrets = self.inner.deps.secrets.remembering();
        Self { inner: self.inner.clone(), secrets, stop: CancellationToken::new() }
    }

    pub(crate) fn end_attempt(&self) {
        self.stop.cancel();
    }

    pub fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    /// Name of the EventSource object.
    pub fn source(&self) -> &ObjectName {
        &self.inner.source
    }

    pub fn event(&self) -> &EventName {
        &self.inner.event
    }

    pub fn clock(&self) -> &Clock {
        &self.inner.deps.clock
    }

    pub(crate) fn front(&self) -> &Front {
        &self.inner.deps.front
    }

    pub(crate) fn metrics(&self) -> &EventMetrics {
        &self.inner.metrics
    }

    pub(crate) fn part(&self) -> &Part {
        &self.inner.part
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// For messages: which event of which object this is.
    pub fn owner(&self) -> String {
        format!("eventsource/{}/{} event `{}`", self.inner.namespace, self.inner.source, self.inner.event)
    }

    /// The next item, or `None` when the stream has ended or it is time to stop. The only place where a stop takes effect, so an
    /// item in hand is always finished.
    pub async fn next<S: Stream + Unpin>(&self, stream: &mut S) -> Option<S::Item> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            item = stream.next() => item,
        }
    }

    /// The next item and those that are there already, at most `most`; `None` as for [`Context::next`]. One durable write then serves
    /// them all, and none waits for others to come.
    pub async fn next_batch<S: Stream + Unpin>(&self, stream: &mut S, most: usize) -> Option<Vec<S::Item>> {
        let mut batch = vec![self.next(stream).await?];
        while batch.len() < most {
            match stream.next().now_or_never() {
                Some(Some(item)) => batch.push(item),
                _ => break,
            }
        }
        Some(batch)
    }

    /// What `future` gives, or `None` when it is time to stop first. Only for what may be given up halfway: waiting for the next
    /// message, never what is done with one.
    pub async fn unless_stopped<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            output = future => Some(output),
        }
    }

    /// Returns when it is time to stop. Cancel safe.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Returns at or after `when`; `false` when it is time to stop first. Cancel safe.
    pub async fn wait_until(&self, when: jiff::Timestamp) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = self.clock().sleep_until(when) => true,
        }
    }

    /// As [`Context::wait_until`], so much later than now.
    pub async fn pause(&self, pause: Duration) -> bool {
        self.unless_stopped(self.clock().sleep(pause)).await.is_some()
    }

    /// Something that a person should see to although events are received, or `None` when it is well again: a hook that can't be
    /// registered, for example, and where to click. It stands in the status; the log tells it when it changes.
    pub fn trouble(&self, trouble: Option<String>) {
        let Inner { namespace, source, event, part, .. } = &*self.inner;
        if part.set_trouble(trouble.clone()) {
            match trouble {
                Some(trouble) => {
                    tracing::warn!(%namespace, eventSourceName = %source, eventName = %event, trouble, "event source in trouble");
                }
                None => {
                    tracing::info!(%namespace, eventSourceName = %source, eventName = %event, "trouble is over");
                }
            }
        }
    }

    /// Where secrets are, for connections that read them by themselves. What is read through it is remembered: when it changes, this
    /// attempt ends, and the next one connects with the new value.
    pub fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// TLS to upstream, as the secrets are now; `None` where the manifest asks for none.
    ///
    /// # Errors
    /// Transient: a secret that can't be read, or holds no certificate or key; it may be mended.
    pub fn tls(&self, tls: Option<&Tls>) -> Result<Option<ClientConfig>, Error> {
        let config = tls.map(|tls| zetes_runtime::tls::client(tls, &self.inner.namespace, &self.secrets));
        config.transpose().map_err(Error::upstream)
    }

    /// Who is called, for messages: `place` is scheme, host and port; `tls` where TLS is spoken with it.
    pub fn peer(&self, place: impl Into<String>, tls: Option<&Tls>) -> Peer {
        Peer::new(place.into(), tls.cloned(), self.inner.namespace.clone())
    }

    /// A client of an HTTP API. Every exchange is limited in time, and goes to no other host than the one that was meant.
    ///
    /// # Errors
    /// As for [`Context::tls`].
    pub fn http_client(&self, tls: Option<&Tls>) -> Result<reqwest::Client, Error> {
        let config = self.tls(Some(tls.unwrap_or(&Tls::default())))?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("zetes/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(HTTP_CONNECT_PATIENCE)
            .timeout(HTTP_PATIENCE)
            .redirect(Policy::custom(redirect));
        if let Some(config) = config {
            builder = builder.tls_backend_preconfigured(config);
        }
        builder.build().map_err(Error::permanent)
    }

    /// The secret's value; `None` when none is named.
    ///
    /// # Errors
    /// It is named and can't be read: fail closed (S35).
    pub fn secret(&self, key: Option<&SecretKeyRef>) -> Result<Option<SecretText>, Error> {
        let value = key.map(|key| self.secrets.secret(&self.inner.namespace, key)).transpose();
        Ok(value?)
    }

    /// As [`Context::secret`], for what is read with every request: not remembered.
    pub(crate) fn current_secret(&self, key: Option<&SecretKeyRef>) -> Result<Option<SecretText>, Error> {
        let value = key.map(|key| self.inner.deps.secrets.secret(&self.inner.namespace, key)).transpose();
        Ok(value?)
    }

    /// Waits until a secret that this attempt has read reads otherwise. Cancel safe.
    pub(crate) async fn secret_change(&self) {
        while !self.secrets.have_changed() {
            self.clock().sleep(SECRETS_EVERY).await;
        }
    }

    /// Keeps a route served until it is replaced or dropped.
    pub(crate) fn keep_route(&self, route: Option<RouteGuard>) {
        let before =
            std::mem::replace(&mut *self.inner.route.lock().unwrap_or_else(PoisonError::into_inner), route);
        drop(before);
    }

    /// What this event source remembers of its place upstream.
    ///
    /// # Errors
    /// The bus can't be read.
    pub async fn cursor(&self) -> Result<Option<Bytes>, Error> {
        Ok(self.inner.deps.bus.get(self.cursor_key()).await?.map(|entry| entry.value))
    }

    /// Remembers it, durably.
    ///
    /// # Errors
    /// The bus can't be written.
    pub async fn set_cursor(&self, cursor: Bytes) -> Result<(), Error> {
        let change = Change::Put { key: self.cursor_key(), value: cursor, expected: None };
        Ok(self.inner.deps.bus.commit(vec![change]).await?)
    }

    /// Forgets its place upstream: the object is gone.
    pub(crate) async fn forget_cursor(&self) -> Result<(), Error> {
        Ok(self.inner.deps.bus.commit(vec![Change::Delete { key: self.cursor_key() }]).await?)
    }

    fn cursor_key(&self) -> StateKey {
        StateKey::new(
            format!("{}/cursor", self.inner.namespace),
            format!("{}/{}", self.inner.source, self.inner.event),
        )
    }
}

/// Followed on the same host only: headers with secrets go along.
fn redirect(attempt: Attempt<'_>) -> Action {
    let is_same = attempt.previous().last().is_some_and(|before| {
        let (from, to) = (before.host_str(), attempt.url().host_str());
        from == to && (attempt.url().scheme() == "https" || before.origin() == attempt.url().origin())
    });
    if is_same && attempt.previous().len() < MOST_REDIRECTS { attempt.follow() } else { attempt.stop() }
}
