//! What an adapter knows of an event.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use zetes_api::EventId;
use zetes_runtime::random_id;

use crate::Error;

/// An event without its envelope: the context adds source, subject and type.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(crate) id: EventId,
    pub(crate) time: Option<Timestamp>,
    pub(crate) data: Bytes,
}

impl Draft {
    /// An event whose data is a JSON document. The id is upstream's own; without one it is made at random (S23).
    ///
    /// # Errors
    /// The data has no JSON form.
    pub fn json(id: Option<EventId>, data: &impl Serialize) -> Result<Self, Error> {
        let data = serde_json::to_vec(data)
            .map_err(|error| Error::permanent(format!("the event's data: {error}")))?;
        let id = id.filter(|id| !id.as_str().is_empty()).unwrap_or_else(|| EventId::from(random_id()));
        Ok(Self { id, time: None, data: data.into() })
    }

    /// When it happened, where upstream says so; otherwise the moment of emitting.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }
}
