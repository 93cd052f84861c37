//! Configurations, shapes and encodings: no broker.

mod avro;
mod config;
mod msk;
mod record;
mod sarama;
