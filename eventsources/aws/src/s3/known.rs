//! What is remembered of a bucket: enough to tell what is new, in bounded room.
//!
//! A state of an object is its key, its entity tag and its time: keys come in any order, and none of the three alone says that something
//! is new. The newest states are remembered by a digest. Of what is older than those there is one time, the *floor*: a state that is not
//! newer counts as known. So everything is found while the bucket has no more objects than are remembered; beyond, an object is lost only
//! if it appears with a time before the floor: its upload took longer than it took as many others to change.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Existing;
use super::listing::Found;

/// Uploads longer than this, with the servers' clocks added, may be missed in buckets of more objects than are remembered.
const LONG_UPLOAD: SignedDuration = SignedDuration::from_hours(1);
/// Bytes of a state in the cursor: eight of its digest, four of its time.
const STATE_BYTES: usize = 12;

/// What was seen of a bucket.
#[derive(Debug)]
pub(super) struct Known {
    scope: String,
    /// States that are remembered after a look.
    most: usize,
    seen: BTreeMap<u64, Seen>,
    /// Seconds; states that are not newer are known. Stands still during a look, since what a look has passed by may be older.
    floor: i64,
    next_floor: i64,
    /// The first look has not ended, and its objects are no events.
    is_first: bool,
    existing: Existing,
    /// Where a look was broken off by the end of the process.
    after: Option<String>,
    /// This look began at the beginning, so that what it does not show is gone.
    is_whole: bool,
    has_changed: bool,
}

#[derive(Debug)]
struct Seen {
    /// Seconds.
    modified: u32,
    /// In this look.
    listed: bool,
}

/// As it is kept on the bus.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cursor {
    scope: String,
    floor: i64,
    next_floor: i64,
    is_first: bool,
    after: Option<String>,
    /// Base64 text of all states.
    seen: String,
}

impl Known {
    /// Nothing yet.
    pub(super) fn new(scope: String, most: usize, existing: Existing) -> Self {
        Self {
            scope,
            most,
            seen: BTreeMap::new(),
            floor: i64::MIN,
            next_floor: i64::MIN,
            is_first: true,
            existing,
            after: None,
            is_whole: true,
            has_changed: false,
        }
    }

    /// What a process before this one remembered, if it looked at the same.
    pub(super) fn restored(self, cursor: Option<&[u8]>) -> Self {
        let cursor = cursor.and_then(|cursor| serde_json::from_slice::<Cursor>(cursor).ok());
        let Some(cursor) = cursor.filter(|cursor| cursor.scope == self.scope) else { return self };
        let seen = STANDARD.decode(&cursor.seen).unwrap_or_default();
        Self {
            seen: seen.chunks_exact(STATE_BYTES).filter_map(state).collect(),
            floor: cursor.floor,
            next_floor: cursor.next_floor,
            is_first: cursor.is_first,
            after: cursor.after,
            ..self
        }
    }

    /// The cursor, `after` being the key to which this look has come.
    pub(super) fn written(&self, after: Option<String>) -> Vec<u8> {
        let mut seen = Vec::with_capacity(self.seen.len() * STATE_BYTES);
        for (digest, state) in &self.seen {
            seen.extend_from_slice(&digest.to_be_bytes());
            seen.extend_from_slice(&state.modified.to_be_bytes());
        }
        let cursor = Cursor {
            scope: self.scope.clone(),
            floor: self.floor,
            next_floor: self.next_floor,
            is_first: self.is_first,
            after,
            seen: STANDARD.encode(seen),
        };
        serde_json::to_vec(&cursor).unwrap_or_default()
    }

    /// Begins a look; gives the key behind which one goes on that was broken off.
    pub(super) fn begin(&mut self) -> Option<String> {
        let after = self.after.take();
        self.is_whole = after.is_none();
        self.has_changed = after.is_some();
        for seen in self.seen.values_mut() {
            seen.listed = false;
        }
        after
    }

    /// Whether what is new in this look becomes events.
    pub(super) fn emits(&self) -> bool {
        !self.is_first || self.existing == Existing::Emit
    }

    /// Those of a page that are not known, as far as one can tell in the order in which they came.
    pub(super) fn new_ones(&mut self, page: Vec<Found>) -> Vec<Found> {
        let mut new: Vec<_> = page.into_iter().filter(|object| self.is_new(object)).collect();
        new.sort_by(|one, other| (one.modified, &one.key).cmp(&(other.modified, &other.key)));
        new
    }

    fn is_new(&mut self, object: &Found) -> bool {
        match self.seen.get_mut(&fingerprint(object)) {
            Some(seen) => {
                seen.listed = true;
                false
            }
            None => object.modified.as_second() > self.floor,
        }
    }

    pub(super) fn remember(&mut self, new: &[Found]) {
        for object in new {
            let modified = u32::try_from(object.modified.as_second()).unwrap_or_default();
            self.seen.insert(fingerprint(object), Seen { modified, listed: true });
        }
        self.has_changed |= !new.is_empty();
        // The first look through a large bucket would otherwise gather all of it.
        if self.seen.len() > self.most.saturating_mul(2) {
            self.trim();
        }
    }

    /// Ends a look that came to the end. What a person should see to, if there is something.
    pub(super) fn end(&mut self, now: Timestamp) -> Option<String> {
        if self.is_whole {
            self.seen.retain(|_, seen| seen.listed);
        }
        self.trim();
        self.has_changed |= self.is_first || self.next_floor > self.floor;
        self.is_first = false;
        self.floor = self.floor.max(self.next_floor);
        let floor = Timestamp::from_second(self.floor).ok()?;
        (now.duration_since(floor) < LONG_UPLOAD).then(|| {
            format!(
                "more than {} objects changed within an hour: one whose upload began before {floor} and is still under way would be \
                 missed; raise `remembered`, narrow `filter.prefix`, or let the bucket send notifications",
                self.most
            )
        })
    }

    pub(super) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// Forgets all but the newest. States of one second go together, so that the floor says of each whether it is known.
    fn trim(&mut self) {
        let Some(too_many) = self.seen.len().checked_sub(self.most).filter(|count| *count > 0) else {
            return;
        };
        let mut times: Vec<u32> = self.seen.values().map(|seen| seen.modified).collect();
        times.sort_unstable();
        let Some(newest_to_go) = times.get(too_many - 1).copied() else { return };
        self.seen.retain(|_, seen| seen.modified > newest_to_go);
        self.next_floor = self.next_floor.max(newest_to_go.into());
    }
}

fn fingerprint(object: &Found) -> u64 {
    let text = format!("{}\0{}\0{}", object.key, object.etag, object.modified.as_nanosecond());
    let digest = digest(&SHA256, text.as_bytes());
    let first = digest.as_ref().first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(first)
}

fn state(bytes: &[u8]) -> Option<(u64, Seen)> {
    let (digest, rest) = bytes.split_first_chunk()?;
    let (modified, _) = rest.split_first_chunk()?;
    Some((u64::from_be_bytes(*digest), Seen { modified: u32::from_be_bytes(*modified), listed: false }))
}

#[cfg(test)]
mod tests;
