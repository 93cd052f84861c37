//! State entries: the last message of a subject each. Its sequence is the revision.
//!
//! Read from the stream's leader only, so that what a commit has written is seen by whoever reads after it.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::HeaderMap;
use bus_core::{BusError, Revision, StateEntry, StateKey};
use bytes::Bytes;
use futures_util::future::try_join_all;

use crate::api::Stored;
use crate::bus::Shared;
use crate::names;
use crate::publish::Outgoing;

const BUCKET: &str = "Zetes-Bucket";
const KEY: &str = "Zetes-Key";
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
/// Entries that are asked for at once.
const AT_ONCE: usize = 256;

/// What must stand under a key before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    Anything,
    Nothing,
    At(Revision),
}

impl Fence {
    #[expect(clippy::option_option, reason = "as the contract has it")]
    pub(crate) fn from(expected: Option<Option<Revision>>) -> Self {
        match expected {
            None => Self::Anything,
            Some(None) => Self::Nothing,
            Some(Some(revision)) => Self::At(revision),
        }
    }

    /// The revision that is expected; `None` is none.
    pub(crate) fn revision(self) -> Option<Revision> {
        match self {
            Self::At(revision) => Some(revision),
            Self::Anything | Self::Nothing => None,
        }
    }
}

impl Shared {
    pub(crate) async fn get(&self, key: &StateKey) -> Result<Option<StateEntry>, BusError> {
        let live = self.live()?;
        let found = live.last(&self.layout.state, &self.layout.state_subject(key)).await;
        Ok(found.map_err(|error| live.failed(error))?.map(|stored| entry(&stored)))
    }

    pub(crate) async fn list(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<(StateKey, StateEntry)>, BusError> {
        let live = self.live()?;
        let stream = &self.layout.state;
        let subjects = live
            .subjects(stream, &self.layout.bucket_subjects(bucket))
            .await
            .map_err(|error| live.failed(error))?;
        let may_begin = |subject: &&String| {
            let key = subject.rsplit_once('.').and_then(|(_, token)| names::original(token));
            key.is_none_or(|key| key.starts_with(prefix))
        };
        let subjects: Vec<&String> = subjects.iter().filter(may_begin).collect();
        let mut entries = BTreeMap::new();
        for some in subjects.chunks(AT_ONCE) {
            let found = try_join_all(some.iter().map(|subject| live.last(stream, subject))).await;
            for stored in found.map_err(|error| live.failed(error))?.into_iter().flatten() {
                let key = header(&stored, KEY)?;
                if key.starts_with(prefix) {
                    entries.insert(StateKey::new(bucket, key), entry(&stored));
                }
            }
        }
        Ok(entries.into_iter().collect())
    }

    pub(crate) async fn buckets(&self) -> Result<Vec<String>, BusError> {
        let live = self.live()?;
        let stream = &self.layout.state;
        let subjects =
            live.subjects(stream, &self.layout.state_subjects()).await.map_err(|error| live.failed(error))?;
        let mut tokens: BTreeMap<&str, &String> = BTreeMap::new();
        for subject in &subjects {
            if let Some(token) = self.layout.bucket_token(subject) {
                tokens.entry(token).or_insert(subject);
            }
        }
        let mut buckets = BTreeSet::new();
        for (token, subject) in tokens {
            if let Some(bucket) = names::original(token) {
                buckets.insert(bucket);
            } else if let Some(stored) =
                live.last(stream, subject).await.map_err(|error| live.failed(error))?
            {
                buckets.insert(header(&stored, BUCKET)?);
            }
        }
        Ok(buckets.into_iter().collect())
    }

    /// The message that writes an entry.
    pub(crate) fn put(&self, key: &StateKey, value: Bytes, fence: Fence) -> Outgoing {
        let mut headers = HeaderMap::new();
        headers.insert(BUCKET, names::header(&key.bucket));
        headers.insert(KEY, names::header(&key.key));
        if fence != Fence::Anything {
            headers.insert(EXPECTED, fence.revision().map_or(0, |Revision(sequence)| sequence).to_string());
        }
        Outgoing { subject: self.layout.state_subject(key), headers, payload: value }
    }
}

fn entry(stored: &Stored) -> StateEntry {
    StateEntry { value: stored.payload.clone(), revision: Revision(stored.sequence) }
}

fn header(stored: &Stored, name: &str) -> Result<String, BusError> {
    stored.header(name).and_then(names::original).ok_or_else(|| {
        BusError::Damaged(format!(
            "the message {} on `{}` has no header {name} of ours; remove it",
            stored.sequence, stored.subject
        ))
    })
}
