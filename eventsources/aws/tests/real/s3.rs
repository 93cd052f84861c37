//! Against MinIO.

use std::collections::BTreeSet;

use eventsource_aws::s3::S3;
use eventsource_core::testkit::{self, Kit, Upstream, eventually};
use serde_json::{Value, json};
use zetes_services::{Certificates, MinioServer, MotoServer, Settings, Tls};

use crate::moto::guard;
use crate::{keys, kit, secret, with};

fn server() -> MinioServer {
    let minio = MinioServer::start();
    minio.create_bucket("orders");
    minio
}

fn config(endpoint: &str) -> Value {
    with(&json!({"endpoint": endpoint, "bucket": {"name": "orders"}, "interval": "1s"}), &keys())
}

fn emitting(endpoint: &str) -> Value {
    with(&config(endpoint), &json!({"existing": "emit"}))
}

fn known(minio: &MinioServer) -> Kit {
    kit(minio.user(), minio.password())
}

/// The first look has ended, so that what comes from now on is new.
async fn looked(kit: &Kit) {
    kit.cursor(|cursor| cursor["isFirst"] == false).await;
}

/// The names of objects, by events.
async fn names(kit: &Kit, count: usize) -> Vec<String> {
    kit.data(count).await.iter().map(|data| data["key"].as_str().unwrap().to_owned()).collect()
}

struct Bucket<'m>(&'m MinioServer);

