//! The pieces of a machine's state as they are stored: JSON, events as CloudEvents. A change writes the pieces that changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zetes_api::{DependencyName, Event, EventError, EventRef, IdempotencyKey, Role};

use super::key;
use super::partial::Held;
use crate::model::{Round, StoredKey};

const WAITING: &str = "waiting/";
const ROUND: &str = "round/";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WaitingPiece {
    dependency: DependencyName,
    /// The definition under which it was accepted.
    definition: String,
    accepted_at: Timestamp,
    event: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoundPiece {
    #[serde(default)]
    role: Role,
    complete_at: Timestamp,
    /// It is held back by `debounce` or `batch`.
    #[serde(default)]
    is_gathered: bool,
    #[serde(default)]
    batch: Vec<(DependencyName, EventRef)>,
    #[serde(default)]
    flow_key: Arc<str>,
    events: BTreeMap<DependencyName, Box<RawValue>>,
}

/// What a stored key says it is.
pub(super) enum PieceName {
    Waiting,
    Round(IdempotencyKey),
    Unknown,
}

/// A round as it was stored: all but what the rules know.
pub(super) struct StoredRound {
    pub(super) role: Role,
    pub(super) complete_at: Timestamp,
    pub(super) is_gathered: bool,
    pub(super) batch: Vec<(DependencyName, EventRef)>,
    pub(super) flow_key: Arc<str>,
    pub(super) events: BTreeMap<DependencyName, Arc<Event>>,
}

pub(super) fn waiting_key(held: &Held) -> StoredKey {
    format!("{WAITING}{}", key::of_waiting(&held.dependency, &held.event))
}

pub(super) fn round_key(key: &IdempotencyKey) -> StoredKey {
    format!("{ROUND}{key}")
}

pub(super) fn piece_name(key: &str) -> PieceName {
    if key.starts_with(WAITING) {
        return PieceName::Waiting;
    }
    key.strip_prefix(ROUND).map_or(PieceName::Unknown, |key| PieceName::Round(IdempotencyKey::from(key)))
}

pub(super) fn waiting(held: &Held, definition: &str) -> Vec<u8> {
    encode(&WaitingPiece {
        dependency: held.dependency.clone(),
        definition: definition.to_owned(),
        accepted_at: held.accepted_at,
        event: raw(&held.event),
    })
}

pub(super) fn round(round: &Round, is_gathered: bool) -> Vec<u8> {
    let events = round.events.iter().map(|(dependency, event)| (dependency.clone(), raw(event))).collect();
    encode(&RoundPiece {
        role: round.role,
        complete_at: round.complete_at,
        is_gathered,
        batch: round.batch.clone(),
        flow_key: round.flow_key.clone(),
        events,
    })
}

/// The event, and the definition under which it was accepted.
pub(super) fn read_waiting(value: &[u8]) -> Result<(Held, String), EventError> {
    let piece: WaitingPiece = serde_json::from_slice(value)?;
    let held = Held {
        dependency: piece.dependency,
        event: event(&piece.event)?,
        accepted_at: piece.accepted_at,
        is_stored: true,
    };
    Ok((held, piece.definition))
}

pub(super) fn read_round(value: &[u8]) -> Result<StoredRound, EventError> {
    let piece: RoundPiece = serde_json::from_slice(value)?;
    let events = piece.events.iter().map(|(dependency, json)| Ok((dependency.clone(), event(json)?)));
    Ok(StoredRound {
        role: piece.role,
        complete_at: piece.complete_at,
        is_gathered: piece.is_gathered,
        batch: piece.batch,
        flow_key: piece.flow_key,
        events: events.collect::<Result<_, EventError>>()?,
    })
}

fn encode(piece: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(piece).expect("a piece has only text keys")
}

fn raw(event: &Event) -> Box<RawValue> {
    let text = String::from_utf8(event.to_json()).expect("JSON is UTF-8");
    RawValue::from_string(text).expect("an event is written as JSON")
}

fn event(json: &RawValue) -> Result<Arc<Event>, EventError> {
    Event::from_json(json.get().as_bytes()).map(Arc::new)
}
