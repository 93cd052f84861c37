//! Messages that could not become events: kept whole until somebody discards them (S37).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bus_core::{Bus, BusError, Change, StateKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zetes_api::{EventId, EventName, Namespace, ObjectName};

/// Bytes of a message in one entry of the bus's state; what is longer has further entries.
const PART: usize = 256 * 1024;

/// A message that an event source received and that can't become an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadMessage {
    /// `<namespace>/<event source>-<event>-<digest of the event's id>`: a message that comes again is the same one.
    pub id: String,
    pub at: Timestamp,
    pub namespace: Namespace,
    pub event_source: ObjectName,
    pub event: EventName,
    /// The id that its event would have had.
    pub event_id: EventId,
    /// Stable kebab-case reason: `unreadable`, `too-large`, `not-storable`.
    pub reason: String,
    pub error: String,
    /// Its bytes, in base64.
    pub raw: String,
    /// How many further entries hold the rest of `raw`.
    #[serde(default, skip_serializing_if = "is_zero")]
    further: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What is told of a message beside its bytes.
pub(crate) struct Told<'m> {
    pub(crate) namespace: &'m Namespace,
    pub(crate) event_source: &'m ObjectName,
    pub(crate) event: &'m EventName,
    pub(crate) event_id: &'m EventId,
    pub(crate) reason: &'static str,
    pub(crate) error: &'m str,
}

/// The changes that keep a message. The entry that names it is the last one: without it the others count for nothing.
pub(crate) fn keep(told: &Told<'_>, raw: &[u8], at: Timestamp) -> Result<Vec<Change>, serde_json::Error> {
    let digest = hex::encode(Sha256::digest(told.event_id.as_str()));
    let digest = digest.get(..16).unwrap_or(&digest);
    let id = format!("{}/{}-{}-{digest}", told.namespace, told.event_source, told.event);
    let mut parts = raw.chunks(PART).map(|part| STANDARD.encode(part));
    let first = parts.next().unwrap_or_default();
    let rest: Vec<String> = parts.collect();
    let message = DeadMessage {
        id: id.clone(),
        at,
        namespace: told.namespace.clone(),
        event_source: told.event_source.clone(),
        event: told.event.clone(),
        event_id: told.event_id.clone(),
        reason: told.reason.to_owned(),
        error: told.error.to_owned(),
        raw: first,
        further: rest.len(),
    };
    let put = |key: StateKey, value: Vec<u8>| Change::Put { key, value: value.into(), expected: None };
    let mut changes: Vec<Change> =
        rest.into_iter().enumerate().map(|(at, part)| put(part_key(&id, at), part.into_bytes())).collect();
    changes.push(put(StateKey::new(DeadMessages::BUCKET, id), serde_json::to_vec(&message)?));
    Ok(changes)
}

fn part_key(id: &str, at: usize) -> StateKey {
    StateKey::new(DeadMessages::PARTS, format!("{id}/{at:05}"))
}

/// The dead messages of a bus.
pub struct DeadMessages<'b>(pub &'b dyn Bus);

impl DeadMessages<'_> {
    /// The bucket in which they are kept; its keys begin with the namespace (S44).
    pub const BUCKET: &'static str = "dead-messages";
    /// What did not fit into the entry that names a message.
    const PARTS: &'static str = "dead-messages-parts";

    /// Oldest first, each with the beginning of its bytes only. One that can't be read is left out and logged.
    ///
    /// # Errors
    /// The bus can't be read.
    pub async fn list(&self) -> Result<Vec<DeadMessage>, BusError> {
        let entries = self.0.list(Self::BUCKET.to_owned(), String::new()).await?;
        let read = entries.into_iter().filter_map(|(key, entry)| {
            serde_json::from_slice(&entry.value)
                .map_err(|error| tracing::warn!(id = key.key, %error, "a dead message can't be read"))
                .ok()
        });
        let mut messages: Vec<DeadMessage> = read.collect();
        messages.sort_by_key(|message| message.at);
        Ok(messages)
    }

    /// One of them, with all of its bytes; `None` where there is none of that id.
    ///
    /// # Errors
    /// The bus can't be read, or the entry is damaged.
    pub async fn get(&self, id: &str) -> Result<Option<DeadMessage>, BusError> {
        let Some(entry) = self.0.get(StateKey::new(Self::BUCKET, id)).await? else { return Ok(None) };
        let damaged = |why: String| BusError::Damaged(format!("dead message `{id}`: {why}"));
        let mut message: DeadMessage =
            serde_json::from_slice(&entry.value).map_err(|error| damaged(error.to_string()))?;
        let mut raw = STANDARD.decode(&message.raw).map_err(|error| damaged(error.to_string()))?;
        for at in 0..std::mem::take(&mut message.further) {
            let part =
                self.0.get(part_key(id, at)).await?.ok_or_else(|| damaged(format!("part {at} is gone")))?;
            raw.extend(STANDARD.decode(&part.value).map_err(|error| damaged(error.to_string()))?);
        }
        message.raw = STANDARD.encode(raw);
        Ok(Some(message))
    }

    /// Removes it for good; `false` where there is none of that id.
    ///
    /// # Errors
    /// The bus does not take it.
    pub async fn discard(&self, id: &str) -> Result<bool, BusError> {
        let Some(entry) = self.0.get(StateKey::new(Self::BUCKET, id)).await? else { return Ok(false) };
        let further =
            serde_json::from_slice::<DeadMessage>(&entry.value).map_or(0, |message| message.further);
        let mut changes = vec![Change::Delete { key: StateKey::new(Self::BUCKET, id) }];
        changes.extend((0..further).map(|at| Change::Delete { key: part_key(id, at) }));
        self.0.commit(changes).await?;
        Ok(true)
    }
}
