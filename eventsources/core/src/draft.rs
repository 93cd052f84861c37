//! What an adapter knows of an event.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use zetes_api::EventId;
use zetes_runtime::random_id;

use crate::Error;

/// An event without its envelope: the context adds source, subject and type. Or a message that can't become one.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(crate) id: EventId,
    pub(crate) time: Option<Timestamp>,
    /// The type that the event came with; otherwise the kind's.
    pub(crate) event_type: Option<String>,
    pub(crate) extensions: BTreeMap<String, Value>,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// JSON text.
    Data(Bytes),
    /// A message's bytes, and why they can't be read.
    Unreadable { raw: Bytes, why: String },
}

impl Draft {
    /// An event whose data is a JSON document. The id is upstream's own; without one it is made at random (S23).
    ///
    /// # Errors
    /// The data has no JSON form.
    pub fn json(id: Option<EventId>, data: &impl Serialize) -> Result<Self, Error> {
        let data = serde_json::to_vec(data)
            .map_err(|error| Error::permanent(format!("the event's data: {error}")))?;
        Ok(Self::of(id, Content::Data(data.into())))
    }

    /// A message that can't become an event. It is kept whole among the dead letters and then counts as taken, so that its upstream may
    /// forget it and hand out the next one (S37). The id is upstream's own: it names the letter.
    pub fn unreadable(id: Option<EventId>, raw: impl Into<Bytes>, why: impl std::fmt::Display) -> Self {
        Self::of(id, Content::Unreadable { raw: raw.into(), why: why.to_string() })
    }

    fn of(id: Option<EventId>, content: Content) -> Self {
        let id = id.filter(|id| !id.as_str().is_empty()).unwrap_or_else(|| EventId::from(random_id()));
        Self { id, time: None, event_type: None, extensions: BTreeMap::new(), content }
    }

    /// When it happened, where upstream says so; otherwise the moment of emitting.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// The type that it came with, for events that are passed through (S24); otherwise the kind's (S25).
    #[must_use]
    pub fn typed(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Extension attributes of its envelope.
    #[must_use]
    pub fn extended(mut self, extensions: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.extensions.extend(extensions);
        self
    }
}
