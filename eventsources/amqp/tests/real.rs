//! Against RabbitMQ 3.10.

#![expect(clippy::unwrap_used, reason = "tests fail by panics")]

mod rabbit;

mod amqp {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicU64, Ordering};

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use eventsource_amqp::Amqp;
    use eventsource_core::testkit::{self, Kit, Upstream as _, eventually};
    use lapin::BasicProperties;
    use serde_json::{Value, json};
    use zetes_services::{Certificates, Proxy, RabbitServer, Settings, Tls};

    use crate::rabbit::{Orders, number, shared};

    fn secret(key: &str) -> Value {
        json!({"name": "broker", "key": key})
    }

    fn with(mut config: Value, key: &str, value: Value) -> Value {
        config[key] = value;
        config
    }

    /// A queue of a test's own.
    fn name() -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        format!("q{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// A durable queue, bound to an exchange of the same name.
    fn orders(url: &str, name: &str) -> Value {
        json!({
            "url": url, "exchangeName": name, "exchangeType": "topic", "routingKey": "orders.#", "jsonBody": true,
            "queueDeclare": {"name": name, "durable": true}, "exchangeDeclare": {"durable": true},
        })
    }

    async fn numbers(kit: &Kit) -> BTreeSet<usize> {
        kit.data(0).await.iter().map(number).collect()
    }

    /// An upstream that is connected once the exchange is there.
    async fn declared(kit: &Kit, config: &Value, url: &str, name: &str) -> Orders {
        let source = kit.start::<Amqp>(config.clone());
        source.serving().await;
        source.stop().await;
        Orders::to(url, name).await
    }

    #[tokio::test]
    async fn every_message_becomes_one_event() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let config = orders(&url, &name);
        let mut upstream = declared(&kit, &config, &url, &name).await;
        testkit::every_message_becomes_one_event::<Amqp>(&kit, &config, &mut upstream).await;
    }

    #[tokio::test]
    async fn a_message_has_its_properties_and_its_id() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let source = kit.start::<Amqp>(with(orders(&url, &name), "jsonBody", json!(false)));
        source.serving().await;
        let properties = BasicProperties::default()
            .with_message_id("m1".into())
            .with_content_type("text/plain".into())
            .with_timestamp(1_767_304_923);
        Orders::to(&url, &name).await.publish(b"hi", properties).await;
        let events = kit.events(1).await;
        assert_eq!(events[0].id.as_str(), "m1");
        let data = &kit.data(1).await[0];
        let expected = json!({
            "contentType": "text/plain", "contentEncoding": "", "deliveryMode": 2, "priority": 0, "correlationId": "",
            "replyTo": "", "expiration": "", "messageId": "m1", "timestamp": "2026-01-01 22:02:03 +0000 UTC", "type": "",
            "appId": "", "exchange": name, "routingKey": "orders.new", "body": STANDARD.encode("hi"),
        });
        assert_eq!(*data, expected);
        source.stop().await;
    }

    #[tokio::test]
    async fn a_crash_loses_nothing() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let config = orders(&url, &name);
        let mut upstream = declared(&kit, &config, &url, &name).await;
        testkit::a_crash_loses_nothing::<Amqp>(&kit, &config, &mut upstream).await;
    }

    #[tokio::test]
    async fn messages_without_an_id_come_again_after_a_crash() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let config = orders(&url, &name);
        let source = kit.start::<Amqp>(config.clone());
        source.serving().await;
        let upstream = Orders::to(&url, &name).await;
        kit.refuse();
        for number in 0..20 {
            upstream.send_anonymous(number).await;
        }
        eventually("the bus to have refused", async || (kit.refusals() > 0).then_some(())).await;
        source.kill();
        kit.take();
        let source = kit.start::<Amqp>(config);
        let expected: BTreeSet<usize> = (0..20).collect();
        eventually("every message to be on the bus", async || {
            (numbers(&kit).await == expected).then_some(())
        })
        .await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_bus_that_refuses_is_told_and_nothing_is_acknowledged() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let source = kit.start::<Amqp>(orders(&url, &name));
        source.serving().await;
        let mut upstream = Orders::to(&url, &name).await;
        kit.refuse();
        upstream.send(1).await;
        let told = source.failure().await;
        assert!(told.contains("the bus"), "{told}");
        source.stop().await;
        eventually("the message to be back", async || (upstream.waiting(&name).await == 1).then_some(()))
            .await;
    }

    #[tokio::test]
    async fn auto_ack_that_is_written_out_counts_a_message_as_received_before_it_is_durable() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let config = with(orders(&url, &name), "consume", json!({"autoAck": true}));
        let source = kit.start::<Amqp>(config.clone());
        source.serving().await;
        let mut upstream = Orders::to(&url, &name).await;
        kit.refuse();
        upstream.send(1).await;
        source.failure().await;
        source.stop().await;
        kit.take();
        let source = kit.start::<Amqp>(config);
        source.serving().await;
        upstream.send(2).await;
        kit.events(1).await;
        assert_eq!(numbers(&kit).await, BTreeSet::from([2]), "the first one is lost, as asked for");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_poison_message_is_dead_lettered() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let source = kit.start::<Amqp>(orders(&url, &name));
        source.serving().await;
        let mut upstream = Orders::to(&url, &name).await;
        upstream.publish(b"{\"n\":", BasicProperties::default().with_message_id("poison".into())).await;
        upstream.send(2).await;
        kit.events(1).await;
        let dead = kit.dead(1).await;
        assert_eq!((dead.len(), &dead[0].raw), (1, &STANDARD.encode("{\"n\":")));
        assert_eq!(dead[0].event_id.as_str(), "poison");
        source.stop().await;
        assert_eq!(upstream.waiting(&name).await, 0, "it was acknowledged");
    }

    #[tokio::test]
    async fn a_message_that_the_bus_can_not_hold_is_dead_lettered() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let source = kit.start::<Amqp>(with(orders(&url, &name), "jsonBody", json!(false)));
        source.serving().await;
        let upstream = Orders::to(&url, &name).await;
        upstream.publish(&vec![b'x'; 7_000_000], BasicProperties::default()).await;
        upstream.publish(b"small", BasicProperties::default()).await;
        kit.events(1).await;
        assert_eq!(kit.dead(1).await[0].reason, "too-large");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_queue_is_shared_by_two() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let (first, second) =
            (kit.start::<Amqp>(orders(&url, &name)), kit.start::<Amqp>(orders(&url, &name)));
        first.serving().await;
        second.serving().await;
        let mut upstream = Orders::to(&url, &name).await;
        for number in 0..100 {
            upstream.send(number).await;
        }
        assert_eq!(kit.events(100).await.len(), 100);
        assert!(first.status().last_event.is_some() && second.status().last_event.is_some());
        first.stop().await;
        second.stop().await;
    }

    #[tokio::test]
    async fn a_queue_that_is_deleted_is_told_and_declared_anew() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let source = kit.start::<Amqp>(orders(&url, &name));
        source.serving().await;
        let mut upstream = Orders::to(&url, &name).await;
        upstream.delete(&name).await;
        let told = source.failure().await;
        assert_eq!(
            told,
            format!(
                "{url} ended the consumer: queue `{name}` was deleted, or has moved; it is declared anew"
            )
        );
        source.serving().await;
        upstream.send(1).await;
        kit.events(1).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_queue_of_another_kind_is_told() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let config = orders(&url, &name);
        let upstream = declared(&kit, &config, &url, &name).await;
        let quorum = json!({"name": name, "durable": true, "arguments": "x-queue-type: quorum"});
        let source = kit.start::<Amqp>(with(config, "queueDeclare", quorum));
        let told = source.failure().await;
        assert!(told.contains("x-queue-type") && told.contains("write what the broker has"), "{told}");
        upstream.delete(&name).await;
        source.serving().await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_queue_that_another_connection_has_for_itself_is_told_and_waited_for() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let own =
            with(orders(&broker.url(), &name), "queueDeclare", json!({"name": name, "exclusive": true}));
        let (first, second) = (kit.start::<Amqp>(own.clone()), Kit::new());
        first.serving().await;
        let second = second.start::<Amqp>(own);
        let told = second.failure().await;
        assert!(told.ends_with(&format!("another connection has queue `{name}` for itself")), "{told}");
        first.stop().await;
        second.serving().await;
        second.stop().await;
    }

    #[tokio::test]
    async fn a_right_that_is_missing_is_told() {
        let broker = shared();
        // Names that begin so are the broker's own.
        let source = Kit::new().start::<Amqp>(orders(&broker.url(), "amq.orders"));
        let told = source.failure().await;
        assert!(told.starts_with(&format!("{} refused: ACCESS_REFUSED", broker.url())), "{told}");
        assert!(told.ends_with("give the user the right in virtual host `/`"), "{told}");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_queue_without_a_name_is_the_connections_own() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let url = broker.url();
        let mut config = orders(&url, &name);
        config.as_object_mut().unwrap().remove("queueDeclare");
        let source = kit.start::<Amqp>(config);
        source.serving().await;
        Orders::to(&url, &name).await.send(1).await;
        kit.events(1).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_virtual_host_that_is_not_there_or_closed_is_told() {
        let (broker, name) = (shared(), name());
        for (host, why) in [("nowhere", "not found"), ("closed", "refused for user")] {
            let url = format!("{}/{host}", broker.url());
            let source = Kit::new().start::<Amqp>(orders(&url, &name));
            let told = source.failure().await;
            let expected = format!("{} does not open virtual host `{host}`: ", broker.url());
            assert!(told.starts_with(&expected) && told.contains(why), "{told}");
            source.stop().await;
        }
        let source = Kit::new().start::<Amqp>(orders(&format!("{}/orders", broker.url()), &name));
        source.serving().await;
        source.stop().await;
    }

    #[tokio::test]
    async fn an_address_may_stand_in_a_secret() {
        let (broker, name) = (shared(), name());
        let url = broker.url();
        let kit = Kit::new().with_secret("broker", "url", "nonsense");
        let config = with(with(orders(&url, &name), "url", json!("")), "urlSecret", secret("url"));
        let source = kit.start::<Amqp>(config);
        assert!(source.failure().await.starts_with("the address can't be read"));
        kit.set_secret("broker", "url", &format!("{url}\n"));
        source.serving().await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_connection_that_is_cut_is_told_and_made_anew() {
        let (broker, name, kit) = (shared(), name(), Kit::new());
        let mut proxy = Proxy::to_port(broker.port());
        let url = format!("amqp://{}", proxy.address());
        let source = kit.start::<Amqp>(orders(&url, &name));
        source.serving().await;
        proxy.cut();
        let told = source.failure().await;
        assert!(told.contains(&url), "{told}");
        proxy.heal();
        source.serving().await;
        source.stop().await;
    }

    /// Over 5 s: brokers of their own.
    mod slow {
        use super::*;

        #[tokio::test]
        async fn a_restarted_server_is_found_again() {
            let (mut broker, name, kit) = (RabbitServer::start(), name(), Kit::new());
            let source = kit.start::<Amqp>(orders(&broker.url(), &name));
            source.serving().await;
            Orders::to(&broker.url(), &name).await.send(1).await;
            kit.events(1).await;
            broker.kill();
            let told = source.failure().await;
            assert!(told.contains(&broker.url()), "{told}");
            broker.restart();
            source.serving().await;
            Orders::to(&broker.url(), &name).await.send(2).await;
            kit.events(2).await;
            source.stop().await;
        }

        #[tokio::test]
        async fn a_server_that_is_not_there_is_told_and_waited_for() {
            let mut broker = RabbitServer::start();
            broker.kill();
            let source = Kit::new().start::<Amqp>(orders(&broker.url(), &name()));
            let expected =
                format!("nothing listens at {}; start the server, or correct the address", broker.url());
            assert_eq!(source.failure().await, expected);
            broker.restart();
            source.serving().await;
            source.stop().await;
        }

        #[tokio::test]
        async fn a_broker_that_restarts_under_load_loses_nothing() {
            let (mut broker, name, kit) = (RabbitServer::start(), name(), Kit::new());
            let source = kit.start::<Amqp>(orders(&broker.url(), &name));
            source.serving().await;
            for round in 0..2 {
                let mut sender = Orders::to(&broker.url(), &name).await;
                for number in 0..300 {
                    sender.send(round * 300 + number).await;
                }
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
        async fn a_broker_that_is_frozen_is_noticed() {
            let (mut broker, name, kit) = (RabbitServer::start(), name(), Kit::new());
            let url = format!("{}?heartbeat=2", broker.url());
            let source = kit.start::<Amqp>(orders(&url, &name));
            source.serving().await;
            broker.pause();
            let told = source.failure().await;
            assert!(told.contains("does not answer"), "{told}");
            broker.restart();
            source.serving().await;
            source.stop().await;
        }

        #[tokio::test]
        async fn tls_is_verified() {
            let certificates = Certificates::new();
            let broker = RabbitServer::start_with(&Settings {
                tls: Tls::Server(&certificates),
                ..Settings::default()
            });
            let (url, name) = (format!("amqps://guest:guest@{}", broker.tls_address()), name());
            let kit = Kit::new().with_secret("broker", "ca", &certificates.wrong_ca.certificate);
            let source =
                kit.start::<Amqp>(with(orders(&url, &name), "tls", json!({"caCertSecret": secret("ca")})));
            let told = source.failure().await;
            assert!(told.contains("is not signed by the CA in secret `default/broker` key `ca`"), "{told}");
            kit.set_secret("broker", "ca", &certificates.ca.certificate);
            source.serving().await;
            Orders::to(&broker.url(), &name).await.send(1).await;
            kit.events(1).await;
            source.stop().await;
            let unknown = kit.start::<Amqp>(orders(&url, &name));
            let told = unknown.failure().await;
            assert!(told.contains("is signed by no CA that this system knows"), "{told}");
            unknown.stop().await;
            let anything =
                kit.start::<Amqp>(with(orders(&url, &name), "tls", json!({"insecureSkipVerify": true})));
            anything.serving().await;
            anything.stop().await;
            let plain = kit.start::<Amqp>(orders(&broker.url().replace("amqp://", "amqps://"), &name));
            assert!(plain.failure().await.contains("TLS"));
            plain.stop().await;
        }

        #[tokio::test]
        async fn a_client_certificate_is_shown_where_it_is_asked_for() {
            let certificates = Certificates::new();
            let broker = RabbitServer::start_with(&Settings {
                tls: Tls::Mutual(&certificates),
                ..Settings::default()
            });
            let name = name();
            let kit = Kit::new()
                .with_secret("broker", "ca", &certificates.ca.certificate)
                .with_secret("broker", "cert", &certificates.client.certificate)
                .with_secret("broker", "key", &certificates.client.key);
            let tls = json!({"caCertSecret": secret("ca")});
            let source = kit.start::<Amqp>(with(orders(&broker.tls_url(), &name), "tls", tls.clone()));
            let told = source.failure().await;
            assert!(told.contains("wants a client certificate"), "{told}");
            source.stop().await;
            let tls = with(with(tls, "clientCertSecret", secret("cert")), "clientKeySecret", secret("key"));
            let source = kit.start::<Amqp>(with(orders(&broker.tls_url(), &name), "tls", tls));
            source.serving().await;
            source.stop().await;
        }

        #[tokio::test]
        async fn a_wrong_login_is_told_and_a_right_one_serves() {
            let users = [("u", "right")];
            let broker = RabbitServer::start_with(&Settings { users: &users, ..Settings::default() });
            let name = name();
            let kit =
                Kit::new().with_secret("broker", "user", "u").with_secret("broker", "password", "wrong");
            let auth = json!({"username": secret("user"), "password": secret("password")});
            // What stands in the address gives way.
            let url = broker.url().replace("amqp://", "amqp://nobody:nothing@");
            let source = kit.start::<Amqp>(with(orders(&url, &name), "auth", auth));
            let expected = format!(
                "{} refused the login; correct the user name or the password in secret `default/broker` key `user` and \
                 secret `default/broker` key `password`",
                broker.url()
            );
            assert_eq!(source.failure().await, expected);
            kit.set_secret("broker", "password", "right");
            source.serving().await;
            source.stop().await;
            let nobody = kit.start::<Amqp>(orders(&broker.url(), &name));
            assert!(nobody.failure().await.ends_with("name the secrets of one that it knows with auth"));
            nobody.stop().await;
        }
    }
}
