//! The deciding part: told what happened and at what time, says what to do.
//!
//! One [`Machine`] decides for one trigger of one Sensor. It is fed [`Input`]s and answers with [`Effect`]s, which its
//! caller carries out in order. It never does anything itself: no I/O, no clock, no randomness, no async. Equal inputs
//! give equal effects, so what production did can be done again in a test, in a simulation and in `zetes explain`.
//!
//! What it promises, whatever the order of inputs:
//! - every delivery it was given is settled exactly once, and only by an effect that stands after the effects that make
//!   its outcome durable;
//! - every accepted event ends in exactly one of fired, overwritten, skipped, expired, dead-lettered, or is still waiting;
//! - an attempt at the same round carries the same key, also after a restart.

mod conditions;
mod filter;
mod glob;
mod machine;
mod model;
mod rules;
mod selector;
mod transform;

pub use conditions::{Conditions, ConditionsError};
pub use filter::{Check, Rejection};
pub use glob::{Glob, GlobError};
pub use machine::Machine;
pub use model::{Accepted, Effect, Failure, Input, Interest, Match, Round, StoredKey, TicketId};
pub use rules::{Guarantee, Rules};
pub use selector::Selector;

#[cfg(test)]
mod tests;
