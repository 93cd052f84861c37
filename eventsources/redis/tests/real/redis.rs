//! Channels.

use ::redis::Connection;
use eventsource_core::testkit::{self, Kit, Upstream, eventually};
use eventsource_redis::channels::Redis;
use serde_json::{Value, json};
use zetes_services::{Certificates, Proxy, RedisServer, Settings, Tls};

use crate::{client, said, secret, with};

fn config(address: &str) -> Value {
    json!({"hostAddress": address, "channels": ["orders", "returns"]})
}

/// Publishes, once somebody listens.
struct Channel(Connection);

impl Upstream for Channel {
    async fn send(&mut self, number: usize) {
        publish(&mut self.0, &number.to_string()).await;
    }

    fn number(&self, data: &Value) -> usize {
        data["body"].as_str().unwrap().parse().unwrap()
    }
}

async fn publish(connection: &mut Connection, payload: &str) {
    eventually("somebody to listen", async || {
        let listeners: u64 = ::redis::cmd("PUBLISH").arg("orders").arg(payload).query(connection).unwrap();
        (listeners > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_message_becomes_one_event() {
    let server = RedisServer::start();
    let mut channel = Channel(client(&server));
    testkit::every_message_becomes_one_event::<Redis>(&Kit::new(), &config(&server.address()), &mut channel)
        .await;
}

#[tokio::test]
async fn channels_are_told_apart_and_json_stands_as_it_is() {
    let server = RedisServer::start();
    let kit = Kit::new();
    let source = kit
        .start::<Redis>(with(&config(&server.address()), &json!({"jsonBody": true, "metadata": {"a": "b"}})));
    source.serving().await;
    let mut client = client(&server);
    said::<u64>(&mut client, r#"PUBLISH returns {"n":12345678901234567890}"#);
    said::<u64>(&mut client, "PUBLISH orders [1]");
    let texts: Vec<_> =
        kit.events(2).await.iter().map(|event| event.data_text().unwrap().to_owned()).collect();
    assert_eq!(
        texts,
        [
            r#"{"channel":"returns","pattern":"","body":{"n":12345678901234567890},"metadata":{"a":"b"}}"#,
            r#"{"channel":"orders","pattern":"","body":[1],"metadata":{"a":"b"}}"#,
        ]
    );
    source.stop().await;
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let mut server = RedisServer::start();
    let kit = Kit::new();
    let source = kit.start::<Redis>(config(&server.address()));
    source.serving().await;
    publish(&mut client(&server), "1").await;
    kit.events(1).await;
    server.kill();
    let told = source.failure().await;
    assert!(told.contains("closed the connection") || told.contains("nothing listens at"), "{told}");
    server.restart();
    source.serving().await;
    publish(&mut client(&server), "2").await;
    kit.events(2).await;
    source.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let server = RedisServer::start();
    let mut proxy = Proxy::to_port(server.port());
    proxy.cut();
    let source = Kit::new().start::<Redis>(config(&proxy.address().to_string()));
    let told = source.failure().await;
    assert_eq!(
        told,
        format!("nothing listens at {}; start the server, or correct hostAddress", proxy.address())
    );
    proxy.heal();
    source.serving().await;
    source.stop().await;
}

#[tokio::test]
async fn a_poison_message_is_dead_lettered() {
    let server = RedisServer::start();
    let kit = Kit::new();
    let source = kit.start::<Redis>(with(&config(&server.address()), &json!({"jsonBody": true})));
    source.serving().await;
    let mut client = client(&server);
    for payload in [&b"\xff\xfe"[..], b"7"] {
        ::redis::cmd("PUBLISH").arg("orders").arg(payload).exec(&mut client).unwrap();
    }
    assert_eq!(kit.data(1).await[0]["body"], 7);
    let dead = kit.dead(1).await;
    assert_eq!((dead[0].reason.as_str(), dead[0].raw.as_str()), ("unreadable", "//4="));
    assert!(dead[0].error.starts_with("`jsonBody` is set and the payload is no JSON"), "{}", dead[0].error);
    source.stop().await;
}

#[tokio::test]
async fn a_message_larger_than_the_bus_takes_is_dead_lettered() {
    let server = RedisServer::start();
    let kit = Kit::new();
    let source = kit.start::<Redis>(config(&server.address()));
    source.serving().await;
    let mut client = client(&server);
    let large = "x".repeat(3 << 20);
    ::redis::cmd("PUBLISH").arg("orders").arg(&large).exec(&mut client).unwrap();
    said::<u64>(&mut client, "PUBLISH orders small");
    assert_eq!(kit.data(1).await[0]["body"], "small");
    assert_eq!(kit.dead(1).await[0].reason, "too-large");
    source.stop().await;
}

#[tokio::test]
async fn tls_is_verified() {
    let certificates = Certificates::new();
    let server =
        RedisServer::start_with(&Settings { tls: Tls::Mutual(&certificates), ..Settings::default() });
    let kit = Kit::new()
        .with_secret("redis", "ca", &certificates.ca.certificate)
        .with_secret("redis", "wrong-ca", &certificates.wrong_ca.certificate)
        .with_secret("redis", "cert", &certificates.client.certificate)
        .with_secret("redis", "key", &certificates.client.key);
    let shown = json!({"caCertSecret": secret("ca"), "clientCertSecret": secret("cert"), "clientKeySecret": secret("key")});
    let source = kit.start::<Redis>(with(&config(&server.tls_address()), &json!({"tls": shown})));
    source.serving().await;
    publish(&mut client(&server), "1").await;
    kit.events(1).await;
    source.stop().await;

    let told = async |address: String, tls: Value| {
        let source = kit.start::<Redis>(with(&config(&address), &json!({"tls": tls})));
        let told = source.failure().await;
        source.stop().await;
        told
    };
    let mut wrong = shown.clone();
    wrong["caCertSecret"] = secret("wrong-ca");
    assert!(
        told(server.tls_address(), wrong)
            .await
            .contains("is not signed by the CA in secret `redis` key `wrong-ca`")
    );
    let without = told(server.tls_address(), json!({"caCertSecret": secret("ca")})).await;
    assert!(without.contains("wants a client certificate that it knows"), "{without}");
}

#[tokio::test]
async fn a_port_that_speaks_tls_is_told_to_who_does_not() {
    let certificates = Certificates::new();
    let server =
        RedisServer::start_with(&Settings { tls: Tls::Server(&certificates), ..Settings::default() });
    let source = Kit::new().start::<Redis>(config(&server.tls_address()));
    let told = source.failure().await;
    assert!(told.contains("when it speaks TLS and we do not"), "{told}");
    source.stop().await;
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let users = [("zetes", "s3cr3t")];
    let server = RedisServer::start_with(&Settings { users: &users, ..Settings::default() });
    let kit = Kit::new().with_secret("redis", "password", "wrong");
    let anonymous = kit.start::<Redis>(config(&server.address()));
    assert!(
        anonymous
            .failure()
            .await
            .contains("asks for a password; name the secret that holds it with password")
    );
    anonymous.stop().await;
    let login = json!({"username": "zetes", "password": secret("password"), "namespace": "default"});
    let source = kit.start::<Redis>(with(&config(&server.address()), &login));
    let told = source.failure().await;
    assert_eq!(
        told,
        format!(
            "{} refused the login of user `zetes`; correct username, or the password in secret `redis` key `password`",
            server.address()
        )
    );
    kit.set_secret("redis", "password", "s3cr3t");
    source.serving().await;
    source.stop().await;
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_told_and_one_that_is_given_back_serves() {
    let conf = "user limited on >limited resetchannels &orders &returns +@all";
    let server = RedisServer::start_with(&Settings { conf, ..Settings::default() });
    let kit = Kit::new().with_secret("redis", "password", "limited");
    let login = json!({"username": "limited", "password": secret("password"), "namespace": "default"});
    let source = kit.start::<Redis>(with(&config(&server.address()), &login));
    source.serving().await;
    let mut client = client(&server);
    said::<()>(&mut client, "ACL SETUSER limited resetchannels &orders");
    let lacks = eventually("the missing right to be told", async || {
        Some(source.failure().await).filter(|told| told.contains("lacks a right"))
    })
    .await;
    assert!(lacks.contains("user `limited` lacks a right") && lacks.contains("ACL SETUSER"), "{lacks}");
    said::<()>(&mut client, "ACL SETUSER limited resetchannels &orders &returns");
    source.serving().await;
    source.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_messages() {
    let server = RedisServer::start();
    let kit = Kit::new();
    let source = kit.start::<Redis>(config(&server.address()));
    source.serving().await;
    let begin = tokio::time::Instant::now();
    source.stop().await;
    assert!(begin.elapsed().as_secs() < 2, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn what_the_bus_refuses_is_told_and_what_comes_later_arrives() {
    let server = RedisServer::start();
    let kit = Kit::new();
    let source = kit.start::<Redis>(config(&server.address()));
    source.serving().await;
    kit.refuse();
    let mut client = client(&server);
    publish(&mut client, "lost").await;
    let told = source.failure().await;
    assert!(told.contains("the bus did not take the event"), "{told}");
    kit.take();
    source.serving().await;
    publish(&mut client, "next").await;
    assert_eq!(kit.data(1).await[0]["body"], "next");
    source.stop().await;
}

#[tokio::test]
async fn ten_thousand_messages_in_one_breath_are_ten_thousand_events() {
    let server = RedisServer::start();
    let kit = Kit::new();
    let source = kit.start::<Redis>(config(&server.address()));
    source.serving().await;
    let mut pipe = ::redis::pipe();
    for n in 0..10_000 {
        pipe.cmd("PUBLISH").arg("orders").arg(n).ignore();
    }
    pipe.exec(&mut client(&server)).unwrap();
    let bodies: Vec<_> = kit.data(10_000).await.iter().map(|data| data["body"].clone()).collect();
    assert_eq!(bodies, (0..10_000).map(|n| json!(n.to_string())).collect::<Vec<_>>());
    source.stop().await;
}

mod slow {
    use super::*;

    /// Redis waits for the end of a line, which a handshake has not.
    #[tokio::test]
    async fn a_port_without_tls_is_told_to_who_speaks_it() {
        let server = RedisServer::start();
        let source = Kit::new()
            .start::<Redis>(with(&config(&server.address()), &json!({"tls": {"insecureSkipVerify": true}})));
        let told = source.failure().await;
        assert!(told.contains("does not answer to TLS; name its TLS port, or remove tls"), "{told}");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_frozen_server_is_noticed() {
        let server = RedisServer::start();
        let kit = Kit::new();
        let source = kit.start::<Redis>(config(&server.address()));
        source.serving().await;
        server.pause();
        let told = source.failure().await;
        assert!(told.contains("does not answer"), "{told}");
        server.resume();
        source.serving().await;
        source.stop().await;
    }
}
