//! The pieces of a machine's state as they are stored: JSON, events as CloudEvents.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zetes_api::{DependencyName, Event, EventError, IdempotencyKey};

use crate::model::{HeldEvent, Round, StoredKey};

const WAITING: &str = "waiting/";
const ROUND: &str = "round/";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WaitingPiece {
    event: Box<RawValue>,
    accepted_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoundPiece {
    events: BTreeMap<DependencyName, Box<RawValue>>,
    complete_at: Timestamp,
}

/// What a stored key says it is.
pub(super) enum PieceName {
    Waiting(DependencyName),
    Round(IdempotencyKey),
    Unknown,
}

/// The events of a round, and when they were complete.
pub(super) type StoredRound = (BTreeMap<DependencyName, Arc<Event>>, Timestamp);

pub(super) fn waiting_key(dependency: &DependencyName) -> StoredKey {
    format!("{WAITING}{dependency}")
}

pub(super) fn round_key(key: &IdempotencyKey) -> StoredKey {
    format!("{ROUND}{key}")
}

pub(super) fn piece_name(key: &str) -> PieceName {
    match (key.strip_prefix(WAITING), key.strip_prefix(ROUND)) {
        (Some(dependency), _) => PieceName::Waiting(DependencyName::from(dependency)),
        (_, Some(key)) => PieceName::Round(IdempotencyKey::from(key)),
        _ => PieceName::Unknown,
    }
}

pub(super) fn waiting(held: &HeldEvent) -> Vec<u8> {
    encode(&WaitingPiece { event: raw(&held.event), accepted_at: held.accepted_at })
}

pub(super) fn round(round: &Round) -> Vec<u8> {
    let events = round.events.iter().map(|(dependency, event)| (dependency.clone(), raw(event))).collect();
    encode(&RoundPiece { events, complete_at: round.complete_at })
}

pub(super) fn read_waiting(value: &[u8]) -> Result<HeldEvent, EventError> {
    let piece: WaitingPiece = serde_json::from_slice(value)?;
    Ok(HeldEvent { event: event(&piece.event)?, accepted_at: piece.accepted_at })
}

pub(super) fn read_round(value: &[u8]) -> Result<StoredRound, EventError> {
    let piece: RoundPiece = serde_json::from_slice(value)?;
    let events = piece.events.iter().map(|(dependency, json)| Ok((dependency.clone(), event(json)?)));
    Ok((events.collect::<Result<_, EventError>>()?, piece.complete_at))
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
