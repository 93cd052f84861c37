//! End to end: the real executable, real files, real sockets, as a user would.

mod harness;
mod scenarios;
