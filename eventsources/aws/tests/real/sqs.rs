//! Against moto.

use std::collections::BTreeSet;

use eventsource_aws::sqs::Sqs;
use eventsource_core::testkit::{self, Kit, Upstream, eventually};
use serde_json::{Value, json};
use zetes_services::{Certificates, MotoServer, Settings, Tls};

use crate::moto::{Queue, guard};
use crate::{keys, kit, secret, with};

fn config(moto: &MotoServer, queue: &str) -> Value {
    let base = json!({
        "region": "us-east-1", "endpoint": moto.url(), "queue": queue, "waitTimeSeconds": 1,
        "visibilityTimeoutSeconds": 1, "jsonBody": true,
    });
    with(&base, &keys())
}

fn standard(moto: &MotoServer) -> Queue<'_> {
    let queue = Queue { moto, name: "orders" };
    queue.create(&json!({}));
    queue
}

fn fifo(moto: &MotoServer) -> Queue<'_> {
    let queue = Queue { moto, name: "orders.fifo" };
    queue.create(&json!({"FifoQueue": "true"}));
    queue
}

fn any() -> Kit {
    kit("any", "any")
}

/// Numbers as messages.
impl Upstream for Queue<'_> {
    async fn send(&mut self, number: usize) {
        if self.name == "orders.fifo" {
            self.send_in_order(&number.to_string());
        } else {
            Queue::send(self, &number.to_string());
        }
    }

    fn number(&self, data: &Value) -> usize {
        data["body"].as_u64().unwrap().try_into().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_becomes_one_event() {
    let moto = MotoServer::start();
    let mut queue = fifo(&moto);
    testkit::every_message_becomes_one_event::<Sqs>(&any(), &config(&moto, queue.name), &mut queue).await;
    queue.becomes_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_read_by_several_requests_at_a_time() {
    let moto = MotoServer::start();
    let queue = standard(&moto);
    (0..100).for_each(|number| queue.send(&number.to_string()));
    let kit = any();
    // moto now and then forgets that it deleted one, where several requests delete at a time: it comes again soon.
    let source = kit.start::<Sqs>(with(&config(&moto, queue.name), &json!({"visibilityTimeoutSeconds": 5})));
    let bodies: BTreeSet<_> = kit.data(100).await.iter().map(|data| data["body"].as_u64()).collect();
    assert_eq!(bodies.len(), 100);
    queue.becomes_empty().await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_is_found_again() {
    let mut moto = MotoServer::start();
    standard(&moto).send("1");
    let (kit, config) = (any(), config(&moto, "orders"));
    let source = kit.start::<Sqs>(config);
    kit.events(1).await;
    moto.kill();
    let told = source.failure().await;
    assert!(
        told.contains("nothing listens at http://127.0.0.1:") || told.contains("can't be used"),
        "{told}"
    );
    // It keeps nothing: the queue is gone.
    moto.restart();
    standard(&moto).send("2");
    kit.events(2).await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loses_nothing() {
    let moto = MotoServer::start();
    let mut queue = standard(&moto);
    let (kit, config) = (any(), config(&moto, queue.name));
    testkit::a_crash_loses_nothing::<Sqs>(&kit, &config, &mut queue).await;
    // What was on the bus and not yet deleted is deleted when it comes again.
    let source = kit.start::<Sqs>(config);
    queue.becomes_empty().await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_comes_again_with_its_id_until_its_event_is_on_the_bus() {
    let moto = MotoServer::start();
    let queue = standard(&moto);
    let kit = any();
    kit.refuse();
    queue.send("1");
    let source = kit.start::<Sqs>(config(&moto, queue.name));
    eventually("the bus to refuse it twice", async || (kit.refusals() > 1).then_some(())).await;
    assert_ne!(queue.counts(), (0, 0), "it was not deleted");
    kit.take();
    let id = kit.events(1).await[0].id.clone();
    queue.becomes_empty().await;
    assert_eq!(kit.data(1).await[0]["messageId"], id.as_str());
    assert_eq!(kit.events_now().await.len(), 1);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_nothing_half_done() {
    let moto = MotoServer::start();
    let queue = standard(&moto);
    (0..50).for_each(|number| queue.send(&number.to_string()));
    let kit = any();
    let source = kit.start::<Sqs>(config(&moto, queue.name));
    kit.events(1).await;
    source.stop().await;
    let source = kit.start::<Sqs>(config(&moto, queue.name));
    kit.events(50).await;
    queue.becomes_empty().await;
    assert_eq!(kit.events_now().await.len(), 50);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_is_dead_lettered() {
    let moto = MotoServer::start();
    let queue = standard(&moto);
    let kit = any();
    let source = kit.start::<Sqs>(config(&moto, queue.name));
    queue.send("no { json");
    queue.send("1");
    let dead = kit.dead(1).await;
    assert_eq!((dead[0].reason.as_str(), dead[0].raw.as_str()), ("unreadable", "bm8geyBqc29u"));
    kit.events(1).await;
    queue.becomes_empty().await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_dlq_a_poison_message_is_left_to_the_queues_own_dead_letters() {
    let moto = MotoServer::start();
    let dead = Queue { moto: &moto, name: "dead" };
    dead.create(&json!({}));
    let queue = Queue { moto: &moto, name: "orders" };
    let redrive =
        json!({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead", "maxReceiveCount": "1"});
    queue.create(&json!({"RedrivePolicy": redrive.to_string()}));
    queue.send("no { json");
    queue.send("1");
    let kit = any();
    let source = kit.start::<Sqs>(with(&config(&moto, queue.name), &json!({"dlq": true})));
    kit.events(1).await;
    let told = source.trouble().await;
    assert!(told.contains("stays in the queue, for the queue's own dead letters (`dlq`)"), "{told}");
    eventually("the queue's own dead letter", async || (dead.counts().0 == 1).then_some(())).await;
    queue.becomes_empty().await;
    assert!(kit.dead(0).await.is_empty());
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_not_there_is_told_until_it_is() {
    let moto = MotoServer::start();
    let kit = any();
    let source = kit.start::<Sqs>(config(&moto, "orders"));
    let expected = "queue `orders` does not exist at http://127.0.0.1:";
    let told = source.failure().await;
    assert!(told.starts_with(expected), "{told}");
    let queue = standard(&moto);
    queue.send("1");
    kit.events(1).await;
    queue.delete();
    let told = source.failure().await;
    assert!(told.starts_with(expected), "{told}");
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_and_bytes_come_through() {
    let moto = MotoServer::start();
    let queue = standard(&moto);
    let kit = any();
    let members = json!({"jsonBody": false, "metadata": {"team": "ci"}});
    let source = kit.start::<Sqs>(with(&config(&moto, queue.name), &members));
    queue.send("hello");
    let data = kit.data(1).await.remove(0);
    let id = kit.events(1).await[0].id.clone();
    let expected = json!({
        "messageId": id.as_str(), "messageAttributes": null, "body": "aGVsbG8=", "metadata": {"team": "ci"},
    });
    assert_eq!(data, expected);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified() {
    let certificates = Certificates::new();
    let moto = MotoServer::start_with(&Settings { tls: Tls::Server(&certificates), ..Settings::default() });
    let queue = standard(&moto);
    let kit = any().with_secret("aws", "ca", &certificates.ca.certificate);
    let kit = kit.with_secret("aws", "wrong-ca", &certificates.wrong_ca.certificate);
    let source = kit.start::<Sqs>(config(&moto, queue.name));
    let told = source.failure().await;
    assert!(
        told.contains("is signed by no CA that this system knows; name its CA with caCertificate"),
        "{told}"
    );
    source.stop().await;
    let trusting = |ca: &str| with(&config(&moto, queue.name), &json!({"caCertificate": secret(ca)}));
    let source = kit.start::<Sqs>(trusting("wrong-ca"));
    let told = source.failure().await;
    assert!(told.contains("is not signed by the CA in secret `default/aws` key `wrong-ca`"), "{told}");
    source.stop().await;
    let source = kit.start::<Sqs>(trusting("ca"));
    queue.send("1");
    kit.events(1).await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let moto = MotoServer::start();
    let queue = standard(&moto);
    queue.send("1");
    let (access, password) = guard(&moto, "sqs:PurgeQueue");
    let kit = kit("AKIAUNKNOWN", &password);
    let source = kit.start::<Sqs>(config(&moto, queue.name));
    let told = source.failure().await;
    // moto's answer has not the form in which SQS would say more.
    let denied = "denies it to secret `default/aws` key `access`";
    assert!(told.contains(denied), "{told}");
    kit.set_secret("aws", "access", &access);
    kit.events(1).await;
    // Revoked under way.
    kit.set_secret("aws", "secret", "wrong");
    let told = source.failure().await;
    assert!(told.contains(denied), "{told}");
    kit.set_secret("aws", "secret", &password);
    source.serving().await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_delete_is_told() {
    let moto = MotoServer::start();
    let queue = standard(&moto);
    queue.send("1");
    let (access, password) = guard(&moto, "sqs:DeleteMessage*");
    let kit = kit(&access, &password);
    let source = kit.start::<Sqs>(config(&moto, queue.name));
    let told = source.failure().await;
    assert!(told.contains("denies it to secret `default/aws` key `access`"), "{told}");
    assert_eq!(kit.events_now().await.len(), 1);
    source.stop().await;
}

mod slow {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_falls_silent_is_noticed_and_found_again() {
        let moto = MotoServer::start();
        let queue = standard(&moto);
        let kit = any();
        let source = kit.start::<Sqs>(config(&moto, queue.name));
        queue.send("1");
        kit.events(1).await;
        queue.becomes_empty().await;
        moto.pause();
        let told = source.failure().await;
        assert!(told.contains("can't be used"), "{told}");
        moto.resume();
        queue.send("2");
        kit.events(2).await;
        source.stop().await;
    }
}
