//! Against NATS 2.9 and 2.12.

#![expect(clippy::unwrap_used, reason = "tests fail by panics")]

mod operator;

mod nats {
    use std::io::Write as _;

    use async_nats::Client;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use eventsource_core::testkit::{self, Kit, Source, Upstream, eventually};
    use eventsource_nats::Nats;
    use nkeys::KeyPair;
    use serde_json::{Value, json};
    use zetes_services::{Certificates, NatsServer, NatsVersion, Proxy, free_port};

    use crate::operator::{Operator, credentials};

    fn secret(key: &str) -> Value {
        json!({"name": "login", "key": key})
    }

    fn orders(url: &str) -> Value {
        json!({"url": url, "subject": "orders.>", "jsonBody": true})
    }

    fn with(mut config: Value, key: &str, value: Value) -> Value {
        config[key] = value;
        config
    }

    async fn client(url: &str) -> Client {
        async_nats::connect(url).await.unwrap()
    }

    /// Returns when the server has read it: it has handed it out by then.
    async fn send(client: &Client, subject: &str, payload: impl Into<bytes::Bytes>) {
        client.publish(subject.to_owned(), payload.into()).await.unwrap();
        let nobody = client.request("nobody.listens", "".into()).await;
        assert!(nobody.is_err());
    }

    /// Messages `{"n": number}` to `orders.new`.
    struct Orders(Client);

    impl Upstream for Orders {
        async fn send(&mut self, number: usize) {
            send(&self.0, "orders.new", json!({"n": number}).to_string()).await;
        }

        fn number(&self, data: &Value) -> usize {
            usize::try_from(data["body"]["n"].as_u64().unwrap()).unwrap()
        }
    }

    /// Waits until it has failed with this.
    async fn fails(source: &Source, expected: &str) {
        let told = source.failure().await;
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn every_message_becomes_one_event() {
        for version in [NatsVersion::Old, NatsVersion::Current] {
            let server = NatsServer::start(version, "");
            let mut upstream = Orders(client(&server.url()).await);
            testkit::every_message_becomes_one_event::<Nats>(
                &Kit::new(),
                &orders(&server.url()),
                &mut upstream,
            )
            .await;
        }
    }

    #[tokio::test]
    async fn a_message_has_its_own_subject_and_its_headers() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let kit = Kit::new();
        let source = kit.start::<Nats>(json!({"url": server.url(), "subject": "orders.*.paid"}));
        source.serving().await;
        let mut headers = async_nats::HeaderMap::new();
        headers.append("X-Trace", "1");
        let client = client(&server.url()).await;
        client.publish_with_headers("orders.a1.paid", headers, "hi".into()).await.unwrap();
        send(&client, "orders.a1.open", "not asked for").await;
        send(&client, "orders.a2.paid", "").await;
        let expected = [
            json!({"subject": "orders.a1.paid", "body": STANDARD.encode("hi"), "header": {"X-Trace": ["1"]}}),
            json!({"subject": "orders.a2.paid", "body": ""}),
        ];
        assert_eq!(kit.data(2).await, expected);
        source.stop().await;
    }

