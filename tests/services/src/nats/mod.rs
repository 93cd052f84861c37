//! NATS servers with JetStream.

mod cluster;
mod server;

pub use cluster::NatsCluster;
pub use server::NatsServer;

/// The servers that are supported, at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatsVersion {
    /// 2.9.10, of Debian 12.
    Old,
    /// 2.12.2.
    Current,
}
