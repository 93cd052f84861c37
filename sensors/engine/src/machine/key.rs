//! What is the same for every attempt at one round, also after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zetes_api::{DependencyName, Event, IdempotencyKey, Role};

use crate::rules::Rules;

/// The round's key: the first 16 bytes, in hex, of SHA-256 over namespace, Sensor, trigger, and for each event, sorted by
/// dependency, the dependency, source, subject and id; each text behind its length in bytes (eight, big endian).
///
/// The dependency is part of it because one event may stand for two dependencies and then fires twice.
pub(super) fn of(rules: &Rules, role: Role, events: &BTreeMap<DependencyName, Arc<Event>>) -> IdempotencyKey {
    let identity = [rules.namespace().as_str(), rules.sensor().as_str(), rules.trigger().as_str()];
    let events = events.iter().flat_map(|(dependency, event)| {
        [dependency.as_str(), event.source.as_str(), event.subject.as_str(), event.id.as_str()]
    });
    let key = digest(identity.into_iter().chain(events));
    if role == Role::Main { key } else { of_role(&key, role) }
}

/// The key of another action for the same events.
pub(super) fn of_role(key: &IdempotencyKey, role: Role) -> IdempotencyKey {
    let role = match role {
        Role::Main => "main",
        Role::DlqTrigger => "dlqTrigger",
        Role::OnExpire => "onExpire",
    };
    digest([role, key.as_str()])
}

/// The key of a batch: a digest of its rounds' keys in order.
pub(super) fn of_batch(rules: &Rules, members: &[IdempotencyKey]) -> IdempotencyKey {
    let identity = [rules.namespace().as_str(), rules.sensor().as_str(), rules.trigger().as_str()];
    digest(identity.into_iter().chain(members.iter().map(IdempotencyKey::as_str)))
}

/// The name of a waiting event's stored piece: a digest of its dependency and identity.
pub(super) fn of_waiting(dependency: &DependencyName, event: &Event) -> IdempotencyKey {
    digest([dependency.as_str(), event.source.as_str(), event.subject.as_str(), event.id.as_str()])
}

fn digest<'t>(texts: impl IntoIterator<Item = &'t str>) -> IdempotencyKey {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(text.as_bytes());
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
