//! The bus on a real broker: `cargo xtask services up` starts the one that the tests share.

mod contract;
mod failures;
mod harness;
mod operation;
