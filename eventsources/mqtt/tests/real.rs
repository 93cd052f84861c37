//! Against Mosquitto 2.

#![expect(clippy::unwrap_used, reason = "tests fail by panics")]

mod sender;

mod mqtt {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use eventsource_core::testkit::{self, Kit, Upstream as _, eventually};
    use eventsource_mqtt::Mqtt;
    use rumqttc::{AsyncClient, MqttOptions};
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::Instant;
    use zetes_services::{Certificates, MosquittoServer, Proxy, Settings, Tls, free_port};

    use crate::sender::{Orders, number};

    fn secret(key: &str) -> Value {
        json!({"name": "broker", "key": key})
    }

    fn orders(url: &str) -> Value {
        json!({"url": url, "topic": "orders/#", "clientId": "zetes", "jsonBody": true})
    }

    /// Nothing is lost.
    fn kept(url: &str, qos: u8) -> Value {
        with(with(orders(url), "qos", json!(qos)), "cleanSession", json!(false))
    }

    fn with(mut config: Value, key: &str, value: Value) -> Value {
        config[key] = value;
        config
    }

    async fn numbers(kit: &Kit) -> BTreeSet<usize> {
        kit.data(0).await.iter().map(number).collect()
    }

    #[tokio::test]
    async fn every_message_becomes_one_event() {
        for qos in [0, 1, 2] {
            let broker = MosquittoServer::start();
            let config = with(orders(&broker.url()), "qos", json!(qos));
            let mut upstream = Orders::to(broker.port());
            testkit::every_message_becomes_one_event::<Mqtt>(&Kit::new(), &config, &mut upstream).await;
        }
    }

    #[tokio::test]
    async fn a_message_has_its_own_topic_and_its_number() {
        let broker = MosquittoServer::start();
        let kit = Kit::new();
        let source =
            kit.start::<Mqtt>(json!({"url": broker.url(), "topic": "orders/+/paid", "clientId": "zetes"}));
        source.serving().await;
        let mut sender = Orders::to(broker.port());
        sender.publish("orders/a1/open", "not asked for").await;
        sender.publish("orders/a1/paid", "hi").await;
        let expected = json!({"topic": "orders/a1/paid", "messageId": 0, "body": STANDARD.encode("hi")});
        assert_eq!(kit.data(1).await, [expected]);
        source.stop().await;
    }

