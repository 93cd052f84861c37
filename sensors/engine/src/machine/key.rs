//! What is the same for every attempt at one round, also after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zetes_api::{DependencyName, Event, IdempotencyKey};

use crate::rules::Rules;

/// The round's key: the first 16 bytes, in hex, of SHA-256 over namespace, Sensor, trigger, and for each event, sorted by
/// dependency, the dependency, source, subject and id; each text behind its length in bytes (eight, big endian).
///
/// The dependency is part of it because one event may stand for two dependencies and then fires twice.
pub(super) fn of(rules: &Rules, events: &BTreeMap<DependencyName, Arc<Event>>) -> IdempotencyKey {
    let mut digest = Sha256::new();
    let mut feed = |text: &str| {
        digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(text.as_bytes());
    };
    feed(rules.namespace().as_str());
    feed(rules.sensor().as_str());
    feed(rules.trigger().as_str());
    for (dependency, event) in events {
        feed(dependency.as_str());
        feed(event.source.as_str());
        feed(event.subject.as_str());
        feed(event.id.as_str());
    }
    let bytes = digest.finalize();
    IdempotencyKey::from(hex::encode(bytes.get(..16).unwrap_or_default()))
}

/// A number in `[0, 1)` that depends on nothing but the round and the attempt: it spreads retries without randomness.
pub(super) fn chance(key: &IdempotencyKey, attempt: u32) -> f64 {
    let bytes = Sha256::new().chain_update(key.as_str()).chain_update(attempt.to_be_bytes()).finalize();
    let number = bytes.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}
