//! Streams.

use std::collections::BTreeSet;

use ::redis::Connection;
use eventsource_core::testkit::{self, Kit, Upstream, eventually};
use eventsource_redis::stream::RedisStream;
use serde_json::{Value, json};
use zetes_services::{Certificates, Proxy, RedisServer, Settings, Tls};

use crate::{client, said, secret, with};

/// A server with the stream `orders`, in which is one entry that nobody shall get.
fn server() -> (RedisServer, Connection) {
    let server = RedisServer::start();
    let mut client = client(&server);
    said::<String>(&mut client, "XADD orders * n before");
    (server, client)
}

fn config(address: &str) -> Value {
    json!({"hostAddress": address, "streams": ["orders"], "consumerGroup": "shop"})
}

struct Stream(Connection);

impl Upstream for Stream {
    async fn send(&mut self, number: usize) {
        said::<String>(&mut self.0, &format!("XADD orders * n {number}"));
    }

    fn number(&self, data: &Value) -> usize {
        data["values"]["n"].as_str().unwrap().parse().unwrap()
    }
}

/// How many entries were handed out and not acknowledged.
fn pending(client: &mut Connection) -> i64 {
    let (count, ..): (i64, ::redis::Value, ::redis::Value, ::redis::Value) =
        said(client, "XPENDING orders shop");
    count
}

async fn acknowledged(client: &mut Connection) {
    eventually("every entry to be acknowledged", async || (pending(client) == 0).then_some(())).await;
}

#[tokio::test]
async fn every_message_becomes_one_event() {
    let (server, client) = server();
    let mut stream = Stream(client);
    testkit::every_message_becomes_one_event::<RedisStream>(
        &Kit::new(),
        &config(&server.address()),
        &mut stream,
    )
    .await;
    assert_eq!(pending(&mut stream.0), 0);
}

#[tokio::test]
async fn a_crash_loses_nothing() {
    let (server, client) = server();
    let mut stream = Stream(client);
    testkit::a_crash_loses_nothing::<RedisStream>(&Kit::new(), &config(&server.address()), &mut stream).await;
    acknowledged(&mut stream.0).await;
}