    #[tokio::test]
    async fn a_restarted_server_is_found_again() {
        let mut broker = MosquittoServer::start();
        let kit = Kit::new();
        let source = kit.start::<Mqtt>(orders(&broker.url()));
        source.serving().await;
        Orders::to(broker.port()).send(1).await;
        kit.events(1).await;
        broker.kill();
        let told = source.failure().await;
        assert!(told.contains(&broker.url()), "{told}");
        broker.restart();
        source.serving().await;
        // Subscribed again, though the broker knows nothing of before.
        Orders::to(broker.port()).send(2).await;
        kit.events(2).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_and_waited_for() {
        let mut broker = MosquittoServer::start();
        broker.kill();
        let source = Kit::new().start::<Mqtt>(orders(&broker.url()));
        let told = source.failure().await;
        let expected =
            format!("nothing listens at {}; start the server, or correct the address", broker.url());
        assert_eq!(told, expected);
        broker.restart();
        source.serving().await;
        source.stop().await;
    }

    /// What came while the bus refused, or was in hand at a kill, comes again; as a second event where its first one was durable.
    async fn a_crash_loses_nothing_of(qos: u8) {
        const MESSAGES: usize = 40;
        let broker = MosquittoServer::start();
        let (kit, config) = (Kit::new(), kept(&broker.url(), qos));
        let source = kit.start::<Mqtt>(config.clone());
        source.serving().await;
        let mut sender = Orders::to(broker.port());
        for number in 0..20 {
            sender.send(number).await;
        }
        kit.events(20).await;
        kit.refuse();
        for number in 20..MESSAGES {
            sender.send(number).await;
        }
        eventually("the bus to have refused", async || (kit.refusals() > 0).then_some(())).await;
        source.kill();
        kit.take();
        let source = kit.start::<Mqtt>(config.clone());
        kit.events(21).await;
        source.kill();
        let source = kit.start::<Mqtt>(config);
        let expected: BTreeSet<usize> = (0..MESSAGES).collect();
        eventually("every message to be on the bus", async || {
            (numbers(&kit).await == expected).then_some(())
        })
        .await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_crash_loses_nothing() {
        a_crash_loses_nothing_of(1).await;
        a_crash_loses_nothing_of(2).await;
    }

    #[tokio::test]
    async fn what_comes_while_nothing_runs_is_kept_until_the_event_is_removed() {
        let broker = MosquittoServer::start();
        let (kit, config) = (Kit::new(), kept(&broker.url(), 1));
        let source = kit.start::<Mqtt>(config.clone());
        source.serving().await;
        source.stop().await;
        let mut sender = Orders::to(broker.port());
        sender.send(1).await;
        let source = kit.start::<Mqtt>(config.clone());
        kit.events(1).await;
        source.retire().await;
        sender.send(2).await;
        let source = kit.start::<Mqtt>(config);
        source.serving().await;
        sender.send(3).await;
        kit.events(2).await;
        assert_eq!(numbers(&kit).await, BTreeSet::from([1, 3]));
        source.stop().await;
    }

    #[tokio::test]
    async fn a_stop_acknowledges_what_is_durable() {
        let broker = MosquittoServer::start();
        let (kit, config) = (Kit::new(), kept(&broker.url(), 1));
        for run in 0..5 {
            let source = kit.start::<Mqtt>(config.clone());
            source.serving().await;
            Orders::to(broker.port()).send(run).await;
            kit.events(run + 1).await;
            source.stop().await;
        }
        assert_eq!(kit.events_now().await.len(), 5, "none came again");
    }

    #[tokio::test]
    async fn a_broker_that_restarts_under_load_loses_nothing() {
        let mut broker = MosquittoServer::start();
        let kit = Kit::new();
        let source = kit.start::<Mqtt>(kept(&broker.url(), 1));
        source.serving().await;
        for round in 0..3 {
            let mut sender = Orders::to(broker.port());
            for number in 0..200 {
                sender.send(round * 200 + number).await;
            }
            // It saves with each change, at a stop too.
            broker.stop();
            broker.restart();
        }
        let expected: BTreeSet<usize> = (0..600).collect();
        eventually("every message to be on the bus", async || {
            (numbers(&kit).await == expected).then_some(())
        })
        .await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_poison_message_is_dead_lettered() {
        let broker = MosquittoServer::start();
        let (kit, config) = (Kit::new(), kept(&broker.url(), 1));
        let source = kit.start::<Mqtt>(config.clone());
        source.serving().await;
        let mut sender = Orders::to(broker.port());
        sender.publish("orders/new", "{\"n\":").await;
        sender.send(2).await;
        kit.events(1).await;
        let dead = kit.dead(1).await;
        assert_eq!((dead.len(), &dead[0].raw), (1, &STANDARD.encode("{\"n\":")));
        source.stop().await;
        // It was acknowledged, so it does not come again.
        let source = kit.start::<Mqtt>(config);
        source.serving().await;
        sender.send(3).await;
        kit.events(2).await;
        assert_eq!(kit.dead(1).await.len(), 1);
        source.stop().await;
    }

    #[tokio::test]
    async fn a_message_that_the_bus_can_not_hold_is_dead_lettered() {
        let broker = MosquittoServer::start();
        let kit = Kit::new();
        let source = kit.start::<Mqtt>(with(kept(&broker.url(), 1), "jsonBody", json!(false)));
        source.serving().await;
        let mut sender = Orders::to(broker.port());
        sender.publish("orders/new", vec![b'x'; 7_000_000]).await;
        sender.publish("orders/new", "small").await;
        kit.events(1).await;
        assert_eq!(kit.dead(1).await[0].reason, "too-large");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_bus_that_refuses_is_told_and_nothing_is_acknowledged() {
        let broker = MosquittoServer::start();
        let kit = Kit::new();
        let source = kit.start::<Mqtt>(kept(&broker.url(), 1));
        source.serving().await;
        kit.refuse();
        Orders::to(broker.port()).send(1).await;
        let told = source.failure().await;
        assert!(told.contains("the bus"), "{told}");
        kit.take();
        kit.events(1).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn tls_is_verified() {
        let certificates = Certificates::new();
        let broker =
            MosquittoServer::start_with(&Settings { tls: Tls::Server(&certificates), ..Settings::default() });
        let kit = Kit::new().with_secret("broker", "ca", &certificates.wrong_ca.certificate);
        let config = with(orders(&broker.tls_url()), "tls", json!({"caCertSecret": secret("ca")}));
        let source = kit.start::<Mqtt>(config);
        let told = source.failure().await;
        assert!(told.contains("is not signed by the CA in secret `default/broker` key `ca`"), "{told}");
        kit.set_secret("broker", "ca", &certificates.ca.certificate);
        source.serving().await;
        Orders::to(broker.port()).send(1).await;
        kit.events(1).await;
        source.stop().await;
        let unknown = kit.start::<Mqtt>(orders(&broker.tls_url()));
        let told = unknown.failure().await;
        assert!(told.contains("is signed by no CA that this system knows"), "{told}");
        unknown.stop().await;
        let anything =
            kit.start::<Mqtt>(with(orders(&broker.tls_url()), "tls", json!({"insecureSkipVerify": true})));
        anything.serving().await;
        anything.stop().await;
    }

    #[tokio::test]
    async fn a_client_certificate_is_shown_where_it_is_asked_for() {
        let certificates = Certificates::new();
        let broker =
            MosquittoServer::start_with(&Settings { tls: Tls::Mutual(&certificates), ..Settings::default() });
        let kit = Kit::new()
            .with_secret("broker", "ca", &certificates.ca.certificate)
            .with_secret("broker", "cert", &certificates.client.certificate)
            .with_secret("broker", "key", &certificates.client.key);
        let tls = json!({"caCertSecret": secret("ca")});
        let source = kit.start::<Mqtt>(with(orders(&broker.tls_url()), "tls", tls.clone()));
        let told = source.failure().await;
        assert!(told.contains("wants a client certificate"), "{told}");
        source.stop().await;
        let tls = with(with(tls, "clientCertSecret", secret("cert")), "clientKeySecret", secret("key"));
        let source = kit.start::<Mqtt>(with(orders(&broker.tls_url()), "tls", tls));
        source.serving().await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_port_without_tls_is_told() {
        let broker = MosquittoServer::start();
        let source = Kit::new().start::<Mqtt>(orders(&broker.url().replace("mqtt://", "ssl://")));
        let told = source.failure().await;
        assert!(told.contains("TLS"), "{told}");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_wrong_login_is_told_and_a_right_one_serves() {
        let broker =
            MosquittoServer::start_with(&Settings { users: &[("u", "right")], ..Settings::default() });
        let kit = Kit::new().with_secret("broker", "user", "u").with_secret("broker", "password", "wrong");
        let auth = json!({"username": secret("user"), "password": secret("password")});
        let source = kit.start::<Mqtt>(with(orders(&broker.url()), "auth", auth));
        let expected = format!(
            "{} refused the login; correct the user name or the password in secret `default/broker` key `user` and secret \
             `default/broker` key `password`",
            broker.url()
        );
        assert_eq!(source.failure().await, expected);
        kit.set_secret("broker", "password", "right");
        source.serving().await;
        source.stop().await;
        let nobody = kit.start::<Mqtt>(orders(&broker.url()));
        assert!(nobody.failure().await.ends_with("name the secrets of one that it knows with auth"));
        nobody.stop().await;
        let in_url = kit.start::<Mqtt>(orders(&broker.url().replace("mqtt://", "mqtt://u:right@")));
        in_url.serving().await;
        in_url.stop().await;
    }

    /// Mosquitto accepts each subscription, so this answers as a broker that does not: CONNACK, then SUBACK with a failure.
    #[tokio::test]
    async fn a_topic_that_is_not_permitted_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("tcp://{}", listener.local_addr().unwrap());
        let broker = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut packet = [0; 1_024];
            for answer in [&[0x20, 2, 0, 0][..], &[0x90, 3, 0, 1, 0x80]] {
                assert_ne!(stream.read(&mut packet).await.unwrap(), 0);
                stream.write_all(answer).await.unwrap();
            }
            stream
        };
        let source = Kit::new().start::<Mqtt>(orders(&url));
        let (_stream, told) = tokio::join!(broker, source.failure());
        let expected = format!(
            "{url} does not let the client subscribe to `orders/#`; allow it in the broker's access list"
        );
        assert_eq!(told, expected);
        source.stop().await;
    }

    #[tokio::test]
    async fn a_lower_quality_than_asked_for_is_told() {
        let broker = MosquittoServer::start_with(&Settings { conf: "max_qos 0", ..Settings::default() });
        let source = Kit::new().start::<Mqtt>(with(orders(&broker.url()), "qos", json!(1)));
        let told = source.trouble().await;
        assert!(told.contains("with qos 0 only"), "{told}");
        source.stop().await;
    }

    #[tokio::test]
    async fn websockets_carry_it() {
        let port = free_port();
        let conf = format!("listener {port} 127.0.0.1\nprotocol websockets");
        let broker = MosquittoServer::start_with(&Settings { conf: &conf, ..Settings::default() });
        let kit = Kit::new();
        let source = kit.start::<Mqtt>(orders(&format!("ws://127.0.0.1:{port}/mqtt")));
        source.serving().await;
        Orders::to(broker.port()).send(1).await;
        kit.events(1).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_second_client_of_the_same_name_is_told() {
        let broker = MosquittoServer::start();
        let kit = Kit::new();
        let source = kit.start::<Mqtt>(orders(&broker.url()));
        source.serving().await;
        let (_client, mut events) =
            AsyncClient::builder(MqttOptions::new("zetes", ("127.0.0.1", broker.port()))).build();
        events.poll().await.unwrap();
        let told = source.failure().await;
        assert!(told.ends_with("another client has the id `zetes`"), "{told}");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_connection_that_is_cut_is_told_and_made_anew() {
        let broker = MosquittoServer::start();
        let mut proxy = Proxy::to_port(broker.port());
        let kit = Kit::new();
        let url = format!("tcp://{}", proxy.address());
        let source = kit.start::<Mqtt>(orders(&url));
        source.serving().await;
        proxy.cut();
        let told = source.failure().await;
        assert!(told.contains(&url), "{told}");
        proxy.heal();
        source.serving().await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_broker_that_is_frozen_is_noticed() {
        let mut broker = MosquittoServer::start();
        let kit = Kit::new();
        let source = kit.start::<Mqtt>(with(orders(&broker.url()), "keepAlive", json!("1s")));
        source.serving().await;
        broker.pause();
        let begin = Instant::now();
        let told = source.failure().await;
        assert!(told.contains("does not answer"), "{told}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        broker.restart();
        source.serving().await;
        source.stop().await;
    }
}
