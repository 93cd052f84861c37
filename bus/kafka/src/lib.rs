//! The bus on Kafka.
//!
//! Events are records of one topic, a consumer is a consumer group, state is a compacted topic that every process has in memory,
//! and records of decisions have a topic of their own. The bus connects by itself and for ever; what keeps it from working
//! stands in its health, in one sentence that says what to do.
//!
//! What Kafka does not have is done here: acknowledgements in any order (a commit's metadata says what above the committed offset is
//! settled), deadlines, delivery counts, compare-and-set, duplicates, and the removal of what everybody has settled.
//!
//! Durability class: what the brokers' settings make of `acks=all`.

mod bus;
mod committed;
mod desk;
mod groups;
mod inbox;
mod intake;
mod layout;
mod live;
mod options;
mod pages;
mod placing;
mod producer;
mod publish;
mod reader;
mod room;
mod seen;
mod standings;
mod state;
mod table;
mod tail;
mod thread;
mod topics;
mod warnings;

pub use bus::KafkaBus;
pub use options::{Group, Names, Options};
