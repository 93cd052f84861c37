//! The promises of every bus, kept by this one.

use std::sync::{Mutex, Weak};

use super::*;

/// One process: whoever opens the directory again gets the same bus.
struct Embedded {
    folder: tempfile::TempDir,
    clock: Clock,
    bus: Mutex<Weak<EmbeddedBus>>,
}

impl bus_core::contract::Factory for Embedded {
    async fn open(&self, _namespace: &str, retention: Retention) -> Arc<dyn Bus> {
        if let Some(bus) = self.bus.lock().unwrap().upgrade() {
            return bus;
        }
        let options = Options { retention, ..options(&self.clock) };
        let (bus, report) = EmbeddedBus::open(self.folder.path(), options).await.unwrap();
        assert_eq!(report, OpenReport::default());
        let bus = Arc::new(bus);
        *self.bus.lock().unwrap() = Arc::downgrade(&bus);
        bus
    }

    async fn reopen(&self, bus: Arc<dyn Bus>, namespace: &str, retention: Retention) -> Arc<dyn Bus> {
        bus.close().await.unwrap();
        drop(bus);
        assert!(self.bus.lock().unwrap().upgrade().is_none(), "a case keeps the bus that it has given back");
        self.open(namespace, retention).await
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

bus_core::contract_suite!(Embedded {
    folder: tempfile::tempdir().unwrap(),
    clock: clock(),
    bus: Mutex::default(),
});
