//! A broker that tests share, and who sends to it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use eventsource_core::testkit::Upstream;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};
use zetes_services::RabbitServer;

/// One for all tests that run at the same time. It ends with the last of them.
pub(crate) fn shared() -> Arc<RabbitServer> {
    static SHARED: Mutex<Weak<RabbitServer>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(RabbitServer::start());
        *shared = Arc::downgrade(&server);
        server
    })
}

/// Sends numbered messages `{"n": number}` with that number as their id, each confirmed by the broker.
pub(crate) struct Orders {
    _connection: Connection,
    channel: Channel,
    exchange: String,
}

impl Orders {
    pub(crate) async fn to(url: &str, exchange: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { _connection: connection, channel, exchange: exchange.to_owned() }
    }

    pub(crate) async fn publish(&self, payload: &[u8], properties: BasicProperties) {
        let (exchange, key) = (self.exchange.as_str().into(), "orders.new".into());
        let options = BasicPublishOptions::default();
        let published =
            self.channel.basic_publish(exchange, key, options, payload, properties.with_delivery_mode(2));
        let confirmation = published.await.unwrap().await.unwrap();
        assert!(confirmation.is_ack(), "{confirmation:?}");
    }

    pub(crate) async fn send_anonymous(&self, number: usize) {
        let payload = json!({"n": number}).to_string();
        self.publish(payload.as_bytes(), BasicProperties::default()).await;
    }

    pub(crate) async fn delete(&self, queue: &str) {
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }

    /// Messages in the queue that nobody has in hand.
    pub(crate) async fn waiting(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(queue.into(), options, FieldTable::default()).await;
        queue.unwrap().message_count()
    }
}

impl Upstream for Orders {
    async fn send(&mut self, number: usize) {
        let payload = json!({"n": number}).to_string();
        let id = BasicProperties::default().with_message_id(number.to_string().into());
        self.publish(payload.as_bytes(), id).await;
    }

    fn number(&self, data: &Value) -> usize {
        number(data)
    }
}

pub(crate) fn number(data: &Value) -> usize {
    usize::try_from(data["body"]["n"].as_u64().unwrap()).unwrap()
}
