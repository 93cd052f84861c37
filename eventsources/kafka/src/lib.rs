//! Event source `kafka`: records of a Kafka topic become events (spec/event-sources.md 2.7).
//!
//! At least once. A record's offset is stored, and then committed by the client, after its event is durable; without a consumer
//! group the place is our own cursor (S36). After a crash, or when partitions change hands, some records come again with the same
//! event ids, `<event source>:<event>:<first broker>:<topic>:<partition>:<offset>`. The order of a partition is kept.
//!
//! A record that can't be decoded is kept among the dead letters (S37). One whose schema can't be had stays on the topic.

mod avro;
mod client;
mod config;
mod kafka;
mod look;
mod msk;
mod place;
mod reader;
mod record;
mod sarama;
mod schemas;
mod upstream;

pub use config::{AwsMskIamAuth, Config, SchemaRegistry};
pub use kafka::Kafka;

#[cfg(test)]
mod tests;
