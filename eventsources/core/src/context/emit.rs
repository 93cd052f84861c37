//! What becomes of drafts: published, rejected with a record, or kept among the dead letters.

use std::sync::Arc;

use bus_core::{BusError, Change, Publication};
use bytes::Bytes;
use zetes_api::{Decider, Decision, Event, EventId, EventRef, Role, Verdict};

use super::{Context, Inner};
use crate::dead_messages::{self, Told};
use crate::draft::Content;
use crate::filter::Rejection;
use crate::{Draft, Error};

impl Context {
    /// Takes over one event; returns its id. See [`Context::emit_all`].
    ///
    /// # Errors
    /// The bus did not take it.
    pub async fn emit(&self, draft: Draft) -> Result<EventId, Error> {
        let id = draft.id.clone();
        self.emit_all(vec![draft]).await?;
        Ok(id)
    }

    /// Takes over events; returns once the outcome of each is durable, and upstream may forget them. An event is published; one
    /// that the bus has already is done, too (S22). One that the event source's filter rejects leaves a decision with the reason
    /// (S13). What is [unreadable](Draft::unreadable), or what the bus can never store, is kept among the dead letters with its
    /// bytes (S37).
    ///
    /// # Errors
    /// The bus did not take them: none is acknowledged upstream.
    ///
    /// **Cancel safety** the events may be on the bus; emitting them again with the same ids is harmless.
    pub async fn emit_all(&self, drafts: Vec<Draft>) -> Result<(), Error> {
        let (events, kept) = self.sorted(drafts)?;
        self.keep(kept).await?;
        match self.publish(events.clone()).await {
            Err(Error::Bus(BusError::TooLarge { .. } | BusError::Refused(_))) => {
                for event in events {
                    self.publish_or_keep(event).await?;
                }
                Ok(())
            }
            ended => ended,
        }
    }

    /// As [`Context::emit_all`], for callers who can be told that the bus can never store what they sent: it is kept nowhere.
    pub(crate) async fn emit_or_refuse(&self, drafts: Vec<Draft>) -> Result<(), Error> {
        let (events, kept) = self.sorted(drafts)?;
        self.keep(kept).await?;
        self.publish(events).await
    }

    /// What goes onto the bus, and what is kept from it.
    fn sorted(&self, drafts: Vec<Draft>) -> Result<(Vec<Publication>, Kept), Error> {
        let (mut events, mut kept) = (Vec::with_capacity(drafts.len()), Kept::default());
        for draft in drafts {
            match &draft.content {
                Content::Unreadable { raw, why } => {
                    self.add_dead(&mut kept, &draft.id, ("unreadable", why), raw)?;
                }
                Content::Data(data) => match self.judged(data) {
                    Ok(()) => events.push(self.publication(draft.clone(), data.clone())),
                    Err(rejection) => self.add_rejected(&mut kept, &draft.id, rejection)?,
                },
            }
        }
        Ok((events, kept))
    }

    /// Makes it durable, and then counts and tells it.
    async fn keep(&self, kept: Kept) -> Result<(), Error> {
        if kept.changes.is_empty() {
            return Ok(());
        }
        self.inner.deps.bus.commit(kept.changes).await?;
        let Inner { namespace, source, event, .. } = &*self.inner;
        for Outcome { id, reason, error } in kept.outcomes {
            self.inner.metrics.rejected(reason);
            if let Some(error) = error {
                tracing::warn!(
                    %namespace, eventSourceName = %source, eventName = %event, eventID = %id, reason, error,
                    "a message became a dead letter; see `zetes dlq list`"
                );
            }
        }
        Ok(())
    }

