//! The promises of every bus, on the shared broker.

use std::sync::Arc;
use std::time::Duration;

use bus_core::contract::Factory;
use bus_core::{Bus, Retention};
use bus_kafka::Options;
use zetes_runtime::Clock;

use crate::harness::{at, opened, shared, unique};

struct Kafka {
    bus: String,
    clock: Clock,
}

impl Kafka {
    fn new() -> Self {
        Self { bus: unique(), clock: Clock::manual(Clock::system().now()) }
    }
}

impl Factory for Kafka {
    async fn open(&self, namespace: &str, retention: Retention) -> Arc<dyn Bus> {
        let connection = at(&shared().plaintext);
        let options = Options {
            retention,
            clock: self.clock.clone(),
            ..Options::new(namespace.into(), self.bus.clone(), connection)
        };
        Arc::new(opened(options).await)
    }

    async fn reopen(&self, bus: Arc<dyn Bus>, namespace: &str, retention: Retention) -> Arc<dyn Bus> {
        bus.close().await.expect("the bus works");
        self.open(namespace, retention).await
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

bus_core::contract_suite!(Kafka::new());
