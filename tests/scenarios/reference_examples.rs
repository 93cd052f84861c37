//! The EventSources that the reference ships as examples start here as they are, and so do our own: only addresses, ports and
//! secrets are supplied.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use serde_json::{Value, json};
use zetes_services::{
    Certificates, KafkaBroker, MinioServer, MosquittoServer, MotoServer, NatsServer, NatsVersion,
    RabbitServer, RedisServer, Settings,
};

use crate::harness::{Zetes, eventually, free_port};

/// The manifest, if the reference's examples are there.
fn example(name: &str) -> Option<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/compat/argo-events/examples/event-sources");
    let text = std::fs::read_to_string(format!("{folder}/{name}.yaml"));
    assert!(text.is_ok() || std::env::var_os("CI").is_none(), "{folder}/{name}.yaml is not there");
    text.ok()
}

/// Every Secret that the manifest names; each value is `value`, but for those of `given` by key.
fn secrets(manifest: &str, given: &[(&str, &str)]) -> Vec<Value> {
    fn named(value: &Value, found: &mut BTreeMap<String, BTreeMap<String, String>>, given: &[(&str, &str)]) {
        if let (Some(name), Some(key)) = (value["name"].as_str(), value["key"].as_str()) {
            let text = given.iter().find(|(one, _)| *one == key).map_or("value", |(_, text)| text);
            found.entry(name.to_owned()).or_default().insert(key.to_owned(), text.to_owned());
        }
        let members = value.as_object().into_iter().flat_map(|members| members.values());
        for member in members.chain(value.as_array().into_iter().flatten()) {
            named(member, found, given);
        }
    }
    let mut found = BTreeMap::new();
    let document: Value = serde_saphyr::from_str(manifest).unwrap();
    named(&document["spec"], &mut found, given);
    let secret = |(name, data)| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
    found.into_iter().map(secret).collect()
}

/// The manifests of one of our examples; each has its Secrets with it.
fn own_example(name: &str) -> String {
    let folder = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let manifests = files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    manifests.map(|file| std::fs::read_to_string(file).unwrap() + "\n---\n").collect()
}

/// The manifest with other addresses, and ports that nobody has.
fn supplied(name: &str, mut text: String, addresses: &[(&str, &str)]) -> String {
    for (from, to) in addresses {
        assert!(text.contains(from), "{name}: the example does not say `{from}`");
        text = text.replace(from, to);
    }
    while let Some((before, after)) =
        text.split_once("port: \"").filter(|(_, after)| !after.starts_with("own-"))
    {
        let (_port, after) = after.split_once('"').unwrap();
        text = format!("{before}port: \"own-{}\"{after}", free_port());
    }
    text.replace("port: \"own-", "port: \"")
}

/// An example of the reference: waits until every event of it is served.
async fn starts(name: &str, addresses: &[(&str, &str)], given: &[(&str, &str)]) {
    let Some(text) = example(name) else {
        eprintln!("skipped: ../shared/compat is not there");
        return;
    };
    let text = supplied(name, text, addresses);
    let secrets = secrets(&text, given);
    is_served(name, &text, &secrets).await;
}

/// One of our own examples.
async fn own_starts(name: &str, addresses: &[(&str, &str)]) {
    is_served(name, &supplied(name, own_example(name), addresses), &[]).await;
}