#[tokio::test]
async fn what_another_process_of_ours_left_comes_first_with_the_entries_own_ids() {
    let (server, mut client) = server();
    said::<()>(&mut client, "XGROUP CREATE orders shop $");
    for n in 1..=30 {
        said::<String>(&mut client, &format!("XADD orders 999999999999{n:02}-1 n {n}"));
    }
    let handed: ::redis::Value =
        said(&mut client, "XREADGROUP GROUP shop argo-events-worker COUNT 25 STREAMS orders >");
    assert_ne!(handed, ::redis::Value::Nil);
    let kit = Kit::new();
    let source =
        kit.start::<RedisStream>(with(&config(&server.address()), &json!({"maxMsgCountPerRead": 4})));
    let events = kit.events(30).await;
    let ids: Vec<_> = events.iter().map(|event| event.id.to_string()).collect();
    let expected: Vec<_> = (1..=30).map(|n| format!("orders/999999999999{n:02}-1")).collect();
    assert_eq!(ids, expected);
    acknowledged(&mut client).await;
    source.stop().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_bus_refuses() {
    let (server, mut client) = server();
    let kit = Kit::new();
    let source = kit.start::<RedisStream>(config(&server.address()));
    source.serving().await;
    kit.refuse();
    for n in 0..5 {
        said::<String>(&mut client, &format!("XADD orders * n {n}"));
    }
    assert!(source.failure().await.contains("the bus did not take the event"));
    assert!(pending(&mut client) > 0);
    kit.take();
    kit.events(5).await;
    acknowledged(&mut client).await;
    assert_eq!(kit.events_now().await.len(), 5);
    source.stop().await;
}

#[tokio::test]
async fn several_streams_are_read_by_one_consumer() {
    let (server, mut client) = server();
    said::<String>(&mut client, "XADD returns * n before");
    let kit = Kit::new();
    let streams = json!({"streams": ["returns", "orders"], "metadata": {"team": "shop"}});
    let source = kit.start::<RedisStream>(with(&config(&server.address()), &streams));
    source.serving().await;
    let returned: String = said(&mut client, "XADD returns * sku a1");
    let ordered: String = said(&mut client, "XADD orders * sku b2");
    let found: BTreeSet<String> =
        kit.events(2).await.iter().map(|event| event.data_text().unwrap().to_owned()).collect();
    let data = |stream: &str, id: &str, sku: &str| {
        format!(
            r#"{{"stream":"{stream}","message_id":"{id}","values":{{"sku":"{sku}"}},"metadata":{{"team":"shop"}}}}"#
        )
    };
    assert_eq!(found, BTreeSet::from([data("returns", &returned, "a1"), data("orders", &ordered, "b2")]));
    source.stop().await;
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let (mut server, _) = server();
    let kit = Kit::new();
    let source = kit.start::<RedisStream>(config(&server.address()));
    source.serving().await;
    // It waits in XREADGROUP.
    server.kill();
    let told = source.failure().await;
    assert!(told.contains("closed the connection") || told.contains("nothing listens at"), "{told}");
    server.restart();
    let mut client = client(&server);
    said::<String>(&mut client, "XADD orders * n 1");
    source.serving().await;
    said::<String>(&mut client, "XADD orders * n 2");
    let data = kit.data(2).await;
    assert_eq!([&data[0]["values"]["n"], &data[1]["values"]["n"]], ["1", "2"]);
    acknowledged(&mut client).await;
    source.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_told_and_waited_for() {
    let server = RedisServer::start();
    let kit = Kit::new();
    let source = kit.start::<RedisStream>(config(&server.address()));
    let told = source.failure().await;
    assert_eq!(
        told,
        format!("{} has no stream `orders`; make it (XADD), or correct streams and db", server.address())
    );
    let mut client = client(&server);
    said::<()>(&mut client, "XGROUP CREATE orders other $ MKSTREAM");
    source.serving().await;
    said::<String>(&mut client, "XADD orders * n 1");
    kit.events(1).await;
    source.stop().await;
}

#[tokio::test]
async fn another_kind_of_key_is_told() {
    let server = RedisServer::start();
    said::<()>(&mut client(&server), "SET orders 1");
    let source = Kit::new().start::<RedisStream>(config(&server.address()));
    let told = source.failure().await;
    assert!(told.contains("`orders` of") && told.contains("is no stream but another kind of key"), "{told}");
    source.stop().await;
}

#[tokio::test]
async fn a_server_that_lost_its_data_is_read_on_and_it_is_told() {
    let (server, mut client) = server();
    let kit = Kit::new();
    let source = kit.start::<RedisStream>(config(&server.address()));
    source.serving().await;
    said::<String>(&mut client, "XADD orders * n 1");
    kit.events(1).await;
    acknowledged(&mut client).await;
    said::<()>(&mut client, "FLUSHALL");
    // Before the group is made anew.
    said::<String>(&mut client, "XADD orders * n 2");
    let told = source.trouble().await;
    assert!(told.contains("the group `shop` was gone from `orders`"), "{told}");
    said::<String>(&mut client, "XADD orders * n 3");
    let numbers: Vec<_> = kit.data(3).await.iter().map(|data| data["values"]["n"].clone()).collect();
    assert_eq!(numbers, ["1", "2", "3"]);
    source.stop().await;

    // While nothing of ours ran; the new stream counts from the beginning.
    said::<()>(&mut client, "FLUSHALL");
    said::<String>(&mut client, "XADD orders 1-1 n 4");
    let source = kit.start::<RedisStream>(config(&server.address()));
    assert_eq!(kit.data(4).await[3]["values"]["n"], "4");
    source.stop().await;
    // And once more before anything was read.
    for _ in 0..2 {
        said::<()>(&mut client, "FLUSHALL");
        let source = kit.start::<RedisStream>(config(&server.address()));
        source.serving().await;
        source.stop().await;
    }
    said::<()>(&mut client, "FLUSHALL");
    let source = kit.start::<RedisStream>(config(&server.address()));
    source.serving().await;
    said::<String>(&mut client, "XADD orders 1-1 n 4");
    said::<String>(&mut client, "XADD orders 1-2 n 5");
    assert_eq!(kit.data(5).await[4]["values"]["n"], "5", "1-1 has the id of an event that the bus has");
    source.stop().await;
}

#[tokio::test]
async fn a_group_that_somebody_removed_is_made_where_it_was() {
    let (server, mut client) = server();
    let kit = Kit::new();
    let source = kit.start::<RedisStream>(config(&server.address()));
    source.serving().await;
    said::<u64>(&mut client, "XGROUP DESTROY orders shop");
    said::<String>(&mut client, "XADD orders * n 1");
    assert_eq!(kit.data(1).await[0]["values"]["n"], "1", "and not the entry from before we came");
    assert!(source.trouble().await.contains("was gone"));
    source.stop().await;
}

#[tokio::test]
async fn a_poison_message_is_dead_lettered() {
    let (server, mut client) = server();
    said::<()>(&mut client, "XGROUP CREATE orders shop $");
    let id: String = said(&mut client, "XADD orders * n 1");
    let _: ::redis::Value = said(&mut client, "XREADGROUP GROUP shop argo-events-worker STREAMS orders >");
    // An entry whose values are gone is all that a stream can bring that is no event.
    said::<u64>(&mut client, &format!("XDEL orders {id}"));
    said::<String>(&mut client, "XADD orders * n 2");
    let kit = Kit::new();
    let source = kit.start::<RedisStream>(config(&server.address()));
    assert_eq!(kit.data(1).await[0]["values"]["n"], "2");
    let dead = kit.dead(1).await;
    assert_eq!(
        (dead[0].reason.as_str(), dead[0].event_id.to_string()),
        ("unreadable", format!("orders/{id}"))
    );
    acknowledged(&mut client).await;
    source.stop().await;
}

#[tokio::test]
async fn an_entry_larger_than_the_bus_takes_is_dead_lettered() {
    let (server, mut client) = server();
    let kit = Kit::new();
    let source = kit.start::<RedisStream>(config(&server.address()));
    source.serving().await;
    let large = "x".repeat(3 << 20);
    let id: String = ::redis::cmd("XADD").arg(&["orders", "*", "n", &large]).query(&mut client).unwrap();
    said::<String>(&mut client, "XADD orders * n small");
    assert_eq!(kit.data(1).await[0]["values"]["n"], "small");
    let dead = kit.dead(1).await;
    assert_eq!(
        (dead[0].reason.as_str(), dead[0].event_id.to_string()),
        ("too-large", format!("orders/{id}"))
    );
    acknowledged(&mut client).await;
    source.stop().await;
}

#[tokio::test]
async fn values_that_are_no_text_keep_their_place() {
    let (server, mut client) = server();
    let kit = Kit::new();
    let source = kit.start::<RedisStream>(config(&server.address()));
    source.serving().await;
    ::redis::cmd("XADD").arg("orders").arg("*").arg(b"n\xff").arg(b"\xfe1\0").exec(&mut client).unwrap();
    assert_eq!(kit.data(1).await[0]["values"], json!({"n\u{fffd}": "\u{fffd}1\0"}));
    source.stop().await;
}

#[tokio::test]
async fn a_stop_finishes_the_batch_in_hand() {
    let (server, mut client) = server();
    let kit = Kit::new();
    let source =
        kit.start::<RedisStream>(with(&config(&server.address()), &json!({"maxMsgCountPerRead": 100})));
    source.serving().await;
    for n in 0..500 {
        said::<String>(&mut client, &format!("XADD orders * n {n}"));
    }
    kit.events(1).await;
    let begin = tokio::time::Instant::now();
    source.stop().await;
    assert!(begin.elapsed().as_secs() < 2, "{:?}", begin.elapsed());
    let source = kit.start::<RedisStream>(config(&server.address()));
    kit.events(500).await;
    acknowledged(&mut client).await;
    assert_eq!(kit.events_now().await.len(), 500);
    source.stop().await;
}

#[tokio::test]
async fn tls_is_verified() {
    let certificates = Certificates::new();
    let server =
        RedisServer::start_with(&Settings { tls: Tls::Mutual(&certificates), ..Settings::default() });
    let mut client = client(&server);
    said::<String>(&mut client, "XADD orders * n before");
    let kit = Kit::new()
        .with_secret("redis", "ca", &certificates.ca.certificate)
        .with_secret("redis", "wrong-ca", &certificates.wrong_ca.certificate)
        .with_secret("redis", "cert", &certificates.client.certificate)
        .with_secret("redis", "key", &certificates.client.key);
    let tls = json!({"caCertSecret": secret("ca"), "clientCertSecret": secret("cert"), "clientKeySecret": secret("key")});
    let mut wrong = tls.clone();
    wrong["caCertSecret"] = secret("wrong-ca");
    let source = kit.start::<RedisStream>(with(&config(&server.tls_address()), &json!({"tls": wrong})));
    let told = source.failure().await;
    assert!(told.contains("is not signed by the CA in secret `redis` key `wrong-ca`"), "{told}");
    source.stop().await;
    let source = kit.start::<RedisStream>(with(&config(&server.tls_address()), &json!({"tls": tls})));
    source.serving().await;
    said::<String>(&mut client, "XADD orders * n 1");
    kit.events(1).await;
    source.stop().await;
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let server = RedisServer::start_with(&Settings {
        // What a user of the reference has: no more than the three commands that it needs.
        conf: "user limited on >limited ~orders +ping +xgroup|create +xreadgroup +xack\nuser poor on >limited ~orders +ping",
        ..Settings::default()
    });
    let mut client = client(&server);
    said::<String>(&mut client, "XADD orders * n before");
    let kit = Kit::new().with_secret("redis", "password", "wrong");
    let login = |name: &str| {
        with(&config(&server.address()), &json!({"username": name, "password": secret("password")}))
    };
    let source = kit.start::<RedisStream>(login("limited"));
    assert!(
        source
            .failure()
            .await
            .contains("refused the login of user `limited`; correct username, or the password in")
    );
    kit.set_secret("redis", "password", "limited");
    source.serving().await;
    said::<String>(&mut client, "XADD orders * n 1");
    kit.events(1).await;
    let poor = kit.start::<RedisStream>(login("poor"));
    let told = poor.failure().await;
    assert!(
        told.contains("user `poor` lacks a right (") && told.contains("grant it with ACL SETUSER"),
        "{told}"
    );
    poor.stop().await;
    // The password is changed under it, and it is thrown out.
    said::<()>(&mut client, "ACL SETUSER limited resetpass >other");
    said::<u64>(&mut client, "CLIENT KILL USER limited");
    eventually("the old password to be refused", async || {
        source.failure().await.contains("refused the login").then_some(())
    })
    .await;
    kit.set_secret("redis", "password", "other");
    source.serving().await;
    source.stop().await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told() {
    let (server, _) = server();
    let source = Kit::new().start::<RedisStream>(with(&config(&server.address()), &json!({"db": 99})));
    let told = source.failure().await;
    assert!(told.contains("99"), "{told}");
    source.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let (server, _) = server();
    let mut proxy = Proxy::to_port(server.port());
    proxy.cut();
    let source = Kit::new().start::<RedisStream>(config(&proxy.address().to_string()));
    let told = source.failure().await;
    assert_eq!(
        told,
        format!("nothing listens at {}; start the server, or correct hostAddress", proxy.address())
    );
    proxy.heal();
    source.serving().await;
    source.stop().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn a_frozen_server_is_noticed() {
        let (server, mut client) = server();
        let kit = Kit::new();
        let source = kit.start::<RedisStream>(config(&server.address()));
        source.serving().await;
        server.pause();
        let told = source.failure().await;
        assert!(told.contains("does not answer"), "{told}");
        server.resume();
        source.serving().await;
        said::<String>(&mut client, "XADD orders * n 1");
        kit.events(1).await;
        source.stop().await;
    }
}