impl Upstream for Bucket<'_> {
    async fn send(&mut self, number: usize) {
        self.0.put_object("orders", &format!("{number:03}"), b"content");
    }

    fn number(&self, data: &Value) -> usize {
        data["key"].as_str().unwrap().parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_becomes_one_event() {
    let minio = server();
    testkit::every_message_becomes_one_event::<S3>(
        &known(&minio),
        &emitting(&minio.url()),
        &mut Bucket(&minio),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loses_nothing() {
    let minio = server();
    testkit::a_crash_loses_nothing::<S3>(&known(&minio), &emitting(&minio.url()), &mut Bucket(&minio)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_is_found_again() {
    let mut minio = server();
    let kit = known(&minio);
    let source = kit.start::<S3>(config(&minio.url()));
    looked(&kit).await;
    minio.kill();
    let told = source.failure().await;
    assert!(
        told.contains("nothing listens at http://127.0.0.1:") || told.contains("can't be used"),
        "{told}"
    );
    minio.restart();
    minio.put_object("orders", "a", b"");
    assert_eq!(names(&kit, 1).await, ["a"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_is_no_event_and_what_came_while_nobody_looked_is() {
    let minio = server();
    let kit = known(&minio);
    minio.put_object("orders", "m", b"");
    let source = kit.start::<S3>(config(&minio.url()));
    looked(&kit).await;
    minio.put_object("orders", "z", b"");
    assert_eq!(names(&kit, 1).await, ["z"]);
    source.stop().await;
    // Before all others in the listing.
    minio.put_object("orders", "a", b"");
    let source = kit.start::<S3>(config(&minio.url()));
    assert_eq!(names(&kit, 2).await, ["z", "a"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_a_page_repeats_nothing() {
    let minio = server();
    let kit = known(&minio);
    (0..100).for_each(|number| minio.put_object("orders", &format!("{number:03}"), b"1"));
    let config = with(&emitting(&minio.url()), &json!({"content": true}));
    let source = kit.start::<S3>(config.clone());
    kit.events(1).await;
    source.stop().await;
    let stopped = kit.events_now().await.len();
    // What is remembered is what became an event: nothing relies on the bus to find repetitions.
    let cursor = kit.cursor(|_| true).await;
    let states = cursor["seen"].as_str().unwrap().trim_end_matches('=').len() * 3 / 4 / 12;
    assert_eq!(states, stopped);
    let source = kit.start::<S3>(config);
    kit.events(100).await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_object_is_another_event_and_a_removed_one_is_none() {
    let minio = server();
    let kit = known(&minio);
    let config = with(&emitting(&minio.url()), &json!({"content": true, "jsonBody": true}));
    let source = kit.start::<S3>(config);
    minio.put_object("orders", "a", b"{\"n\": 1}");
    kit.events(1).await;
    minio.put_object("orders", "a", b"{\"n\": 2}");
    kit.events(2).await;
    minio.delete_object("orders", "a");
    minio.put_object("orders", "b", b"{\"n\": 3}");
    let data = kit.data(3).await;
    let seen: Vec<_> = data.iter().map(|data| (data["key"].as_str().unwrap(), &data["body"]["n"])).collect();
    assert_eq!(seen, [("a", &json!(1)), ("a", &json!(2)), ("b", &json!(3))]);
    let ids: BTreeSet<_> = kit.events_now().await.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), 3);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_is_dead_lettered() {
    let minio = server();
    let kit = known(&minio);
    minio.put_object("orders", "a", b"no { json");
    minio.put_object("orders", "b", b"1");
    let source = kit.start::<S3>(with(&emitting(&minio.url()), &json!({"content": true, "jsonBody": true})));
    let dead = kit.dead(1).await;
    assert_eq!((dead[0].reason.as_str(), dead[0].raw.as_str()), ("unreadable", "bm8geyBqc29u"));
    assert!(dead[0].event_id.as_str().starts_with("orders/a/"), "{}", dead[0].event_id);
    assert_eq!(names(&kit, 1).await, ["b"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_goes_with_the_event() {
    let minio = server();
    let kit = known(&minio);
    minio.put_object("orders", "in/1.txt", b"hello");
    minio.put_object("orders", "in/2.txt", &[0; 1000]);
    minio.put_object("orders", "in/3.csv", b"");
    minio.put_object("orders", "out/4.txt", b"");
    let tags = b"<Tagging><TagSet><Tag><Key>team</Key><Value>ci</Value></Tag></TagSet></Tagging>";
    assert_eq!(minio.request("PUT", "/orders/in/1.txt?tagging=", tags).unwrap().status, 200);
    let members = json!({
        "filter": {"prefix": "in/", "suffix": ".txt"}, "content": true, "maxContentBytes": 100, "tags": true,
        "objectMetadata": true, "metadata": {"from": "minio"},
    });
    let source = kit.start::<S3>(with(&emitting(&minio.url()), &members));
    let data = kit.data(2).await;
    let bodies: Vec<_> = data.iter().map(|data| (&data["key"], &data["body"])).collect();
    assert_eq!(bodies, [(&json!("in/1.txt"), &json!("aGVsbG8=")), (&json!("in/2.txt"), &Value::Null)]);
    assert_eq!((&data[0]["tags"], &data[0]["metadata"]), (&json!({"team": "ci"}), &json!({"from": "minio"})));
    let object = &data[0]["notification"][0]["s3"]["object"];
    assert_eq!((&object["key"], &object["size"]), (&json!("in%2F1.txt"), &json!(5)));
    assert!(object["contentType"].as_str().is_some_and(|kind| kind.contains("octet-stream")), "{object}");
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_any_letters_come_through() {
    let minio = server();
    let kit = known(&minio);
    for encoded in ["a%20b", "%2B%26%25%3D", "%C3%A9%F0%9F%90%99", "%22%3C%3E"] {
        minio.put_object("orders", encoded, b"x");
    }
    let source = kit.start::<S3>(with(&emitting(&minio.url()), &json!({"content": true})));
    let found: BTreeSet<_> = names(&kit, 4).await.into_iter().collect();
    assert_eq!(found, BTreeSet::from(["a b", "+&%=", "é🐙", "\"<>"].map(str::to_owned)));
    assert!(kit.data(4).await.iter().all(|data| data["body"] == "eA=="));
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_told_until_it_is() {
    let minio = MinioServer::start();
    let kit = known(&minio);
    let source = kit.start::<S3>(emitting(&minio.url()));
    let told = source.failure().await;
    assert!(told.starts_with("bucket `orders` does not exist at http://127.0.0.1:"), "{told}");
    minio.create_bucket("orders");
    minio.put_object("orders", "a", b"");
    kit.events(1).await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified() {
    let certificates = Certificates::new();
    let minio = MinioServer::start_with(&Settings { tls: Tls::Server(&certificates), ..Settings::default() });
    minio.create_bucket("orders");
    minio.put_object("orders", "a", b"");
    let kit = known(&minio).with_secret("aws", "ca", &certificates.ca.certificate);
    let source = kit.start::<S3>(emitting(&minio.url()));
    let told = source.failure().await;
    assert!(
        told.contains("is signed by no CA that this system knows; name its CA with caCertificate"),
        "{told}"
    );
    source.stop().await;
    // As in `minio`, without a scheme.
    let config = with(&emitting(&minio.address()), &json!({"caCertificate": secret("ca")}));
    let source = kit.start::<S3>(config);
    kit.events(1).await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let minio = server();
    minio.put_object("orders", "a", b"");
    let kit = kit(minio.user(), "wrong-secret");
    let source = kit.start::<S3>(emitting(&minio.url()));
    let told = source.failure().await;
    assert!(told.contains("correct the secret key of secret `default/aws` key `secret`"), "{told}");
    kit.set_secret("aws", "secret", minio.password());
    kit.events(1).await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_told() {
    for (denied, expected) in [
        ("s3:ListBucket", "bucket `orders`, listing it (s3:ListBucket): "),
        ("s3:GetObject", "bucket `orders`, reading `a` (s3:GetObject): "),
    ] {
        let moto = MotoServer::start();
        for path in ["/orders", "/orders/a"] {
            assert_eq!(moto.request("s3", "PUT", path, &[], "").unwrap().status, 200);
        }
        let (access, password) = guard(&moto, denied);
        let kit = kit(&access, &password);
        let source = kit.start::<S3>(with(&emitting(&moto.url()), &json!({"content": true})));
        let told = source.failure().await;
        assert!(told.starts_with(expected), "{told}");
        assert!(told.contains("denies it to secret `default/aws` key `access`"), "{told}");
        assert!(kit.events_now().await.is_empty());
        source.stop().await;
    }
}

/// Puts objects with several hands.
fn put_many(minio: &MinioServer, keys: &[String]) {
    std::thread::scope(|scope| {
        for part in keys.chunks(keys.len().div_ceil(8)) {
            scope.spawn(move || part.iter().for_each(|key| minio.put_object("orders", key, b"")));
        }
    });
}

mod slow {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn thousands_of_keys_come_once_each_while_others_are_put() {
        const OBJECTS: usize = 2_500;
        let minio = server();
        let kit = known(&minio);
        // In another order than that of the listing.
        let keys: Vec<_> = (0..OBJECTS).map(|number| format!("{:05}", number * 7_919 % 100_000)).collect();
        put_many(&minio, &keys[..1_500]);
        // Fewer are remembered than are there.
        let config = with(&emitting(&minio.url()), &json!({"remembered": 2_000}));
        let source = kit.start::<S3>(config.clone());
        kit.events(300).await;
        source.kill();
        let source = kit.start::<S3>(config);
        tokio::task::block_in_place(|| put_many(&minio, &keys[1_500..]));
        let found: BTreeSet<_> = names(&kit, OBJECTS).await.into_iter().collect();
        assert_eq!(found, keys.iter().cloned().collect());
        assert_eq!(kit.events_now().await.len(), OBJECTS);
        let told = eventually("the limit to be told", async || source.status().trouble).await;
        assert!(told.starts_with("more than 2000 objects changed within an hour"), "{told}");
        source.stop().await;
    }
}
