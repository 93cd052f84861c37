//! How a bus is opened.

use bus_core::Retention;
use connection_kafka::Settings;
use zetes_api::Namespace;
use zetes_runtime::Clock;

/// How a bus is opened.
#[derive(Clone, Debug)]
pub struct Options {
    pub namespace: Namespace,
    /// Name of the EventBus.
    pub bus: String,
    pub connection: Settings,
    /// Topic of the events; `None` is the layout's own.
    pub topic: Option<String>,
    pub names: Names,
    /// A path into an event's data: events with the same value there stand in one partition, so that they keep their order and their joins
    /// stay local. `None`, or nothing at the path: by kind of event.
    pub partition_key: Option<String>,
    /// Of topics that we create.
    pub partitions: u32,
    /// Copies of topics that we create; `None` is the brokers' default.
    pub replication: Option<u16>,
    pub retention: Retention,
    pub group: Group,
    pub clock: Clock,
}

/// Which layout the bus has on the brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// `zetes.<ns>.<bus>`.
    #[default]
    Own,
    /// The reference's event topic, read and written beside its own sources and sensors.
    Argo,
}

/// `consumerGroup` of an EventBus (spec/control-plane.md 2.5). Its strategy has no effect: members always cooperate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// In the reference's layout: what a Sensor's groups are named after instead of `<ns>-<sensor>`; `-<sensor>` is appended, so that
    /// Sensors do not take each other's events.
    pub name: Option<String>,
    /// A new consumer that asked for what comes from now on begins with the oldest event.
    pub oldest: bool,
}

impl Options {
    /// Six partitions, the brokers' own number of copies, the retention of every bus.
    pub fn new(namespace: Namespace, bus: impl Into<String>, connection: Settings) -> Self {
        Self {
            namespace,
            bus: bus.into(),
            connection,
            topic: None,
            names: Names::Own,
            partition_key: None,
            partitions: 6,
            replication: None,
            retention: Retention::default(),
            group: Group::default(),
            clock: Clock::system(),
        }
    }
}
