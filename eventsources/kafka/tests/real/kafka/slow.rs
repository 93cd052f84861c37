//! With brokers of the test's own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eventsource_core::testkit::{Kit, eventually};
use eventsource_kafka::Kafka;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use serde_json::{Value, json};
use zetes_runtime::Clock;
use zetes_services::KafkaBroker;

use crate::topic::{Topic, number};

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let mut broker = KafkaBroker::start();
    let topic = Topic::at(&broker.address(), 1).await;
    let kit = Kit::new();
    let source = kit.start::<Kafka>(topic.config());
    topic.send_number(0).await;
    kit.events(1).await;
    broker.kill();
    let told = source.failure().await;
    assert!(told.contains("can be reached"), "{told}");
    broker.restart();
    topic.send_number(1).await;
    let numbers: Vec<_> = kit.data(2).await.iter().map(number).collect();
    assert_eq!(numbers, [0, 1]);
    source.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_not_there_at_the_start_is_told_once_and_found() {
    let mut broker = KafkaBroker::start();
    let topic = Topic::at(&broker.address(), 1).await;
    topic.send_number(0).await;
    broker.stop();
    let kit = Kit::new();
    let source = kit.start::<Kafka>(topic.config());
    let told = source.failure().await;
    assert!(told.contains("can be reached"), "{told}");
    broker.restart();
    assert_eq!(number(&kit.data(1).await[0]), 0);
    source.stop().await;
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_noticed() {
    let mut broker = KafkaBroker::start();
    let topic = Topic::at(&broker.address(), 1).await;
    let kit = Kit::new();
    let mut config = topic.config();
    config["config"] = "net: {readTimeout: 2s}".into();
    let source = kit.start::<Kafka>(config);
    topic.send_number(0).await;
    kit.events(1).await;
    broker.pause();
    source.failure().await;
    broker.restart();
    topic.send_number(1).await;
    eventually("the next record", async || (kit.data(0).await.len() == 2).then_some(())).await;
    source.stop().await;
}

/// The broker's second listener, by which it would talk to itself, takes tokens that nobody signed.
const BY_TOKEN: &str = "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INSIDE:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=OAUTHBEARER
listener.name.inside.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"admin\";
";

async fn second_listener(broker: &KafkaBroker) -> String {
    let admin: AdminClient<_> =
        ClientConfig::new().set("bootstrap.servers", broker.address()).create().unwrap();
    let described =
        admin.describe_configs([&ResourceSpecifier::Broker(1)], &AdminOptions::new()).await.unwrap();
    let entries = described.into_iter().flat_map(|described| described.unwrap().entries);
    let listeners = entries.filter(|entry| entry.name == "listeners").find_map(|entry| entry.value).unwrap();
    listeners.split(',').find_map(|one| one.strip_prefix("INSIDE://")).unwrap().to_owned()
}

fn token(lifetime: i64) -> String {
    let now = Clock::system().now().as_second();
    let claims = json!({"sub": "zetes", "iat": now, "exp": now + lifetime});
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}.", encode(&json!({"alg": "none"})), encode(&claims))
}

#[tokio::test]
async fn a_token_logs_in_and_an_old_one_is_told() {
    let broker = KafkaBroker::start_with(BY_TOKEN);
    let topic = Topic::at(&broker.address(), 1).await;
    topic.send_number(3).await;
    let key = |key: &str| json!({"name": "kafka", "key": key});
    let sasl = json!({"mechanism": "OAUTHBEARER", "userSecret": key("user"), "passwordSecret": key("token")});
    let kit = Kit::new().with_secret("kafka", "user", "zetes").with_secret("kafka", "token", &token(-600));
    let mut config = topic.config();
    config["url"] = second_listener(&broker).await.into();
    config["sasl"] = sasl;
    let source = kit.start::<Kafka>(config);
    let told = source.failure().await;
    assert!(told.contains("refused the login by OAUTHBEARER"), "{told}");
    kit.set_secret("kafka", "token", &token(600));
    assert_eq!(number(&kit.data(1).await[0]), 3);
    source.stop().await;
}
