//! A durable bus in one directory.
//!
//! Everything is a frame in one log: events, acknowledgements, changes of state, decisions. What arrives while the disk is busy
//! is written and synced together (group commit), so one fdatasync carries as many events as came in meanwhile. The tables
//! (consumers' positions, state) live in memory and are rebuilt from the last checkpoint and the frames behind it; the duplicate window
//! has its newest part in memory and the rest in sorted files. Events are read back from the log; the newest are kept in memory, up to a
//! bound. Start and memory do not depend on how much is unread.
//!
//! Durability class: fsync, or page cache with [`Sync::Interval`]. One process owns a directory. Its format, byte by byte:
//! docs/embedded-bus-format.md.

mod bus;
mod check;
mod checkpoint;
mod codec;
mod consumer;
mod disk;
mod dump;
mod event;
mod identities;
mod keeper;
mod log;
mod open;
mod options;
mod plan;
mod queue;
mod reader;
mod recovery;
mod run;
mod scan;
mod segment;
mod spare;
mod summary;
mod syncer;
mod tables;
mod v1;
mod wire;
mod writer;

pub use bus::EmbeddedBus;
pub use check::{CheckReport, DamagedPlace, Disagreement, check};
pub use dump::{DumpKind, DumpLine, dump};
pub use options::{OpenReport, Options, Sync};

#[cfg(test)]
mod tests;
