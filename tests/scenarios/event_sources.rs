//! Event sources in the real executable, against their real servers: SIGKILL at any moment, and nothing that was acknowledged
//! upstream is missing.

use std::collections::BTreeSet;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use zetes_services::{KafkaBroker, MosquittoServer, MotoServer, RabbitServer, RedisServer};

use crate::harness::{Target, Zetes, eventually, spawn};

const MESSAGES: usize = 300;
/// After each so many messages the process is killed, and the next ones are sent while nothing runs.
const BETWEEN_KILLS: usize = 100;
const WHILE_DOWN: usize = 20;

/// An EventSource of this kind, and a Sensor that calls the target with the number in each of its events.
fn manifest(kind: &str, config: &Value, number: &str, target: &Target) -> String {
    let source = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "EventSource", "metadata": {"name": "source"},
        "spec": {kind: {"message": config}},
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "aws"},
        "stringData": {"access": "key", "secret": "secret"},
    });
    let http = json!({
        "url": target.url("/message"), "method": "POST",
        "payload": [{"src": {"dependencyName": "message", "dataKey": number}, "dest": "number"}],
    });
    let sensor = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor", "metadata": {"name": "caller"},
        "spec": {
            "dependencies": [{"name": "message", "eventSourceName": "source", "eventName": "message"}],
            "triggers": [{
                "template": {"name": "call", "http": http},
                "retryStrategy": {"steps": 100_000, "duration": "100ms", "jitter": 0},
            }],
        },
    });
    format!("{source}\n---\n{secret}\n---\n{sensor}\n")
}

/// Sends numbers, kills the process again and again, and waits until the target has each of them.
async fn survives_kills(kind: &str, config: Value, number: &str, mut send: impl AsyncFnMut(usize)) {
    let target = Target::start().await;
    let mut zetes = Zetes::with(&[("source.json", "")]);
    zetes.write("source.yaml", &manifest(kind, &config, number, &target));
    std::fs::remove_file(zetes.manifests().join("source.json")).unwrap();
    zetes.start().await;
    for number in 0..MESSAGES {
        send(number).await;
        match number % BETWEEN_KILLS {
            60 => zetes.kill().await,
            at if at == 60 + WHILE_DOWN => zetes.start().await,
            _ => {}
        }
    }
    let expected: BTreeSet<String> =
        (0..MESSAGES).map(|number| format!(r#"{{"number":"{number}"}}"#)).collect();
    eventually("every number to be called with", || async {
        let called: BTreeSet<String> = target.effects().into_values().collect();
        (called == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn records_of_kafka_survive_kills() {
    let broker = KafkaBroker::shared();
    let topic = format!("survives-{}", zetes_runtime::random_id());
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &broker.plaintext).create().unwrap();
    let config = json!({
        "url": broker.plaintext, "topic": topic, "jsonBody": true,
        "consumerGroup": {"groupName": topic, "oldest": true},
    });
    let send = async |number: usize| {
        let body = json!({"number": number}).to_string();
        let record = FutureRecord::<(), _>::to(&topic).payload(&body);
        producer.send(record, Duration::from_secs(10)).await.unwrap();
    };
    let admin: AdminClient<_> =
        ClientConfig::new().set("bootstrap.servers", &broker.plaintext).create().unwrap();
    let one_partition = NewTopic::new(&topic, 1, TopicReplication::Fixed(1));
    admin.create_topics([&one_partition], &AdminOptions::new()).await.unwrap();
    survives_kills("kafka", config, "body.number", send).await;
}

#[tokio::test]
async fn entries_of_redis_streams_survive_kills() {
    let server = RedisServer::start();
    let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut add = async |number: usize| {
        let id: String = redis::cmd("XADD")
            .arg(&["orders", "*", "number"])
            .arg(number)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert!(!id.is_empty());
    };
    // The stream must be there, and a new group sees what comes after it.
    add(0).await;
    let config = json!({"hostAddress": server.address(), "streams": ["orders"]});
    survives_kills("redisStream", config, "values.number", add).await;
}

#[tokio::test]
async fn messages_of_sqs_survive_kills() {
    let server = MotoServer::start();
    let aws = |action: &str, fields: Value| {
        let target = format!("AmazonSQS.{action}");
        let headers = [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.0")];
        let answer = server.request("sqs", "POST", "/", &headers, &fields.to_string());
        let answer = answer.expect("moto answers");
        serde_json::from_str::<Value>(&answer.body).unwrap()
    };
    let queue = aws("CreateQueue", json!({"QueueName": "orders"}))["QueueUrl"].clone();
    let send = async |number: usize| {
        let body = json!({"number": number}).to_string();
        let sent = aws("SendMessage", json!({"QueueUrl": queue, "MessageBody": body}));
        assert!(sent["MessageId"].is_string(), "{sent}");
    };
    let key = |key: &str| json!({"name": "aws", "key": key});
    let config = json!({
        "region": "us-east-1", "queue": "orders", "jsonBody": true, "waitTimeSeconds": 1, "visibilityTimeoutSeconds": 2, "endpoint": server.url(),
        "accessKey": key("access"), "secretKey": key("secret"),
    });
    survives_kills("sqs", config, "body.number", send).await;
}

#[tokio::test]
async fn messages_of_mqtt_survive_kills_with_qos_1() {
    let server = MosquittoServer::start();
    let mut options = rumqttc::MqttOptions::new("sender", ("127.0.0.1", server.port()));
    options.set_keep_alive(10);
    let (client, mut polled) = rumqttc::AsyncClient::builder(options).capacity(10).build();
    let polling = spawn(async move { while polled.poll().await.is_ok() {} });
    let config = json!({
        "url": server.url(), "topic": "orders", "clientId": "zetes", "jsonBody": true, "qos": 1, "cleanSession": false,
    });
    let send = async |number: usize| {
        let body = json!({"number": number}).to_string();
        client.publish("orders", body, rumqttc::PublishOptions::at_least_once()).await.unwrap();
    };
    survives_kills("mqtt", config, "body.number", send).await;
    drop(polling);
}

#[tokio::test]
async fn messages_of_amqp_survive_kills() {
    let server = RabbitServer::start();
    let connection = lapin::Connection::connect(&server.url(), lapin::ConnectionProperties::default()).await;
    let channel = connection.unwrap().create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let config = json!({
        "url": server.url(), "exchangeName": "orders", "exchangeType": "direct", "routingKey": "new", "jsonBody": true,
        "queueDeclare": {"name": "orders", "durable": true}, "consume": {"autoAck": false},
    });
    let declared = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare("orders".into(), declared, lapin::types::FieldTable::default()).await.unwrap();
    let send = async |number: usize| {
        let body = json!({"number": number}).to_string();
        let properties = lapin::BasicProperties::default().with_message_id(format!("m-{number}").into());
        let options = BasicPublishOptions::default();
        // The default exchange leads to the queue of that name, whether it is bound or not.
        let sent = channel.basic_publish("".into(), "orders".into(), options, body.as_bytes(), properties);
        sent.await.unwrap().await.unwrap();
    };
    survives_kills("amqp", config, "body.number", send).await;
}
