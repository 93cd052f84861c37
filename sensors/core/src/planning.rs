//! A round while its action is planned.

use std::cell::RefCell;
use std::ops::Deref;

use sensor_engine::Round;

/// A round, and a note of every parameter that took its fallback (S29).
#[derive(Debug)]
pub struct Planning<'r> {
    round: &'r Round,
    fallbacks: RefCell<Vec<String>>,
}

impl<'r> Planning<'r> {
    pub fn of(round: &'r Round) -> Self {
        Self { round, fallbacks: RefCell::default() }
    }

    pub(crate) fn note(&self, fallback: impl Into<String>) {
        self.fallbacks.borrow_mut().push(fallback.into());
    }

    /// Which parameters took their fallback, and why, in order.
    pub fn into_fallbacks(self) -> Vec<String> {
        self.fallbacks.into_inner()
    }
}

impl Deref for Planning<'_> {
    type Target = Round;

    fn deref(&self) -> &Round {
        self.round
    }
}
