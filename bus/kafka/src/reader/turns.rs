//! One commit of a reader at a time; who waits for a turn may give up.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Turns {
    is_taken: Mutex<bool>,
    given_back: Condvar,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'t>(&'t Turns);

impl Turns {
    /// Waits for as long as it takes.
    pub(super) fn take(&self) -> Turn<'_> {
        let is_taken = self.is_taken.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.given_back.wait_while(is_taken, |is_taken| *is_taken);
        *wait.unwrap_or_else(PoisonError::into_inner) = true;
        Turn(self)
    }

    /// `None` where somebody else has it for longer than that.
    pub(super) fn take_within(&self, patience: Duration) -> Option<Turn<'_>> {
        let is_taken = self.is_taken.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.given_back.wait_timeout_while(is_taken, patience, |is_taken| *is_taken);
        let (mut is_taken, _) = wait.unwrap_or_else(PoisonError::into_inner);
        if *is_taken {
            return None;
        }
        *is_taken = true;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.is_taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_taken_can_be_waited_for_and_given_up() {
        let turns = Turns::default();
        let turn = turns.take();
        assert!(turns.take_within(Duration::ZERO).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| drop(turns.take()));
            drop(turn);
            waiting.join().unwrap();
        });
        assert!(turns.take_within(Duration::ZERO).is_some());
    }
}
