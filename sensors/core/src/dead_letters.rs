//! The built-in dead letters (S3): rounds that were given up, kept whole until somebody redrives or discards them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bus_core::{Bus, BusError, Change, StateKey};
use jiff::Timestamp;
use sensor_engine::Round;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zetes_api::{
    DependencyName, Event, EventError, EventRef, IdempotencyKey, Namespace, ObjectName, Role, TriggerName,
};

/// Names a dead letter: `<namespace>/<milliseconds>-<beginning of the round's key>`. Ids of a namespace sort by age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeadLetterId(String);

impl DeadLetterId {
    fn of(namespace: &Namespace, at: Timestamp, key: &IdempotencyKey) -> Self {
        let key = key.as_str().get(..8).unwrap_or(key.as_str());
        Self(format!("{namespace}/{:013}-{key}", at.as_millisecond()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn state_key(&self) -> StateKey {
        StateKey::new(DeadLetters::BUCKET, self.0.clone())
    }
}

impl From<String> for DeadLetterId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A round that was given up, with everything that is needed to fire it again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    pub id: DeadLetterId,
    pub at: Timestamp,
    pub namespace: Namespace,
    pub sensor: ObjectName,
    pub trigger: TriggerName,
    /// The round's key: a redrive sends the same one.
    pub key: IdempotencyKey,
    pub attempts: u32,
    /// Stable kebab-case reason.
    pub reason: String,
    pub error: String,
    /// A digest of the trigger's definition at that time.
    pub rules: String,
    /// Events as CloudEvents, by dependency.
    pub events: BTreeMap<DependencyName, Box<RawValue>>,
    /// What a batch was made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batch: Vec<(DependencyName, EventRef)>,
    /// The value of the trigger's `key`.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub flow_key: Arc<str>,
}

impl DeadLetter {
    pub(crate) fn of(
        round: &Round,
        at: Timestamp,
        rules: &str,
        (attempts, reason, error): (u32, &str, &str),
    ) -> Self {
        let events = round.events.iter().filter_map(|(name, event)| {
            let text = String::from_utf8(event.to_json()).ok()?;
            Some((name.clone(), RawValue::from_string(text).ok()?))
        });
        Self {
            id: DeadLetterId::of(&round.namespace, at, &round.key),
            at,
            namespace: round.namespace.clone(),
            sensor: round.sensor.clone(),
            trigger: round.trigger.clone(),
            key: round.key.clone(),
            attempts,
            reason: reason.to_owned(),
            error: error.to_owned(),
            rules: rules.to_owned(),
            events: events.collect(),
            batch: round.batch.clone(),
            flow_key: round.flow_key.clone(),
        }
    }

    pub(crate) fn put(&self) -> Option<Change> {
        let value = serde_json::to_vec(self).ok()?;
        Some(Change::Put { key: self.id.state_key(), value: value.into(), expected: None })
    }

    /// The round as it was.
    ///
    /// # Errors
    /// An event can't be read.
    pub(crate) fn round(&self) -> Result<Round, EventError> {
        let events = self
            .events
            .iter()
            .map(|(name, json)| Ok((name.clone(), Arc::new(Event::from_json(json.get().as_bytes())?))));
        Ok(Round {
            key: self.key.clone(),
            namespace: self.namespace.clone(),
            sensor: self.sensor.clone(),
            trigger: self.trigger.clone(),
            role: Role::Main,
            events: events.collect::<Result<_, EventError>>()?,
            batch: self.batch.clone(),
            flow_key: self.flow_key.clone(),
            complete_at: self.at,
        })
    }
}

/// The dead letters of a bus.
#[derive(Clone)]
pub struct DeadLetters(Arc<dyn Bus>);

impl DeadLetters {
    /// The bucket in which they are kept; its keys begin with the namespace (S44).
    pub const BUCKET: &str = "dead-letters";

    pub fn of(bus: Arc<dyn Bus>) -> Self {
        Self(bus)
    }

    /// Oldest first within a namespace; one that can't be read is left out and logged.
    ///
    /// # Errors
    /// The bus can't be read.
    pub async fn list(&self) -> Result<Vec<DeadLetter>, BusError> {
        let entries = self.0.list(Self::BUCKET.to_owned(), String::new()).await?;
        let letters = entries.into_iter().filter_map(|(key, entry)| {
            serde_json::from_slice(&entry.value)
                .map_err(|error| tracing::warn!(id = key.key, %error, "a dead letter can't be read"))
                .ok()
        });
        Ok(letters.collect())
    }

    /// One of them; `None` where there is none of that id.
    ///
    /// # Errors
    /// The bus can't be read, or the letter is damaged.
    pub async fn get(&self, id: &DeadLetterId) -> Result<Option<DeadLetter>, BusError> {
        let Some(entry) = self.0.get(id.state_key()).await? else { return Ok(None) };
        let letter = serde_json::from_slice(&entry.value);
        letter.map(Some).map_err(|error| BusError::Damaged(format!("dead letter `{id}`: {error}")))
    }

    /// Removes it for good; `false` where there is none of that id.
    ///
    /// # Errors
    /// The bus does not take it.
    pub async fn discard(&self, id: &DeadLetterId) -> Result<bool, BusError> {
        if self.0.get(id.state_key()).await?.is_none() {
            return Ok(false);
        }
        self.0.commit(vec![Change::Delete { key: id.state_key() }]).await?;
        Ok(true)
    }
}