    async fn publish(&self, batch: Vec<Publication>) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let (count, begin) = (batch.len(), tokio::time::Instant::now());
        let published = self.inner.deps.bus.publish(batch).await;
        self.inner.metrics.published(count, published.is_ok(), begin.elapsed());
        published?;
        self.inner.part.has_received(self.clock().now());
        Ok(())
    }

    /// One event of a batch of which one can't be stored.
    async fn publish_or_keep(&self, publication: Publication) -> Result<(), Error> {
        let event = publication.event.clone();
        let (reason, error) = match self.publish(vec![publication]).await {
            Err(Error::Bus(error @ BusError::TooLarge { .. })) => ("too-large", error),
            Err(Error::Bus(error @ BusError::Refused(_))) => ("not-storable", error),
            ended => return ended,
        };
        let mut kept = Kept::default();
        let raw = event.data.clone().unwrap_or_default();
        self.add_dead(&mut kept, &event.id, (reason, &error.to_string()), &raw)?;
        self.keep(kept).await
    }

    /// A message with its bytes, and the record of it.
    fn add_dead(
        &self,
        kept: &mut Kept,
        id: &EventId,
        (reason, error): (&'static str, &str),
        raw: &[u8],
    ) -> Result<(), Error> {
        let Inner { namespace, source, event, .. } = &*self.inner;
        let told = Told { namespace, event_source: source, event, event_id: id, reason, error };
        let changes = dead_messages::keep(&told, raw, self.clock().now());
        kept.changes.extend(changes.map_err(Error::permanent)?);
        let verdict =
            Verdict::DeadLettered { attempts: 0, reason: reason.to_owned(), error: error.to_owned() };
        kept.changes.push(self.record(id, verdict)?);
        kept.outcomes.push(Outcome { id: id.clone(), reason, error: Some(error.to_owned()) });
        Ok(())
    }

    fn add_rejected(&self, kept: &mut Kept, id: &EventId, rejection: Rejection) -> Result<(), Error> {
        let wanted = self.inner.filter.as_ref().map_or_else(String::new, |filter| filter.text().to_owned());
        let verdict = Verdict::Rejected {
            filter: "filter.expression".to_owned(),
            looked_at: "the expression".to_owned(),
            seen: Some(rejection.seen),
            wanted,
            reason: rejection.reason.to_owned(),
        };
        kept.changes.push(self.record(id, verdict)?);
        kept.outcomes.push(Outcome { id: id.clone(), reason: rejection.reason, error: None });
        Ok(())
    }

    fn judged(&self, data: &[u8]) -> Result<(), Rejection> {
        self.inner.filter.as_ref().map_or(Ok(()), |filter| filter.judge(data, self.clock().now()))
    }

    fn record(&self, id: &EventId, verdict: Verdict) -> Result<Change, Error> {
        let Inner { namespace, source, event, .. } = &*self.inner;
        let decision = Decision {
            at: self.clock().now(),
            namespace: namespace.clone(),
            decider: Decider::EventSource { event_source: source.clone(), event_name: event.clone() },
            events: vec![EventRef { source: source.clone(), event: event.clone(), id: id.clone() }],
            dependency: None,
            round: None,
            role: Role::Main,
            verdict,
        };
        let record = serde_json::to_vec(&decision).map_err(Error::permanent)?;
        Ok(Change::Record { namespace: decision.namespace, about: vec![id.clone()], record: record.into() })
    }

    fn publication(&self, draft: Draft, data: Bytes) -> Publication {
        let Inner { namespace, source, event, event_type, .. } = &*self.inner;
        let event_type = draft.event_type.unwrap_or_else(|| (*event_type).to_owned());
        let event = Event {
            time: Some(draft.time.unwrap_or_else(|| self.clock().now())),
            extensions: draft.extensions,
            ..Event::with_data(event_type, source.clone(), event.clone(), draft.id, data)
        };
        Publication { namespace: namespace.clone(), event: Arc::new(event) }
    }
}

/// What is kept from the bus.
#[derive(Default)]
struct Kept {
    /// Dead letters, and decisions of the filter.
    changes: Vec<Change>,
    outcomes: Vec<Outcome>,
}

/// What is counted and told of one draft, once that is durable.
struct Outcome {
    id: EventId,
    reason: &'static str,
    /// Of a dead letter.
    error: Option<String>,
}
