//! What an adapter is given: where to emit, what it may know, and when to stop.

use std::sync::Arc;

use bus_core::{Bus, Change, Publication, StateKey};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use zetes_api::{Event, EventId, EventName, Namespace, ObjectName, SecretKeyRef};
use zetes_runtime::{Clock, SecretText, Secrets};

use crate::metrics::{EventMetrics, Metrics};
use crate::{Draft, Error, Front};

/// What all event sources of a process share. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub secrets: Secrets,
    pub front: Front,
    pub metrics: Metrics,
}

/// One event of one EventSource, as its adapter sees the world. Cheap to clone.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    deps: Deps,
    namespace: Namespace,
    source: ObjectName,
    event: EventName,
    event_type: &'static str,
    metrics: EventMetrics,
    stop: CancellationToken,
}

impl Context {
    pub(crate) fn new(
        deps: Deps,
        (namespace, source, event): (Namespace, ObjectName, EventName),
        event_type: &'static str,
        stop: CancellationToken,
    ) -> Self {
        let metrics = deps.metrics.of_event(&namespace, &source, &event);
        Self(Arc::new(Inner { deps, namespace, source, event, event_type, metrics, stop }))
    }

    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// Name of the EventSource object.
    pub fn source(&self) -> &ObjectName {
        &self.0.source
    }

    pub fn event(&self) -> &EventName {
        &self.0.event
    }

    pub fn clock(&self) -> &Clock {
        &self.0.deps.clock
    }

    pub(crate) fn front(&self) -> &Front {
        &self.0.deps.front
    }

    pub(crate) fn metrics(&self) -> &EventMetrics {
        &self.0.metrics
    }

    /// For messages: which event of which object this is.
    pub fn owner(&self) -> String {
        format!("eventsource/{}/{} event `{}`", self.0.namespace, self.0.source, self.0.event)
    }

    /// Publishes one event; returns its id once it is durable. See [`Context::emit_all`].
    ///
    /// # Errors
    /// The bus did not take it.
    pub async fn emit(&self, draft: Draft) -> Result<EventId, Error> {
        let id = draft.id.clone();
        self.emit_all(vec![draft]).await?;
        Ok(id)
    }

    /// Publishes events; returns once all of them are durable. An event that the bus has already is done, too (S22).
    ///
    /// # Errors
    /// The bus did not take them: none is acknowledged upstream.
    ///
    /// **Cancel safety** the events may be on the bus; emitting them again with the same ids is harmless.
    pub async fn emit_all(&self, drafts: Vec<Draft>) -> Result<(), Error> {
        let count = drafts.len();
        let begin = tokio::time::Instant::now();
        let batch = drafts.into_iter().map(|draft| self.publication(draft)).collect();
        let published = self.0.deps.bus.publish(batch).await;
        self.0.metrics.published(count, published.is_ok(), begin.elapsed());
        published?;
        Ok(())
    }

    fn publication(&self, draft: Draft) -> Publication {
        let event = Event {
            id: draft.id,
            source: self.0.source.clone(),
            subject: self.0.event.clone(),
            event_type: self.0.event_type.to_owned(),
            time: Some(draft.time.unwrap_or_else(|| self.clock().now())),
            datacontenttype: Some("application/json".to_owned()),
            extensions: std::collections::BTreeMap::default(),
            data: Some(draft.data),
            document: zetes_api::Document::default(),
        };
        Publication { namespace: self.0.namespace.clone(), event: Arc::new(event) }
    }

    /// The next item, or `None` when the stream has ended or it is time to stop. The only place where a stop takes effect, so an
    /// item in hand is always finished.
    pub async fn next<S: Stream + Unpin>(&self, stream: &mut S) -> Option<S::Item> {
        tokio::select! {
            biased;
            () = self.0.stop.cancelled() => None,
            item = stream.next() => item,
        }
    }

    /// Returns when it is time to stop. Cancel safe.
    pub async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }

    /// Returns at or after `when`; `false` when it is time to stop first. Cancel safe.
    pub async fn wait_until(&self, when: jiff::Timestamp) -> bool {
        tokio::select! {
            biased;
            () = self.0.stop.cancelled() => false,
            () = self.clock().sleep_until(when) => true,
        }
    }

    /// The secret's value; `None` when none is named.
    ///
    /// # Errors
    /// It is named and can't be read: fail closed (S35).
    pub fn secret(&self, key: Option<&SecretKeyRef>) -> Result<Option<SecretText>, Error> {
        let value = key.map(|key| self.0.deps.secrets.secret(&self.0.namespace, key)).transpose();
        Ok(value?)
    }

    /// What this event source remembers of its place upstream.
    ///
    /// # Errors
    /// The bus can't be read.
    pub async fn cursor(&self) -> Result<Option<Bytes>, Error> {
        Ok(self.0.deps.bus.get(self.cursor_key()).await?.map(|entry| entry.value))
    }

    /// Remembers it, durably.
    ///
    /// # Errors
    /// The bus can't be written.
    pub async fn set_cursor(&self, cursor: Bytes) -> Result<(), Error> {
        let change = Change::Put { key: self.cursor_key(), value: cursor, expected: None };
        Ok(self.0.deps.bus.commit(vec![change]).await?)
    }

    fn cursor_key(&self) -> StateKey {
        StateKey::new(format!("{}/cursor", self.0.namespace), format!("{}/{}", self.0.source, self.0.event))
    }
}
