//! Against a gRPC server on tonic.

#![expect(clippy::unwrap_used, reason = "tests fail by panics")]

mod server;

mod generic {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use eventsource_core::testkit::{self, Kit, Upstream, eventually};
    use eventsource_generic::Generic;
    use serde_json::{Value, json};
    use tonic::{Code, Status};
    use zetes_services::{Certificates, Proxy, Tls};

    use crate::server::{Server, Settings};

    fn secret(key: &str) -> Value {
        json!({"name": "server", "key": key})
    }

    fn plain(server: &Server) -> Value {
        json!({"url": server.address(), "config": "orders", "insecure": true, "jsonBody": true})
    }

    fn with_tls(server: &Server) -> Value {
        json!({"url": server.tls_address(), "config": "orders", "jsonBody": true})
    }

    fn with(mut config: Value, key: &str, value: Value) -> Value {
        config[key] = value;
        config
    }

    struct Orders<'s>(&'s Server);

    impl Upstream for Orders<'_> {
        async fn send(&mut self, number: usize) {
            self.0.send(json!({"n": number}).to_string()).await;
        }

        fn number(&self, data: &Value) -> usize {
            usize::try_from(data["body"]["n"].as_u64().unwrap()).unwrap()
        }
    }

    #[tokio::test]
    async fn the_example_of_the_reference_serves_as_it_is_but_for_its_address() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../shared/compat/argo-events/examples/event-sources/generic.yaml"
        );
        let Ok(text) = std::fs::read_to_string(file) else {
            assert!(std::env::var_os("CI").is_none(), "{file} is not there");
            return eprintln!("skipped: ../shared/compat is not there");
        };
        let server = Server::start(&Settings::default());
        let mut example: Value = serde_saphyr::from_str(&text).unwrap();
        let config = &mut example["spec"]["generic"]["example"];
        config["url"] = server.address().into();
        let kit = Kit::new();
        let source = kit.start::<Generic>(config.clone());
        server.send("{}").await;
        kit.events(1).await;
        assert_eq!(server.asked()[0].1, "key1: value1\nkey2: value2");
        source.stop().await;
    }

    #[tokio::test]
    async fn every_message_becomes_one_event() {
        let server = Server::start(&Settings::default());
        let kit = Kit::new();
        testkit::every_message_becomes_one_event::<Generic>(&kit, &plain(&server), &mut Orders(&server))
            .await;
    }

    #[tokio::test]
    async fn the_server_is_told_what_is_wanted_and_its_events_are_emitted_as_they_are() {
        let server = Server::start(&Settings::default());
        let kit = Kit::new();
        let source = kit.start::<Generic>(with(plain(&server), "jsonBody", json!(false)));
        server.send("hi").await;
        assert_eq!(kit.data(1).await, [json!({"body": STANDARD.encode("hi")})]);
        assert_eq!(server.asked(), [("event".to_owned(), "orders".to_owned())]);
        source.stop().await;
    }

    #[tokio::test]
    async fn a_restarted_server_is_found_again() {
        let mut server = Server::start(&Settings::default());
        let kit = Kit::new();
        let source = kit.start::<Generic>(plain(&server));
        server.send("1").await;
        kit.events(1).await;
        server.kill();
        let told = source.failure().await;
        assert!(told.contains(&server.address()), "{told}");
        server.restart();
        server.send("2").await;
        kit.events(2).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_and_waited_for() {
        let mut server = Server::start(&Settings::default());
        server.kill();
        let kit = Kit::new();
        let source = kit.start::<Generic>(plain(&server));
        let expected =
            format!("nothing listens at {}; start the server, or correct the address", server.address());
        assert_eq!(source.failure().await, expected);
        server.restart();
        server.send("1").await;
        kit.events(1).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_poison_message_is_dead_lettered() {
        let server = Server::start(&Settings::default());
        let kit = Kit::new();
        let source = kit.start::<Generic>(plain(&server));
        server.send("{\"n\":").await;
        server.send("{\"n\":2}").await;
        assert_eq!(kit.data(1).await[0]["body"], json!({"n": 2}));
        let dead = kit.dead(1).await;
        assert_eq!((dead.len(), &dead[0].raw), (1, &STANDARD.encode("{\"n\":")));
        source.stop().await;
    }

    #[tokio::test]
    async fn a_message_that_the_bus_can_not_hold_is_dead_lettered() {
        let server = Server::start(&Settings::default());
        let kit = Kit::new();
        let source = kit.start::<Generic>(with(plain(&server), "jsonBody", json!(false)));
        server.send("x".repeat(7_000_000)).await;
        server.send("small").await;
        kit.events(1).await;
        assert_eq!(kit.dead(1).await[0].reason, "too-large");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_bus_that_refuses_is_told() {
        let server = Server::start(&Settings::default());
        let kit = Kit::new();
        let source = kit.start::<Generic>(plain(&server));
        source.serving().await;
        kit.refuse();
        server.send("1").await;
        let told = source.failure().await;
        assert!(told.contains("the bus"), "{told}");
        kit.take();
        eventually("the server to be asked again", async || (server.asked().len() > 1).then_some(())).await;
        server.send("2").await;
        assert_eq!(kit.data(1).await[0]["body"], 2);
        source.stop().await;
    }

    #[tokio::test]
    async fn tls_is_verified() {
        let certificates = Certificates::new();
        let server = Server::start(&Settings { tls: Tls::Server(&certificates), ..Settings::default() });
        let kit = Kit::new().with_secret("server", "ca", &certificates.wrong_ca.certificate);
        let source =
            kit.start::<Generic>(with(with_tls(&server), "tls", json!({"caCertSecret": secret("ca")})));
        let told = source.failure().await;
        assert!(told.contains("is not signed by the CA in secret `default/server` key `ca`"), "{told}");
        kit.set_secret("server", "ca", &certificates.ca.certificate);
        server.send("1").await;
        kit.events(1).await;
        source.stop().await;
        let unknown = kit.start::<Generic>(with_tls(&server));
        let told = unknown.failure().await;
        assert!(told.contains("is signed by no CA that this system knows"), "{told}");
        unknown.stop().await;
        let anything =
            kit.start::<Generic>(with(with_tls(&server), "tls", json!({"insecureSkipVerify": true})));
        anything.serving().await;
        anything.stop().await;
    }

    #[tokio::test]
    async fn a_client_certificate_is_shown_where_it_is_asked_for() {
        let certificates = Certificates::new();
        let server = Server::start(&Settings { tls: Tls::Mutual(&certificates), ..Settings::default() });
        let kit = Kit::new()
            .with_secret("server", "ca", &certificates.ca.certificate)
            .with_secret("server", "cert", &certificates.client.certificate)
            .with_secret("server", "key", &certificates.client.key);
        let tls = json!({"caCertSecret": secret("ca")});
        let source = kit.start::<Generic>(with(with_tls(&server), "tls", tls.clone()));
        let told = source.failure().await;
        assert!(told.contains("wants a client certificate"), "{told}");
        source.stop().await;
        let tls = with(with(tls, "clientCertSecret", secret("cert")), "clientKeySecret", secret("key"));
        let source = kit.start::<Generic>(with(with_tls(&server), "tls", tls));
        server.send("1").await;
        kit.events(1).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_port_without_tls_is_told() {
        let server = Server::start(&Settings::default());
        let source = Kit::new().start::<Generic>(with_tls(&server));
        let told = source.failure().await;
        assert!(told.contains("TLS"), "{told}");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_wrong_login_is_told_and_a_right_one_serves() {
        let server = Server::start(&Settings { token: Some("right"), ..Settings::default() });
        let kit = Kit::new().with_secret("server", "token", "wrong");
        let source = kit.start::<Generic>(with(plain(&server), "authSecret", secret("token")));
        let expected = format!(
            "{} refused the token (who are you); correct it in secret `default/server` key `token`",
            server.address()
        );
        assert_eq!(source.failure().await, expected);
        kit.set_secret("server", "token", "right");
        server.send("1").await;
        kit.events(1).await;
        source.stop().await;
        let nobody = kit.start::<Generic>(plain(&server));
        let expected = format!(
            "{} asks for a token (who are you); name the secret that holds it with authSecret",
            server.address()
        );
        assert_eq!(nobody.failure().await, expected);
        nobody.stop().await;
    }

    #[tokio::test]
    async fn what_the_server_says_is_told() {
        let server = Server::start(&Settings::default());
        for (code, expected) in [
            (Code::PermissionDenied, "does not give us events (no); grant the token's owner the right there"),
            (Code::InvalidArgument, "refused what stands under config: no"),
            (Code::Internal, "ended the stream: no (Internal)"),
        ] {
            let source = Kit::new().start::<Generic>(plain(&server));
            server.end(Some(Status::new(code, "no"))).await;
            assert_eq!(source.failure().await, format!("{} {expected}", server.address()));
            source.stop().await;
        }
        let other = Server::start(&Settings { knows_nothing: true, ..Settings::default() });
        let source = Kit::new().start::<Generic>(plain(&other));
        let told = source.failure().await;
        assert!(told.contains("has no method /generic.Eventing/StartEventSource"), "{told}");
        source.stop().await;
    }

    #[tokio::test]
    async fn a_connection_that_is_cut_is_told_and_made_anew() {
        let server = Server::start(&Settings::default());
        let mut proxy = Proxy::to(server.address().parse().unwrap());
        let kit = Kit::new();
        let source = kit.start::<Generic>(with(plain(&server), "url", json!(proxy.address().to_string())));
        server.send("1").await;
        proxy.cut();
        let told = source.failure().await;
        assert!(told.contains(&proxy.address().to_string()), "{told}");
        proxy.heal();
        eventually("the server to be asked again", async || (server.asked().len() > 1).then_some(())).await;
        server.send("2").await;
        kit.events(2).await;
        source.stop().await;
    }

    /// Over 5 s: the pause of the reference.
    mod slow {
        use super::*;

        #[tokio::test]
        async fn a_stream_that_ends_as_it_should_is_asked_for_again() {
            let server = Server::start(&Settings::default());
            let kit = Kit::new();
            let source = kit.start::<Generic>(plain(&server));
            server.send("1").await;
            server.end(None).await;
            eventually("the server to be asked again", async || (server.asked().len() > 1).then_some(()))
                .await;
            server.send("2").await;
            kit.events(2).await;
            source.stop().await;
        }
    }
}
