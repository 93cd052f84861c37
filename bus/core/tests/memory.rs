//! The bus in memory passes the contract.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus_core::contract::Factory;
use bus_core::{Bus, MemoryBus, Retention, contract_suite};
use jiff::{SignedDuration, Timestamp};

/// A bus whose time is turned by hand.
struct Memory {
    now: Arc<Mutex<Timestamp>>,
}

impl Factory for Memory {
    async fn open(&self) -> Arc<dyn Bus> {
        let now = self.now.clone();
        Arc::new(MemoryBus::new(
            Retention::default(),
            Arc::new(move || *now.lock().expect("no test panics with it")),
        ))
    }

    fn advance(&self, by: Duration) {
        let mut now = self.now.lock().expect("no test panics with it");
        *now += SignedDuration::try_from(by).expect("a short time");
    }
}

contract_suite!(Memory { now: Arc::new(Mutex::new(Timestamp::UNIX_EPOCH)) });
