//! The bus on real servers: its contract, every way not to get to a server, and servers that go away under load.

#![expect(clippy::panic, clippy::print_stdout, reason = "tests fail by panics, and counts are to be read")]

mod argo;
mod contract;
mod failures;
mod harness;
mod losses;
