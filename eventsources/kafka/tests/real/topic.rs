//! A topic of a test's own.

use std::time::Duration;

use eventsource_core::testkit::Upstream;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer as _};
use serde_json::{Value, json};
use zetes_runtime::random_id;
use zetes_services::{Services, SharedKafka};

const PATIENCE: Duration = Duration::from_secs(30);
/// More than the bus takes.
const LARGEST: &str = "4194304";

pub(crate) struct Topic {
    pub(crate) address: String,
    pub(crate) name: String,
    producer: FutureProducer,
}

pub(crate) fn shared() -> SharedKafka {
    Services::get().kafka.expect("the shared broker runs")
}

impl Topic {
    /// On the shared broker.
    pub(crate) async fn new(partitions: i32) -> Self {
        Self::at(&shared().plaintext, partitions).await
    }

    pub(crate) async fn at(address: &str, partitions: i32) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", address).set("message.max.bytes", LARGEST).set("linger.ms", "0");
        let topic = Self {
            address: address.to_owned(),
            name: format!("source-{}", random_id()),
            producer: config.create().unwrap(),
        };
        topic.create(partitions).await;
        topic
    }

    pub(crate) async fn create(&self, partitions: i32) {
        let topic = NewTopic::new(&self.name, partitions, TopicReplication::Fixed(1))
            .set("max.message.bytes", LARGEST);
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let created = self.admin().create_topics([&topic], &options).await.unwrap();
        assert_eq!(created, [Ok(self.name.clone())]);
    }

    pub(crate) async fn delete(&self) {
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let deleted = self.admin().delete_topics(&[&self.name], &options).await.unwrap();
        assert_eq!(deleted, [Ok(self.name.clone())]);
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.address).create().unwrap()
    }

    /// Read by a new group from the beginning.
    pub(crate) fn config(&self) -> Value {
        json!({
            "url": self.address,
            "topic": self.name,
            "consumerGroup": {"groupName": self.name, "oldest": true},
            "jsonBody": true,
        })
    }

    /// With other members of the configuration.
    pub(crate) fn config_with(&self, more: &Value) -> Value {
        let mut config = self.config();
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    }

    pub(crate) async fn send_value(&self, value: &[u8]) {
        self.send_record(FutureRecord::<(), _>::to(&self.name).payload(value)).await;
    }

    pub(crate) async fn send_number(&self, number: usize) {
        self.send_value(number.to_string().as_bytes()).await;
    }

    pub(crate) async fn send_to(&self, partition: i32, number: usize) {
        let text = number.to_string();
        let record = FutureRecord::<(), _>::to(&self.name).partition(partition).payload(&text);
        self.send_record(record).await;
    }

    pub(crate) async fn send_tombstone(&self, key: &str, headers: &[(&str, &str)]) {
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(*value) })
        });
        let record = FutureRecord::<_, ()>::to(&self.name).key(key).headers(headers);
        self.send_record(record).await;
    }

    async fn send_record<K, P>(&self, record: FutureRecord<'_, K, P>)
    where
        K: rdkafka::message::ToBytes + ?Sized,
        P: rdkafka::message::ToBytes + ?Sized,
    {
        self.producer.send(record, PATIENCE).await.unwrap();
    }

    /// In a transaction that is aborted.
    pub(crate) async fn send_aborted(&self, number: usize) {
        let (address, name) = (self.address.clone(), self.name.clone());
        let sent = tokio::task::spawn_blocking(move || {
            let producer: BaseProducer = ClientConfig::new()
                .set("bootstrap.servers", &address)
                .set("transactional.id", &name)
                .create()
                .unwrap();
            producer.init_transactions(PATIENCE).unwrap();
            producer.begin_transaction().unwrap();
            let text = number.to_string();
            producer.send(BaseRecord::<(), _>::to(&name).payload(&text)).unwrap();
            producer.flush(PATIENCE).unwrap();
            producer.abort_transaction(PATIENCE).unwrap();
        });
        sent.await.unwrap();
    }

    /// Many at once.
    pub(crate) async fn send_many(&self, numbers: std::ops::Range<usize>) {
        let mut waiting = Vec::new();
        for number in numbers {
            let text = number.to_string();
            let mut record = FutureRecord::to(&self.name).key(&text).payload(&text);
            loop {
                match self.producer.send_result(record) {
                    Ok(sent) => break waiting.push(sent),
                    Err((_full, again)) => {
                        for sent in waiting.drain(..) {
                            sent.await.unwrap().unwrap();
                        }
                        record = again;
                    }
                }
            }
        }
        for sent in waiting {
            sent.await.unwrap().unwrap();
        }
    }
}

impl Upstream for Topic {
    async fn send(&mut self, number: usize) {
        self.send_number(number).await;
    }

    fn number(&self, data: &Value) -> usize {
        number(data)
    }
}

/// Which record an event was made of.
pub(crate) fn number(data: &Value) -> usize {
    usize::try_from(data["body"].as_u64().unwrap()).unwrap()
}
