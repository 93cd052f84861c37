//! From a configuration to a client that reads.

use connection_kafka::{Context as ClientContext, Settings};
use eventsource_core::{Context, Error};
use rdkafka::ClientConfig;
use zetes_api::ConsumerGroup;

use crate::client::Client;
use crate::config::Config;
use crate::look::Look;
use crate::msk::Login;
use crate::place::{Beginning, Cursor, begin_group, begin_partition};
use crate::sarama::ClientSettings;

/// What holds where `config` says nothing. The last four are those of the reference.
const DEFAULTS: [(&str, &str); 14] = [
    ("enable.auto.commit", "true"),
    ("enable.auto.offset.store", "false"),
    ("auto.commit.interval.ms", "1000"),
    ("allow.auto.create.topics", "false"),
    ("isolation.level", "read_committed"),
    ("socket.timeout.ms", "30000"),
    ("topic.metadata.refresh.interval.ms", "30000"),
    // How long a topic may be missing before it is taken for deleted: it was there at the start.
    ("topic.metadata.propagation.max.ms", "2000"),
    ("queued.max.messages.kbytes", "16384"),
    // Its default of a second is how long a reader that keeps up would wait again and again.
    ("fetch.queue.backoff.ms", "5"),
    ("fetch.wait.max.ms", "500"),
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "3000"),
    ("max.poll.interval.ms", "60000"),
];

/// What clients are made of.
pub(crate) struct Upstream {
    config: ClientConfig,
    context: ClientContext,
    topic: String,
    beginning: Option<bool>,
}

impl Upstream {
    pub(crate) fn new(config: &Config, login: Option<&Login>, cx: &Context) -> Result<Self, Error> {
        let connection: Settings = config.connection(cx);
        let (settings, _told_at_load) = ClientSettings::read(&config.config);
        let mut client = connection.client_config().map_err(Error::upstream)?;
        let context = match login {
            Some(login) => {
                client.set("security.protocol", "sasl_ssl").set("sasl.mechanism", "OAUTHBEARER");
                ClientContext::with_token(connection, login.token())
            }
            None => ClientContext::new(connection),
        };
        for (name, value) in DEFAULTS {
            client.set(name, value);
        }
        for (name, value) in &settings.properties {
            client.set(*name, value);
        }
        lengthen_polls(&mut client);
        Ok(Self { config: client, context, topic: config.topic.clone(), beginning: settings.oldest })
    }

    /// A member of a group.
    pub(crate) async fn join(self, group: &ConsumerGroup) -> Result<Client, Error> {
        let strategy = match group.rebalance_strategy.as_str() {
            "sticky" => "cooperative-sticky",
            "roundrobin" => "roundrobin",
            _ => "range",
        };
        let name = group.group_name.clone();
        let beginning = Beginning::of(group.oldest || self.beginning == Some(true));
        blocking(move || {
            let mut config = self.config;
            config.set("group.id", &name).set("partition.assignment.strategy", strategy);
            let look = Look::open(&config, self.context.clone(), &self.topic, &name)?;
            let beginning = begin_group(&look, beginning);
            look.end();
            config.set("auto.offset.reset", beginning?.reset());
            Client::join(&config, self.context, &self.topic, &name)
        })
        .await
    }

    /// A reader of one partition.
    pub(crate) async fn assign(
        self,
        partition: Option<i32>,
        cx: &Context,
    ) -> Result<(Client, Option<Cursor>), Error> {
        let partition =
            partition.ok_or_else(|| Error::permanent("`partition` is no number of a partition"))?;
        let kept = Cursor::kept(&self.topic, partition, cx).await?;
        let is_new = kept.is_none();
        let beginning = Beginning::of(self.beginning == Some(true));
        let (client, cursor) = blocking(move || {
            let mut config = self.config;
            // It is never joined: the client wants a name for one.
            config.set("group.id", "zetes").set("enable.auto.commit", "false");
            config.set("auto.offset.reset", "earliest");
            let look = Look::open(&config, self.context.clone(), &self.topic, "")?;
            let begun = begin_partition(&look, (&self.topic, partition), beginning);
            look.end();
            let cursor = begun.map(|begun| kept.unwrap_or(begun))?;
            Ok((Client::assign(&config, self.context, &cursor)?, cursor))
        })
        .await?;
        if is_new {
            cursor.keep(cx).await?;
        }
        Ok((client, Some(cursor)))
    }
}

/// The client wants a member to be waited for at least as long as its session lasts.
fn lengthen_polls(client: &mut ClientConfig) {
    let of = |name| client.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let longest = of("session.timeout.ms").max(of("max.poll.interval.ms"));
    client.set("max.poll.interval.ms", longest.to_string());
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(Error::upstream)?
}
