//! End to end: the real executable, real files, real sockets, as a user would.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod harness;
mod scenarios;
