//! Kinds of event sources whose adapter is not in this build yet: what may be written, and what is wrong with it.
//!
//! A kind here is its `Config`, whose doc comments are the manual, and `validate`, so that a manifest is judged as it will be
//! when the adapter is there. Nothing runs. When the adapter of a kind is written, its file moves into that adapter's crate:
//! `impl Planned` becomes `impl EventSource`, and its line in the registry moves to the others.
//!
//! What the reference refuses is an error. What it accepts and never emits an event with is a warning (`receives-nothing`).

pub mod azure_events_hub;
pub mod azure_queue_storage;
pub mod azure_service_bus;
pub mod emitter;
pub mod hdfs;
pub mod mns;
pub mod nsq;
pub mod pub_sub;
pub mod pulsar;
pub mod resource;
pub mod sftp;

#[cfg(test)]
mod tests;
