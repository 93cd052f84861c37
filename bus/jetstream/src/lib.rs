//! The bus on NATS JetStream: any server from 2.9 on, alone or a cluster.
//!
//! Events, decisions and state are three streams; a trigger is one durable pull consumer. [`JetStreamBus::open`] returns at once and
//! connects by itself, for ever and again after each loss; until then methods answer [`bus_core::BusError::Unavailable`] with the
//! reason, which [`bus_core::Bus::health`] tells, too. With [`Names::Argo`] the events stand where Argo Events has them, and its
//! consumers are continued.
//!
//! Durability class: page cache on one server, fsync's equal with three replicas (a copy survives on another machine).

mod api;
mod bus;
mod check;
mod commit;
mod consumer;
mod held;
mod layout;
mod link;
mod names;
mod options;
mod publish;
mod pull;
mod reading;
mod records;
mod room;
mod scan;
mod signals;
mod state;
mod stats;
mod streams;
mod subscribe;

pub use bus::JetStreamBus;
pub use options::{Names, Options, Stream};
