//! Servers that go away under load: what was acknowledged is there afterwards, and is read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bus_core::{Bus, Change, Consumer};
use bus_jetstream::{JetStreamBus, Options, Stream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zetes_runtime::Clock;
use zetes_services::{NatsCluster, NatsServer, NatsVersion};

use crate::harness::{PATIENCE, event, opened, options, subscription};

/// Publishes one event after another until told to stop, and gives the ids that were acknowledged.
async fn publish_all(bus: Arc<JetStreamBus>, who: usize, stop: CancellationToken) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut number = 0;
    while !stop.is_cancelled() {
        let id = format!("{who}-{number}");
        match bus.publish(vec![event(&id)]).await {
            Ok(_) => {
                acknowledged.push(id);
                number += 1;
            }
            // The same event again, as an event source does.
            Err(error) if error.is_transient() => Clock::system().sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("expected to be told to try again: {error}"),
        }
    }
    acknowledged
}

/// Reads and settles until everything that is expected has come.
async fn read_all(
    bus: Arc<JetStreamBus>,
    mut consumer: Box<dyn Consumer>,
    seen: watch::Sender<BTreeSet<String>>,
) {
    loop {
        let deliveries = consumer.fetch(100).await.expect("a fetch waits through a loss");
        seen.send_modify(|seen| seen.extend(deliveries.iter().map(|delivery| delivery.event.id.to_string())));
        // What could not be settled comes again.
        let acks = deliveries.into_iter().map(|delivery| Change::Ack(delivery.ticket)).collect();
        let _is_settled = bus.commit(acks).await.is_ok();
    }
}

/// What is read while servers go away.
struct Load {
    bus: Arc<JetStreamBus>,
    seen: watch::Receiver<BTreeSet<String>>,
}

impl Load {
    /// Waits until so many more were read.
    async fn more(&mut self, count: usize) {
        let before = self.seen.borrow().len();
        let read = self.seen.wait_for(|seen| seen.len() >= before + count);
        let is_read = tokio::time::timeout(PATIENCE, read).await.is_ok();
        let (now, health) = (self.seen.borrow().len(), self.bus.health());
        assert!(is_read, "expected {count} more events to be read after {before}, came to {now}; {health:?}");
    }

    /// Waits until all of these were read.
    async fn all(&mut self, expected: &BTreeSet<String>) {
        let read = self.seen.wait_for(|seen| expected.is_subset(seen));
        let is_read = tokio::time::timeout(PATIENCE, read).await.is_ok();
        let missing: Vec<_> = expected.difference(&self.seen.borrow()).cloned().collect();
        assert!(
            is_read,
            "{} of {} acknowledged events were not read: {missing:?}",
            missing.len(),
            expected.len()
        );
    }
}

/// Publishes and reads while `disturb` does its work; nothing that was acknowledged is lost.
async fn nothing_is_lost<R>(options: Options, disturb: impl AsyncFnOnce(&mut Load) -> R) -> R {
    let bus = opened(options).await;
    let consumer = bus.subscribe(subscription("t")).await.expect("the consumer is created");
    let (sender, seen) = watch::channel(BTreeSet::new());
    let mut readers = JoinSet::new();
    readers.spawn(read_all(bus.clone(), consumer, sender));
    let stop = CancellationToken::new();
    let mut publishers = JoinSet::new();
    for who in 0..8 {
        publishers.spawn(publish_all(bus.clone(), who, stop.clone()));
    }
    let mut load = Load { bus, seen };
    let kept = disturb(&mut load).await;
    stop.cancel();
    let acknowledged: BTreeSet<String> = publishers.join_all().await.into_iter().flatten().collect();
    load.all(&acknowledged).await;
    println!("{} events were acknowledged and read", acknowledged.len());
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_started_again_loses_nothing() {
    let mut server = NatsServer::start(NatsVersion::Current, "");
    let options = options(&server.url());
    nothing_is_lost(options, async |load| {
        for _ in 0..3 {
            load.more(500).await;
            server.kill();
            server.restart();
        }
        load.more(500).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_a_node_loses_nothing() {
    let mut cluster = NatsCluster::start(NatsVersion::Current, 3);
    let plain = options(&cluster.urls().join(","));
    let options = Options { stream: Stream { replicas: 3, ..plain.stream.clone() }, ..plain };
    let lost = nothing_is_lost(options, async |load| {
        load.more(200).await;
        let leader = cluster.leader();
        cluster.kill(leader);
        load.more(400).await;
        leader
    })
    .await;
    cluster.restart(lost);
}

#[tokio::test]
async fn a_stream_that_was_deleted_is_made_again_and_read_from_its_beginning() {
    let server = NatsServer::start(NatsVersion::Current, "");
    let bus = opened(options(&server.url())).await;
    let mut consumer = bus.subscribe(subscription("t")).await.expect("the consumer is created");
    bus.publish(vec![event("a")]).await.expect("the bus takes it");
    let client = async_nats::connect(server.url()).await.expect("it runs");
    client.request("$JS.API.STREAM.DELETE.zetes_ci_b", "".into()).await.expect("it answers");
    let published = async {
        while let Err(error) = bus.publish(vec![event("b")]).await {
            assert!(error.is_transient(), "{error}");
            Clock::system().sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, published).await.expect("the stream is made again");
    let read = async {
        loop {
            let deliveries = consumer.fetch(10).await.expect("the consumer is made again");
            if deliveries.iter().any(|delivery| delivery.event.id.as_str() == "b") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("what was published comes");
}

mod slow {
    use bus_core::BusError;

    use super::*;
    use crate::harness::{failure, healthy};

    #[tokio::test]
    async fn a_server_that_hangs_is_told_and_used_again_when_it_goes_on() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let bus = opened(options(&server.url())).await;
        server.pause();
        let published = bus.publish(vec![event("a")]).await;
        assert!(matches!(&published, Err(BusError::Unavailable(_))), "{published:?}");
        let told = failure(&bus, "does not answer").await;
        assert!(told.contains(&server.url()), "{told}");
        server.resume();
        healthy(&bus).await;
        bus.publish(vec![event("a")]).await.expect("the bus takes it");
    }
}
