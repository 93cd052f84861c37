//! On real brokers: `cargo xtask services up` starts the one that the tests share.

#![expect(clippy::unwrap_used, reason = "tests fail by panics")]

mod kafka;
mod registry;
mod topic;
