//! What a bus on JetStream is made of.

use bus_core::Retention;
use connection_nats::Settings;
use zetes_api::{Namespace, ObjectName};
use zetes_runtime::Clock;

/// One EventBus on one server or cluster.
#[derive(Clone, Debug)]
pub struct Options {
    pub namespace: Namespace,
    /// Name of the EventBus.
    pub name: ObjectName,
    pub connection: Settings,
    pub stream: Stream,
    pub names: Names,
    pub clock: Clock,
}

/// What the streams are asked to be. An existing stream is brought in line; what the server refuses is a warning of the bus's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub retention: Retention,
    /// Copies of everything on so many servers; more than there are servers becomes as many as there are.
    pub replicas: u32,
    /// `discard` is written out in the EventBus. Only then an existing stream of Argo's gets another one (S42).
    pub discard_written: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self { retention: Retention::default(), replicas: 1, discard_written: false }
    }
}

/// How stream, subjects and consumers are named (spec/control-plane.md 3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// With namespace and bus, so that any number of buses share a server.
    #[default]
    Own,
    /// As Argo Events names them, so that both work on one stream.
    Argo,
}
