//! The bus in memory passes the contract.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bus_core::contract::Factory;
use bus_core::{Bus, MemoryBus, Retention, contract_suite};
use jiff::{SignedDuration, Timestamp};

/// A bus whose time is turned by hand.
struct Memory {
    now: Arc<Mutex<Timestamp>>,
    bus: OnceLock<MemoryBus>,
}

impl Memory {
    fn new() -> Self {
        Self { now: Arc::new(Mutex::new(Timestamp::UNIX_EPOCH)), bus: OnceLock::new() }
    }
}

impl Factory for Memory {
    async fn open(&self, _namespace: &str, retention: Retention) -> Arc<dyn Bus> {
        let now = self.now.clone();
        let now = Arc::new(move || *now.lock().expect("no test panics with it"));
        Arc::new(self.bus.get_or_init(|| MemoryBus::new(retention, now)).clone())
    }

    async fn reopen(&self, bus: Arc<dyn Bus>, namespace: &str, retention: Retention) -> Arc<dyn Bus> {
        bus.close().await.expect("it was open");
        let bus = self.open(namespace, retention).await;
        self.bus.get().expect("it was open").restart();
        bus
    }

    async fn advance(&self, by: Duration) {
        let mut now = self.now.lock().expect("no test panics with it");
        *now += SignedDuration::try_from(by).expect("a short time");
    }
}

contract_suite!(Memory::new());
