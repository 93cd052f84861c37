//! Real servers for tests: NATS, alone or as a cluster, Kafka, certificates, and a proxy that cuts connections.
//!
//! ```ignore
//! let mut nats = NatsServer::start(NatsVersion::Current, "max_payload: 1KB");
//! let client = async_nats::connect(nats.url()).await.unwrap();
//! nats.kill();
//! nats.restart(); // same port, same store
//! ```
//!
//! `cargo xtask services up` installs the programs and starts the shared Kafka broker. Servers that a test starts are
//! its own: they have a port of the kernel's choice and a directory, and end with the value. Calls block until the
//! server is ready, for at most [`PATIENCE`]; they may be made from async tests, as they take well under a second
//! (Kafka's take some). Nothing here knows Zetes.

#![expect(clippy::panic, reason = "tests fail by panics")]

mod certificates;
mod kafka;
mod nats;
mod process;
mod proxy;
mod services;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use certificates::{Certificates, Pem};
pub use kafka::KafkaBroker;
pub use nats::{NatsCluster, NatsServer, NatsVersion};
pub use process::{eventually, free_port};
pub use proxy::Proxy;
pub use services::{Services, SharedKafka};

/// How long a server may take to do what it should do at once.
pub const PATIENCE: Duration = Duration::from_mins(1);