async fn is_served(name: &str, text: &str, secrets: &[Value]) {
    let mut zetes = Zetes::with(&[("example.yaml", text)]);
    for (number, secret) in secrets.iter().enumerate() {
        zetes.write(&format!("secret-{number}.json"), &secret.to_string());
    }
    zetes.spawn();
    eventually(&format!("{name} to be served"), || async {
        let parts: Vec<Value> = serde_json::from_str(&zetes.try_admin("/api/v1/status").await?).ok()?;
        let is_event = |part: &&Value| part["name"].as_str().is_some_and(|name| name.contains(" event "));
        let events: Vec<&Value> = parts.iter().filter(is_event).collect();
        let is_served = !events.is_empty() && events.iter().all(|event| event["state"] == "serving");
        is_served.then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_called_over_http_is_served_whether_its_provider_can_be_reached_or_not() {
    let certificates = Certificates::new();
    let tls = [
        ("cert-key", certificates.server.certificate.as_str()),
        ("pk-key", certificates.server.key.as_str()),
    ];
    for name in [
        "webhook",
        "github",
        "gitlab",
        "bitbucket",
        "bitbucketserver",
        "gerrit",
        "slack",
        "stripe",
        "storage-grid",
    ] {
        starts(name, &[], &tls).await;
    }
    for name in [
        "github",
        "gitea",
        "gitlab",
        "bitbucket",
        "bitbucketserver",
        "gerrit",
        "slack",
        "stripe",
        "storage-grid",
        "signed-webhook",
        "cloudevents",
    ] {
        own_starts(name, &[]).await;
    }
}

#[tokio::test]
async fn calendar_and_file_need_nothing() {
    starts("calendar", &[], &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let directory = format!("directory: {}/", folder.path().display());
    starts("file", &[("directory: /test-data/", &directory)], &[]).await;
    own_starts("file", &[("directory: /tmp/inbox", &directory)]).await;
}

#[tokio::test]
async fn redis_and_its_streams() {
    let server = RedisServer::start();
    let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _id: String =
        redis::cmd("XADD").arg(&["FOO", "*", "a", "1"]).query_async(&mut connection).await.unwrap();
    for name in ["redis", "redis-streams"] {
        starts(name, &[("redis.argo-events.svc:6379", &server.address())], &[]).await;
    }
    let server =
        RedisServer::start_with(&Settings { users: &[("default", "let-me-in")], ..Settings::default() });
    let client = redis::Client::open(format!("redis://:let-me-in@{}", server.address())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _id: String =
        redis::cmd("XADD").arg(&["orders", "*", "a", "1"]).query_async(&mut connection).await.unwrap();
    for name in ["redis", "redis-stream"] {
        own_starts(name, &[("localhost:6379", &server.address())]).await;
    }
}

#[tokio::test]
async fn nats_and_mqtt() {
    let nats = NatsServer::start(NatsVersion::Current, "");
    starts("nats", &[("nats://nats.argo-events.svc:4222", &nats.url())], &[]).await;
    let mosquitto = MosquittoServer::start();
    starts("mqtt", &[("tcp://mqtt.argo-events:1883", &mosquitto.url().replace("mqtt://", "tcp://"))], &[])
        .await;
}

#[tokio::test]
async fn amqp() {
    let server = RabbitServer::start();
    let login = [("username", "guest"), ("password", "guest")];
    starts(
        "amqp",
        &[("amqp://rabbitmq-service.argo-events:5672", server.url().trim_end_matches('/'))],
        &login,
    )
    .await;
}

#[tokio::test]
async fn kafka() {
    let broker = KafkaBroker::shared();
    let topic = format!("topic-2-{}", zetes_runtime::random_id());
    let admin: AdminClient<_> =
        ClientConfig::new().set("bootstrap.servers", &broker.plaintext).create().unwrap();
    let partitions = NewTopic::new(&topic, 2, TopicReplication::Fixed(1));
    admin.create_topics([&partitions], &AdminOptions::new()).await.unwrap();
    let addresses = [
        ("kafka.argo-events:9092", broker.plaintext.as_str()),
        ("topic: topic-2", &format!("topic: {topic}")),
    ];
    starts("kafka", &addresses, &[]).await;
    let (user, password) = ("zetes", &broker.users["zetes"]);
    let own = [
        ("localhost:9092", broker.sasl_plaintext.as_str()),
        ("topic: orders", &format!("topic: {topic}")),
        ("user: shop", &format!("user: {user}")),
        ("password: change-me", &format!("password: {password}")),
    ];
    own_starts("kafka", &own).await;
}

#[tokio::test]
async fn minio() {
    let server = MinioServer::start();
    server.create_bucket("input");
    let login = [("accesskey", server.user()), ("secretkey", server.password())];
    starts("minio", &[("minio-service.argo-events:9000", &server.address())], &login).await;
    server.create_bucket("photos");
    server.create_bucket("uploads");
    let (user, password) = (format!("access: {}", server.user()), format!("secret: {}", server.password()));
    let login = [("access: zetes", user.as_str()), ("secret: let-me-in-please", password.as_str())];
    own_starts("minio", &[&[("localhost:9000", server.address().as_str())][..], &login].concat()).await;
    own_starts("s3", &[("http://localhost:9000", &server.url())]).await;
}

#[tokio::test]
async fn sqs_and_sns() {
    let server = MotoServer::start();
    let headers = [("x-amz-target", "AmazonSQS.CreateQueue"), ("content-type", "application/x-amz-json-1.0")];
    let answer = server.request("sqs", "POST", "/", &headers, r#"{"QueueName": "test"}"#);
    assert_eq!(answer.map(|answer| answer.status), Some(200));
    let endpoint = format!("region: us-east-1\n      endpoint: {}", server.url());
    for name in ["aws-sqs", "aws-sns"] {
        starts(name, &[("region: us-east-1", &endpoint)], &[]).await;
    }
    let answer = server.request("sqs", "POST", "/", &headers, r#"{"QueueName": "orders"}"#);
    assert_eq!(answer.map(|answer| answer.status), Some(200));
    for name in ["sqs", "sns"] {
        own_starts(name, &[("http://localhost:4566", &server.url()), ("eu-west-1", "us-east-1")]).await;
    }
}
