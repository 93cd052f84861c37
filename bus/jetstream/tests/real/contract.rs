//! The contract on real servers: the oldest that is supported and the newest, alone and as a cluster of three.

use std::sync::Arc;
use std::time::Duration;

use bus_core::contract::Factory;
use bus_core::{Bus, Retention, contract_suite};
use bus_jetstream::{Options, Stream};
use zetes_services::{NatsCluster, NatsServer, NatsVersion};

/// Any number of buses on what is running.
struct OnServers<S> {
    url: String,
    replicas: u32,
    running: S,
    log: fn(&S) -> String,
}

impl<S> Drop for OnServers<S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("what the server wrote:\n{}", (self.log)(&self.running));
        }
    }
}

impl OnServers<NatsServer> {
    fn one(version: NatsVersion) -> Self {
        let server = NatsServer::start(version, "");
        Self { url: server.url(), replicas: 1, running: server, log: NatsServer::log }
    }
}

impl OnServers<NatsCluster> {
    fn three(version: NatsVersion) -> Self {
        let cluster = NatsCluster::start(version, 3);
        Self {
            url: cluster.urls().join(","),
            replicas: 3,
            running: cluster,
            log: |cluster| cluster.node(0).log(),
        }
    }
}

impl<S> Factory for OnServers<S> {
    async fn open(&self, namespace: &str, retention: Retention) -> Arc<dyn Bus> {
        // The limit of 50 GB would be reserved, and every test machine would have to have three times that.
        let retention = Retention { max_bytes: None, ..retention };
        let stream = Stream { retention, replicas: self.replicas, discard_written: false };
        let options = Options { namespace: namespace.into(), stream, ..crate::harness::options(&self.url) };
        crate::harness::opened(options).await
    }

    async fn reopen(&self, bus: Arc<dyn Bus>, namespace: &str, retention: Retention) -> Arc<dyn Bus> {
        bus.close().await.expect("it was open");
        self.open(namespace, retention).await
    }

    async fn advance(&self, by: Duration) {
        crate::harness::options(&self.url).clock.sleep(by).await;
    }

    fn second(&self) -> Duration {
        Duration::from_millis(100)
    }
}

mod old {
    use super::*;
    contract_suite!(OnServers::one(NatsVersion::Old));
}

mod current {
    use super::*;
    contract_suite!(OnServers::one(NatsVersion::Current));
}

mod old_cluster {
    use super::*;
    contract_suite!(OnServers::three(NatsVersion::Old));
}

mod current_cluster {
    use super::*;
    contract_suite!(OnServers::three(NatsVersion::Current));
}
