//! Who sends to a broker.

use eventsource_core::testkit::Upstream;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, PublishOptions, QoS};
use serde_json::{Value, json};

/// Sends numbered messages `{"n": number}`, each acknowledged by the broker.
pub(crate) struct Orders {
    client: AsyncClient,
    events: EventLoop,
}

impl Orders {
    pub(crate) fn to(port: u16) -> Self {
        let mut options = MqttOptions::new("sender", ("127.0.0.1", port));
        options.set_max_packet_size(20_000_000, 20_000_000);
        let (client, events) = AsyncClient::builder(options).capacity(10).build();
        Self { client, events }
    }

    /// Returns when the broker has it.
    pub(crate) async fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) {
        let options = PublishOptions::new(QoS::AtLeastOnce);
        self.client.try_publish(topic, payload.into(), options).unwrap();
        while !matches!(self.events.poll().await.unwrap(), Event::Incoming(Packet::PubAck(_))) {}
    }
}

impl Upstream for Orders {
    async fn send(&mut self, number: usize) {
        self.publish("orders/new", json!({"n": number}).to_string()).await;
    }

    fn number(&self, data: &Value) -> usize {
        number(data)
    }
}

pub(crate) fn number(data: &Value) -> usize {
    usize::try_from(data["body"]["n"].as_u64().unwrap()).unwrap()
}