    #[tokio::test]
    async fn a_restarted_server_is_found_again() {
        let mut server = NatsServer::start(NatsVersion::Current, "");
        let kit = Kit::new();
        let source = kit.start::<Nats>(orders(&server.url()));
        source.serving().await;
        send(&client(&server.url()).await, "orders.new", "1").await;
        kit.events(1).await;
        server.kill();
        let told = source.failure().await;
        assert!(told.contains(&server.url()), "{told}");
        server.restart();
        source.serving().await;
        send(&client(&server.url()).await, "orders.new", "2").await;
        kit.events(2).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_server_of_a_list_that_runs_is_used() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let kit = Kit::new();
        let dead = format!("nats://127.0.0.1:{}", free_port());
        let source = kit.start::<Nats>(orders(&format!("{dead},{}", server.url())));
        source.serving().await;
        send(&client(&server.url()).await, "orders.new", "1").await;
        kit.events(1).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_and_waited_for() {
        let mut server = NatsServer::start(NatsVersion::Current, "");
        server.kill();
        let source = Kit::new().start::<Nats>(orders(&server.url()));
        let expected = format!("nothing listens at {}; start the server, or correct the url", server.url());
        fails(&source, &expected).await;
        server.restart();
        source.serving().await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_poison_message_is_dead_lettered() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let kit = Kit::new();
        let source = kit.start::<Nats>(orders(&server.url()));
        source.serving().await;
        let client = client(&server.url()).await;
        send(&client, "orders.new", "{\"n\":").await;
        send(&client, "orders.new", "{\"n\":2}").await;
        assert_eq!(kit.data(1).await[0]["body"], json!({"n": 2}));
        let dead = kit.dead(1).await;
        assert_eq!((dead.len(), &dead[0].raw), (1, &STANDARD.encode("{\"n\":")));
        source.stop().await;
    }

    #[tokio::test]
    async fn a_message_that_the_bus_can_not_hold_is_dead_lettered() {
        let server = NatsServer::start(NatsVersion::Current, "max_payload: 8MB");
        let kit = Kit::new();
        let source = kit.start::<Nats>(json!({"url": server.url(), "subject": "orders.>"}));
        source.serving().await;
        let client = client(&server.url()).await;
        send(&client, "orders.new", vec![b'x'; 7_000_000]).await;
        send(&client, "orders.new", "small").await;
        kit.events(1).await;
        assert_eq!(kit.dead(1).await[0].reason, "too-large");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_stop_emits_what_the_server_handed_out() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let kit = Kit::new();
        let source = kit.start::<Nats>(orders(&server.url()));
        source.serving().await;
        let client = client(&server.url()).await;
        for number in 0..5_000 {
            client.publish("orders.new", number.to_string().into()).await.unwrap();
        }
        send(&client, "orders.new", "5000").await;
        source.stop().await;
        assert_eq!(kit.events_now().await.len(), 5_001);
    }

    #[tokio::test]
    async fn a_queue_group_shares_its_messages() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let kit = Kit::new();
        let member = with(orders(&server.url()), "queue", json!("workers"));
        let (first, second) = (kit.start::<Nats>(member.clone()), kit.start::<Nats>(member));
        first.serving().await;
        second.serving().await;
        let client = client(&server.url()).await;
        for number in 0..200 {
            send(&client, "orders.new", number.to_string()).await;
        }
        let mut numbers: Vec<_> =
            kit.data(200).await.iter().map(|data| data["body"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..200).collect::<Vec<_>>(), "each goes to one of them");
        assert!(first.status().last_event.is_some() && second.status().last_event.is_some());
        first.stop().await;
        second.stop().await;
    }

    #[tokio::test]
    async fn messages_that_come_too_fast_are_told() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let kit = Kit::new();
        let source = kit.start::<Nats>(orders(&server.url()));
        source.serving().await;
        let mut burst = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        burst.write_all(b"CONNECT {\"verbose\":false}\r\n").unwrap();
        let messages = "PUB orders.new 1\r\n1\r\n".repeat(200_000);
        let told = eventually("a message to be lost", async || {
            // It keeps this thread from reading until the server has them all.
            burst.write_all(messages.as_bytes()).unwrap();
            source.status().trouble
        })
        .await;
        assert!(told.starts_with("messages of `orders.>` come faster than the bus takes them"), "{told}");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_server_that_restarts_under_load_is_found_again() {
        let mut server = NatsServer::start(NatsVersion::Current, "");
        let kit = Kit::new();
        let source = kit.start::<Nats>(orders(&server.url()));
        source.serving().await;
        // It connects anew by itself.
        let client = client(&server.url()).await;
        let publish = async || client.publish("orders.new", "1".into()).await.unwrap();
        for restarts in 1..=3 {
            for _ in 0..1_000 {
                publish().await;
            }
            kit.events(restarts).await;
            server.restart();
            source.failure().await;
            source.serving().await;
            let before = kit.events_now().await.len();
            eventually("events to flow again", async || {
                publish().await;
                (kit.events_now().await.len() > before).then_some(())
            })
            .await;
        }
        source.stop().await;
    }

