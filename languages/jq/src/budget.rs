//! What a program may spend: jaq itself runs until it is done, so its values count what is done with them.
//!
//! A value that finds the budget spent unwinds the interpreter, which is written in iterators and has no other way out that a
//! program's `try` does not catch; [`within`] catches it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Bytes that make a step, where bytes are built.
pub(crate) const BYTES_PER_STEP: usize = 16;
/// Stack that must be left, and that is taken anew where less is left at the start.
const STACK_LEFT: usize = 512 << 10;
const STACK_AT_START: usize = 3 << 19;
const STACK_ANEW: usize = 4 << 20;
/// For functions that hand arguments on to themselves; what is to be left gives the longest chain back. It is memory only as
/// far as it is used.
const STACK_CHAINED: usize = 96 << 20;
const STACK_LEFT_CHAINED: usize = 64 << 20;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(u64::MAX) };
    static MUST_BE_LEFT: Cell<usize> = const { Cell::new(STACK_LEFT) };
}

/// What a program had too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    Steps,
    Stack,
    Depth,
}

/// What a program may need of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    Usual,
    Chained,
}

/// Why a program did not come to its end.
pub(crate) enum Stopped {
    Spent(Spent),
    /// The interpreter gave up, with its own words where it had some.
    Broken(Option<String>),
}

/// Runs what works with values, for as many steps. Nothing that is built inside may live on after a stop.
pub(crate) fn within<T>(steps: u64, stack: Stack, run: impl FnOnce() -> T) -> Result<T, Stopped> {
    STEPS.set(steps);
    let caught = || catch_unwind(AssertUnwindSafe(run));
    let ended = match stack {
        Stack::Usual => {
            MUST_BE_LEFT.set(STACK_LEFT);
            stacker::maybe_grow(STACK_AT_START, STACK_ANEW, caught)
        }
        Stack::Chained => {
            MUST_BE_LEFT.set(STACK_LEFT_CHAINED);
            stacker::grow(STACK_CHAINED, caught)
        }
    };
    STEPS.set(u64::MAX);
    ended.map_err(|thrown| match thrown.downcast::<Spent>() {
        Ok(spent) => Stopped::Spent(*spent),
        Err(other) => Stopped::Broken(
            other
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| other.downcast_ref::<&str>().map(|text| (*text).to_owned())),
        ),
    })
}

/// Counts work with as many values.
pub(crate) fn spend(steps: usize) {
    let left = STEPS.get();
    match left.checked_sub(steps as u64) {
        Some(less) => STEPS.set(less),
        None => stop(Spent::Steps),
    }
    if stacker::remaining_stack().is_some_and(|left| left < MUST_BE_LEFT.get()) {
        stop(Spent::Stack);
    }
}

/// Counts bytes before they are built.
pub(crate) fn spend_bytes(bytes: usize) {
    spend(bytes / BYTES_PER_STEP + 1);
}

/// Ends the program. What still runs while it is unwound is free, or it would be unwound twice.
pub(crate) fn stop(spent: Spent) -> ! {
    STEPS.set(u64::MAX);
    resume_unwind(Box::new(spent))
}
