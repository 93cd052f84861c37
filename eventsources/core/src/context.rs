//! What an adapter is given: where to emit, what it may know, and when to stop.

use std::sync::Arc;

use bus_core::{Bus, Change, Publication, StateKey};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use zetes_api::{
    Decider, Decision, Event, EventId, EventName, EventRef, Namespace, ObjectName, Role, SecretKeyRef,
    Verdict,
};
use zetes_runtime::{Clock, SecretText, Secrets};

use crate::filter::{Filter, Rejection};
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
    filter: Option<Filter>,
    metrics: EventMetrics,
    stop: CancellationToken,
}

impl Context {
    pub(crate) fn new(
        deps: Deps,
        (namespace, source, event): (Namespace, ObjectName, EventName),
        (event_type, filter): (&'static str, Option<Filter>),
        stop: CancellationToken,
    ) -> Self {
        let metrics = deps.metrics.of_event(&namespace, &source, &event);
        Self(Arc::new(Inner { deps, namespace, source, event, event_type, filter, metrics, stop }))
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

    /// Publishes one event; returns its id once it, or the record of its rejection, is durable. See [`Context::emit_all`].
    ///
    /// # Errors
    /// The bus did not take it.
    pub async fn emit(&self, draft: Draft) -> Result<EventId, Error> {
        let id = draft.id.clone();
        self.emit_all(vec![draft]).await?;
        Ok(id)
    }

    /// Publishes events; returns once all of them are durable. An event that the bus has already is done, too (S22). One that the
    /// event source's filter rejects is not published: a decision with the reason is recorded instead (S13).
    ///
    /// # Errors
    /// The bus did not take them: none is acknowledged upstream.
    ///
    /// **Cancel safety** the events may be on the bus; emitting them again with the same ids is harmless.
    pub async fn emit_all(&self, drafts: Vec<Draft>) -> Result<(), Error> {
        let begin = tokio::time::Instant::now();
        let mut batch = Vec::with_capacity(drafts.len());
        let mut records = Vec::new();
        for draft in drafts {
            match self.judged(&draft) {
                Ok(()) => batch.push(self.publication(draft)),
                Err(rejection) => records.extend(self.record(&draft.id, rejection)),
            }
        }
        if !records.is_empty() {
            self.0.deps.bus.commit(records).await?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let count = batch.len();
        let published = self.0.deps.bus.publish(batch).await;
        self.0.metrics.published(count, published.is_ok(), begin.elapsed());
        published?;
        Ok(())
    }

    fn judged(&self, draft: &Draft) -> Result<(), Rejection> {
        self.0.filter.as_ref().map_or(Ok(()), |filter| filter.judge(&draft.data, self.clock().now()))
    }

    fn record(&self, id: &EventId, rejection: Rejection) -> Option<Change> {
        self.0.metrics.rejected(rejection.reason);
        let event = EventRef { source: self.0.source.clone(), event: self.0.event.clone(), id: id.clone() };
        let wanted = self.0.filter.as_ref().map_or_else(String::new, |filter| filter.text().to_owned());
        let decision = Decision {
            at: self.clock().now(),
            namespace: self.0.namespace.clone(),
            decider: Decider::EventSource {
                event_source: self.0.source.clone(),
                event_name: self.0.event.clone(),
            },
            events: vec![event],
            dependency: None,
            round: None,
            role: Role::Main,
            verdict: Verdict::Rejected {
                filter: "filter.expression".to_owned(),
                looked_at: "the expression".to_owned(),
                seen: Some(rejection.seen),
                wanted,
                reason: rejection.reason.to_owned(),
            },
        };
        let record = serde_json::to_vec(&decision).ok()?;
        Some(Change::Record { namespace: decision.namespace, about: vec![id.clone()], record: record.into() })
    }

    fn publication(&self, draft: Draft) -> Publication {
        let event = Event {
            time: Some(draft.time.unwrap_or_else(|| self.clock().now())),
            ..Event::with_data(
                self.0.event_type,
                self.0.source.clone(),
                self.0.event.clone(),
                draft.id,
                draft.data,
            )
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
