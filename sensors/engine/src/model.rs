//! What a machine is told and what it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use zetes_api::{
    Decision, DependencyName, Event, EventName, EventRef, IdempotencyKey, Namespace, ObjectName, Role,
    TriggerName,
};

use crate::filter::Rejection;

/// Names a delivery inside one machine; its caller maps it to the bus's ticket.
pub type TicketId = u64;

/// The events that made the conditions hold, and the identity of what is done about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// The same for every attempt: a digest of namespace, Sensor, trigger and the events' identities.
    pub key: IdempotencyKey,
    pub namespace: Namespace,
    pub sensor: ObjectName,
    pub trigger: TriggerName,
    /// Which of the trigger's actions it is for.
    pub role: Role,
    /// By dependency; a dependency that `||` left out is absent. In a batch one event for each dependency, whose data is the list
    /// of the data of all of them.
    pub events: BTreeMap<DependencyName, Arc<Event>>,
    /// What a batch is made of; empty for any other round.
    pub batch: Vec<(DependencyName, EventRef)>,
    /// The value of the trigger's `key`; empty without one.
    pub flow_key: Arc<str>,
    /// When the conditions came to hold. The same for every attempt while the round is in memory.
    pub complete_at: Timestamp,
}

/// What one dependency makes of an event: made by [`crate::Rules::judge`].
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    pub dependency: DependencyName,
    /// Which event it is, whatever the transform made of it.
    pub event: EventRef,
    pub outcome: Result<Accepted, Rejection>,
}

/// An event as the triggers will see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Transformed, where the dependency has a transform.
    pub event: Arc<Event>,
    /// Only events of one value are joined; empty without `correlate`.
    pub correlation: Arc<str>,
}

/// Which events a trigger wants to be shown, derived from its dependencies; globs are widened to `None`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interest {
    pub source: Option<ObjectName>,
    pub subject: Option<EventName>,
    /// The dependency that asks for them; of several, the one that the conditions mention last.
    pub dependency: DependencyName,
}

/// The key of one stored piece of a machine's state: `waiting/<digest>` or `round/<key>`.
pub type StoredKey = String;

/// Why an attempt failed, and whether another one would help.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub message: String,
    /// Permanent failures are not tried again.
    pub transient: bool,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The bus handed out an event, and this is what the dependencies that mean it make of it.
    Arrived { ticket: TicketId, matches: Vec<Match> },
    /// An attempt at the round ended well; `fallbacks` says which parameters took theirs.
    Fired { key: IdempotencyKey, outcome: String, fallbacks: Vec<String> },
    /// An attempt at the round failed.
    Failed { key: IdempotencyKey, failure: Failure },
    /// A round is taken back from the dead letters.
    Redrive { round: Round },
    /// A time that an earlier [`Effect::WakeAt`] asked for has come. Spurious ticks are harmless.
    Tick,
}

/// What to do, in order. The durable ones (`Store`, `Forget`, `Settle`, `Record`, `DeadLetter`) that stand together may be
/// carried out as one; an effect behind them begins only when they are durable.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "effects live for one step")]
pub enum Effect {
    /// Write a piece of state, to be given back to [`crate::Machine::restore`] after a restart.
    Store {
        key: StoredKey,
        value: Vec<u8>,
    },
    /// Remove a piece of state.
    Forget {
        key: StoredKey,
    },
    /// The delivery's outcome is durable with the effects before this one.
    Settle {
        ticket: TicketId,
    },
    /// Begin an attempt at the round, counted from 1; answer with `Fired` or `Failed`.
    Fire {
        round: Arc<Round>,
        attempt: u32,
    },
    /// Keep the round whole among the dead letters (S3).
    DeadLetter {
        round: Arc<Round>,
        attempts: u32,
        reason: &'static str,
        error: String,
    },
    Record(Decision),
    /// Send a `Tick` at this time, unless an earlier one is due. Replaces nothing: the earliest wins.
    WakeAt(Timestamp),
}

impl Effect {
    /// Whether it must be durable before what follows may begin.
    pub fn is_durable(&self) -> bool {
        !matches!(self, Self::Fire { .. } | Self::WakeAt(_))
    }
}
