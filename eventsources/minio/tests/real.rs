//! Against MinIO.

#![expect(clippy::unwrap_used, reason = "tests fail by panics")]

mod minio {
    use std::collections::BTreeSet;

    use eventsource_core::testkit::{self, Kit, Source, Upstream, eventually};
    use eventsource_minio::Minio;
    use serde_json::{Value, json};
    use zetes_services::{Certificates, MinioServer, MotoServer, Proxy, Settings, Tls};

    fn kit(server: &MinioServer) -> Kit {
        Kit::new().with_secret("minio", "access", server.user()).with_secret(
            "minio",
            "secret",
            server.password(),
        )
    }

    fn secret(key: &str) -> Value {
        json!({"name": "minio", "key": key})
    }

    fn config(endpoint: &str) -> Value {
        json!({
            "endpoint": endpoint, "insecure": true, "bucket": {"name": "photos"},
            "accessKey": secret("access"), "secretKey": secret("secret"),
            "events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        })
    }

    fn with(config: &Value, members: &Value) -> Value {
        let mut config = config.clone();
        config.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        config
    }

    fn server() -> MinioServer {
        let server = MinioServer::start();
        server.create_bucket("photos");
        server
    }

    /// Key and kind of change.
    fn change(data: &Value) -> (String, String) {
        let record = &data["notification"][0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&record["s3"]["object"]["key"]), text(&record["eventName"]))
    }

    struct Objects(MinioServer);

    impl Upstream for Objects {
        async fn send(&mut self, number: usize) {
            self.0.put_object("photos", &number.to_string(), b"x");
        }

        fn number(&self, data: &Value) -> usize {
            change(data).0.parse().unwrap()
        }
    }

    /// Waits until what is put is told, under names that no test looks at: a server tells nothing of the moment before.
    async fn hears(source: &Source, kit: &Kit, server: &MinioServer) -> usize {
        source.serving().await;
        let before = kit.events_now().await.len();
        eventually("a change to be told", async || {
            server.put_object("photos", "hello", b"x");
            Some(kit.events_now().await.len()).filter(|count| *count > before)
        })
        .await
    }

    #[tokio::test]
    async fn every_message_becomes_one_event() {
        let mut objects = Objects(server());
        let (kit, config) = (kit(&objects.0), config(&objects.0.address()));
        testkit::every_message_becomes_one_event::<Minio>(&kit, &config, &mut objects).await;
    }

    #[tokio::test]
    async fn a_change_is_told_as_the_server_tells_it() {
        let server = server();
        let kit = kit(&server);
        let source =
            kit.start::<Minio>(with(&config(&server.address()), &json!({"metadata": {"team": "shop"}})));
        source.serving().await;
        server.put_object("photos", "a%20dir/b%2Bc.jpg", b"123");
        server.delete_object("photos", "a%20dir/b%2Bc.jpg");
        let (data, events) = (kit.data(2).await, kit.events(2).await);
        let key = "a dir/b+c.jpg";
        assert_eq!(change(&data[0]), (key.to_owned(), "s3:ObjectCreated:Put".to_owned()));
        assert_eq!(change(&data[1]), (key.to_owned(), "s3:ObjectRemoved:Delete".to_owned()));
        assert_eq!(data[0]["metadata"], json!({"team": "shop"}));
        let record = &data[0]["notification"][0];
        assert_eq!(record["s3"]["object"]["size"], 3);
        assert_eq!(record["s3"]["bucket"]["name"], "photos");
        let sequencer = record["s3"]["object"]["sequencer"].as_str().unwrap();
        assert_eq!(events[0].id.to_string(), format!("photos/{key}/s3:ObjectCreated:Put/{sequencer}"));
        source.stop().await;
    }

    #[tokio::test]
    async fn only_what_is_asked_for_is_told() {
        let server = server();
        let kit = kit(&server);
        let only = json!({"events": ["s3:ObjectRemoved:*"], "filter": {"prefix": "in/", "suffix": ".jpg"}});
        let source = kit.start::<Minio>(with(&config(&server.address()), &only));
        source.serving().await;
        for key in ["in/a.png", "out/a.jpg", "in/a.jpg"] {
            server.put_object("photos", key, b"x");
            server.delete_object("photos", key);
        }
        assert_eq!(
            change(&kit.data(1).await[0]),
            ("in/a.jpg".to_owned(), "s3:ObjectRemoved:Delete".to_owned())
        );
        assert_eq!(kit.events_now().await.len(), 1);
        source.stop().await;
    }

    #[tokio::test]
    async fn a_restarted_server_is_found_again() {
        let mut server = server();
        let kit = kit(&server);
        let source = kit.start::<Minio>(config(&server.address()));
        hears(&source, &kit, &server).await;
        server.kill();
        let told = source.failure().await;
        assert!(told.contains("closed the connection") || told.contains("nothing listens at"), "{told}");
        server.restart();
        hears(&source, &kit, &server).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_yet_is_waited_for() {
        let server = server();
        let mut proxy = Proxy::to_port(server.port());
        proxy.cut();
        let kit = kit(&server);
        let source = kit.start::<Minio>(config(&proxy.address().to_string()));
        let told = source.failure().await;
        assert!(told.contains(&format!("nothing listens at http://{}", proxy.address())), "{told}");
        proxy.heal();
        source.serving().await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_bucket_that_is_not_there_is_told_and_waited_for() {
        let server = MinioServer::start();
        let kit = kit(&server);
        let source = kit.start::<Minio>(config(&server.address()));
        let told = source.failure().await;
        assert_eq!(
            told,
            format!("{} has no bucket `photos`; make it, or correct bucket.name", server.address())
        );
        server.create_bucket("photos");
        hears(&source, &kit, &server).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn tls_is_verified() {
        let certificates = Certificates::new();
        let server =
            MinioServer::start_with(&Settings { tls: Tls::Server(&certificates), ..Settings::default() });
        server.create_bucket("photos");
        let kit = kit(&server).with_secret("minio", "ca", &certificates.ca.certificate).with_secret(
            "minio",
            "wrong-ca",
            &certificates.wrong_ca.certificate,
        );
        let told = async |members: Value| {
            let source = kit.start::<Minio>(with(&config(&server.address()), &members));
            let told = source.failure().await;
            source.stop().await;
            told
        };
        let wrong = told(json!({"insecure": false, "caCertificate": secret("wrong-ca")})).await;
        assert!(
            wrong.contains("is not signed by the CA in secret `default/minio` key `wrong-ca`"),
            "{wrong}"
        );
        let plain = told(json!({})).await;
        assert_eq!(plain, format!("{} speaks TLS; remove insecure", server.address()));
        let right = json!({"insecure": false, "caCertificate": secret("ca")});
        let source = kit.start::<Minio>(with(&config(&server.address()), &right));
        hears(&source, &kit, &server).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_server_without_tls_is_told_to_who_speaks_it() {
        let server = server();
        let source =
            kit(&server).start::<Minio>(with(&config(&server.address()), &json!({"insecure": false})));
        let told = source.failure().await;
        assert!(
            told.contains("does not speak TLS") && told.contains("`insecure: true` is plain HTTP"),
            "{told}"
        );
        source.stop().await;
    }

    #[tokio::test]
    async fn a_wrong_login_is_told_and_a_right_one_serves() {
        let server = server();
        let kit = kit(&server).with_secret("minio", "secret", "wrong-secret");
        let source = kit.start::<Minio>(config(&server.address()));
        let told = source.failure().await;
        assert!(told.contains("correct the secret key of secret `default/minio` key `secret`"), "{told}");
        kit.set_secret("minio", "access", "nobody");
        eventually("the wrong access key to be told", async || {
            source.failure().await.contains("does not know the access key of").then_some(())
        })
        .await;
        kit.set_secret("minio", "access", server.user());
        kit.set_secret("minio", "secret", server.password());
        hears(&source, &kit, &server).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn what_the_bus_refuses_is_told() {
        let server = server();
        let kit = kit(&server);
        let source = kit.start::<Minio>(config(&server.address()));
        source.serving().await;
        kit.refuse();
        server.put_object("photos", "lost", b"x");
        assert!(source.failure().await.contains("the bus did not take the event"));
        kit.take();
        hears(&source, &kit, &server).await;
        source.stop().await;
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_changes() {
        let server = server();
        let kit = kit(&server);
        let source = kit.start::<Minio>(config(&server.address()));
        source.serving().await;
        let begin = tokio::time::Instant::now();
        source.stop().await;
        assert!(begin.elapsed().as_secs() < 2, "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn other_clouds_are_refused_for_good() {
        let kit = Kit::new();
        let source = kit.start::<Minio>(config("s3.eu-west-1.amazonaws.com"));
        assert!(source.failure().await.contains("is no MinIO, and only MinIO tells changes this way"));
        source.stop().await;
    }

    #[tokio::test]
    async fn a_server_that_is_no_minio_is_told() {
        let server = MotoServer::start();
        assert_eq!(server.request("s3", "PUT", "/photos", &[], "").unwrap().status, 200);
        let kit = Kit::new().with_secret("minio", "access", "any").with_secret("minio", "secret", "any");
        let source = kit.start::<Minio>(config(server.url().trim_start_matches("http://")));
        let told = source.failure().await;
        assert!(
            told.ends_with("does not tell changes this way (it lists the bucket instead); only MinIO does"),
            "{told}"
        );
        source.stop().await;
    }

    #[tokio::test]
    async fn a_thousand_objects_at_once_are_a_thousand_events() {
        let server = server();
        let kit = kit(&server);
        let source = kit.start::<Minio>(config(&server.address()));
        source.serving().await;
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let server = &server;
                scope.spawn(move || {
                    (0..250).for_each(|n| server.put_object("photos", &format!("{thread}-{n}"), b"x"));
                });
            }
        });
        let keys: BTreeSet<_> = kit.data(1_000).await.iter().map(|data| change(data).0).collect();
        assert_eq!((keys.len(), kit.events_now().await.len()), (1_000, 1_000));
        source.stop().await;
    }

    mod slow {
        use super::*;

        #[tokio::test]
        async fn a_server_that_says_nothing_any_more_is_noticed() {
            let server = server();
            let proxy = Proxy::to_port(server.port());
            let kit = kit(&server);
            let source = kit.start::<Minio>(config(&proxy.address().to_string()));
            hears(&source, &kit, &server).await;
            proxy.stall();
            let told = source.failure().await;
            assert!(told.contains("did not even say that it is there any more"), "{told}");
            proxy.resume();
            hears(&source, &kit, &server).await;
            source.stop().await;
        }

        /// Longer than any exchange with an HTTP API may take.
        #[tokio::test]
        async fn silence_with_pings_is_no_end() {
            let server = server();
            let kit = kit(&server);
            let source = kit.start::<Minio>(config(&server.address()));
            source.serving().await;
            assert!(
                tokio::time::timeout(std::time::Duration::from_secs(35), source.failure()).await.is_err()
            );
            server.put_object("photos", "late", b"x");
            assert_eq!(change(&kit.data(1).await[0]).0, "late");
            source.stop().await;
        }
    }
}