    #[tokio::test]
    async fn a_bus_that_refuses_is_told() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let kit = Kit::new();
        let source = kit.start::<Nats>(orders(&server.url()));
        source.serving().await;
        kit.refuse();
        send(&client(&server.url()).await, "orders.new", "1").await;
        let told = source.failure().await;
        assert!(told.contains("the bus"), "{told}");
        kit.take();
        source.serving().await;
        send(&client(&server.url()).await, "orders.new", "2").await;
        assert_eq!(kit.data(1).await[0]["body"], 2);
        source.stop().await;
    }

    #[tokio::test]
    async fn tls_is_verified() {
        let certificates = Certificates::new();
        let server = NatsServer::start(NatsVersion::Current, &certificates.nats_tls(false));
        let kit = Kit::new().with_secret("login", "ca", &certificates.wrong_ca.certificate);
        let source =
            kit.start::<Nats>(with(orders(&server.tls_url()), "tls", json!({"caCertSecret": secret("ca")})));
        let told = source.failure().await;
        assert!(told.contains("is not signed by the CA in secret `default/login` key `ca`"), "{told}");
        kit.set_secret("login", "ca", &certificates.ca.certificate);
        source.serving().await;
        assert_eq!(source.status().trouble, None);
        source.stop().await;
        let unverified = kit.start::<Nats>(orders(&server.url()));
        assert!(unverified.trouble().await.contains("is not verified"));
        unverified.stop().await;
    }

    #[tokio::test]
    async fn a_client_certificate_is_shown_where_it_is_asked_for() {
        let certificates = Certificates::new();
        let server = NatsServer::start(NatsVersion::Current, &certificates.nats_tls(true));
        let kit = Kit::new()
            .with_secret("login", "ca", &certificates.ca.certificate)
            .with_secret("login", "cert", &certificates.client.certificate)
            .with_secret("login", "key", &certificates.client.key);
        let tls = json!({"caCertSecret": secret("ca")});
        let source = kit.start::<Nats>(with(orders(&server.tls_url()), "tls", tls.clone()));
        let told = source.failure().await;
        assert!(told.contains("wants a client certificate"), "{told}");
        source.stop().await;
        let tls = with(with(tls, "clientCertSecret", secret("cert")), "clientKeySecret", secret("key"));
        let source = kit.start::<Nats>(with(orders(&server.tls_url()), "tls", tls));
        source.serving().await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_wrong_login_is_told_and_a_right_one_serves() {
        let user = KeyPair::new_user();
        let operator = Operator::new();
        let (right, wrong) = (credentials(&operator.account), credentials(&KeyPair::new_account()));
        let basic = "authorization { users: [ { user: u, password: right } ] }".to_owned();
        let token = "authorization { token: right }".to_owned();
        let nkey = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", user.public_key());
        let seed = |pair: &KeyPair| pair.seed().unwrap();
        let basic_auth = json!({"username": secret("user"), "password": secret("value")});
        for (conf, auth, what, right, wrong) in [
            (
                basic,
                json!({"basic": basic_auth}),
                "the user name or the password",
                "right".to_owned(),
                "wrong".to_owned(),
            ),
            (token, json!({"token": secret("value")}), "the token", "right".to_owned(), "wrong".to_owned()),
            (nkey, json!({"nkey": secret("value")}), "the seed", seed(&user), seed(&KeyPair::new_user())),
            (operator.conf(), json!({"credential": secret("value")}), "the credentials", right, wrong),
        ] {
            let server = NatsServer::start(NatsVersion::Current, &conf);
            let kit = Kit::new().with_secret("login", "user", "u").with_secret("login", "value", &wrong);
            let source = kit.start::<Nats>(with(orders(&server.url()), "auth", auth));
            let told = source.failure().await;
            let expected =
                format!("{} refused the login; correct {what} in secret `default/login` key", server.url());
            assert!(told.starts_with(&expected) && told.contains("key `value`"), "{told}");
            kit.set_secret("login", "value", &right);
            source.serving().await;
            source.stop().await;
        }
    }

    #[tokio::test]
    async fn a_secret_that_is_missing_is_no_login_without_one() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let kit = Kit::new();
        let source =
            kit.start::<Nats>(with(orders(&server.url()), "auth", json!({"token": secret("token")})));
        let told = source.failure().await;
        assert!(
            told.starts_with("the login can't be read: secret `default/login` key `token` not found"),
            "{told}"
        );
        kit.set_secret("login", "token", "any");
        source.serving().await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_login_that_is_taken_away_is_told_and_a_new_one_serves() {
        let conf = |token: &str| format!("authorization {{ token: {token} }}");
        let server = NatsServer::start(NatsVersion::Current, &conf("first"));
        let kit = Kit::new().with_secret("login", "token", "first");
        let source =
            kit.start::<Nats>(with(orders(&server.url()), "auth", json!({"token": secret("token")})));
        source.serving().await;
        server.reload(&conf("second"));
        eventually("the login to be refused", async || {
            let told = source.failure().await;
            told.contains("refused the login").then_some(())
        })
        .await;
        kit.set_secret("login", "token", "second");
        source.serving().await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_subject_that_is_not_permitted_is_told_until_it_is() {
        let conf = |allowed: &str| {
            format!(
                "authorization {{ users: [ {{ user: u, password: p, permissions: {{ subscribe: {allowed} }} }} ] }}"
            )
        };
        let server = NatsServer::start(NatsVersion::Current, &conf("other"));
        let kit = Kit::new().with_secret("login", "user", "u").with_secret("login", "value", "p");
        let basic = json!({"basic": {"username": secret("user"), "password": secret("value")}});
        let source = kit.start::<Nats>(with(orders(&server.url()), "auth", basic));
        let expected = format!(
            "{} does not let the user subscribe to `orders.>`; allow it in the user's permissions",
            server.url()
        );
        fails(&source, &expected).await;
        // Without the right to an inbox, too.
        server.reload(&conf("\"orders.>\""));
        source.serving().await;
        let options = async_nats::ConnectOptions::with_user_and_password("u".into(), "p".into());
        let client = options.connect(server.url()).await.unwrap();
        client.publish("orders.new", "1".into()).await.unwrap();
        kit.events(1).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_subject_that_is_none_waits_for_another_manifest() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let source = Kit::new().start::<Nats>(json!({"url": server.url(), "subject": "orders new"}));
        let told = source.failure().await;
        assert!(told.starts_with("`orders new` is no subject"), "{told}");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_connection_that_is_cut_is_told_and_made_anew() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let mut proxy = Proxy::to_port(server.port());
        let kit = Kit::new();
        let url = format!("nats://{}", proxy.address());
        let source = kit.start::<Nats>(orders(&url));
        source.serving().await;
        proxy.cut();
        let told = source.failure().await;
        assert!(told.contains(&url), "{told}");
        proxy.heal();
        source.serving().await;
        send(&client(&server.url()).await, "orders.new", "1").await;
        kit.events(1).await;
        source.stop().await;
    }

    /// What this process holds in memory, in KiB.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn idle_sources_take_little_memory() {
        let server = NatsServer::start(NatsVersion::Current, "");
        let kit = Kit::new();
        let first = kit.start::<Nats>(orders(&server.url()));
        first.serving().await;
        let before = resident();
        let sources: Vec<_> = (0..50).map(|_| kit.start::<Nats>(orders(&server.url()))).collect();
        for source in &sources {
            source.serving().await;
        }
        let each = resident().saturating_sub(before) / 50;
        assert!(each < 512, "{each} KiB each");
    }

    /// Over 5 s: a server that answers nothing is asked three times.
    mod slow {
        use super::*;

        #[tokio::test]
        async fn a_server_that_is_frozen_is_noticed() {
            let mut server = NatsServer::start(NatsVersion::Current, "");
            let source = Kit::new().start::<Nats>(orders(&server.url()));
            source.serving().await;
            server.pause();
            let told = source.failure().await;
            assert!(told.contains(&server.url()), "{told}");
            server.restart();
            source.serving().await;
            source.stop().await;
        }
    }
}
