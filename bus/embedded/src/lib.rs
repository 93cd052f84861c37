//! A durable bus in one directory.
//!
//! Everything is a frame in one log: events, acknowledgements, changes of state, decisions. What arrives while the disk is busy
//! is written and synced together (group commit), so one fdatasync carries as many events as came in meanwhile. The tables
//! (consumers' positions, state, duplicates) live in memory and are rebuilt from the last checkpoint and the frames
//! behind it. Events are read back from the log; the newest are kept in memory, up to a bound.
//!
//! Durability class: fsync. One process owns a directory.

mod bus;
mod checkpoint;
mod codec;
mod options;
mod reader;
mod recovery;
mod segment;
mod tables;
mod writer;

pub use bus::EmbeddedBus;
pub use options::{OpenReport, Options};

#[cfg(test)]
mod tests;
