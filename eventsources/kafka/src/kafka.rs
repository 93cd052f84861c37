//! The adapter: receive, emit, store.

use std::time::Duration;

use eventsource_core::{Context, Draft, Error, EventSource, Pace};
use rdkafka::message::Message as _;
use zetes_api::Invalid;

use crate::client::{Client, Disturbance, Polled};
use crate::config::Config;
use crate::look::Offsets;
use crate::msk::Login;
use crate::place::Cursor;
use crate::reader::Reader;
use crate::record::Shape;
use crate::schemas::Schemas;
use crate::upstream::Upstream;

/// One durable write serves so many records, or so many bytes of them.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;

/// A client that takes longer to end is no reason to wait with the failure.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// The kind `kafka`.
pub struct Kafka {
    client: Client,
    reader: Reader,
    /// Where one partition is read without a group.
    cursor: Option<Cursor>,
    login: Option<Login>,
    pace: Option<Pace>,
}

/// What was read in one go.
#[derive(Default)]
struct Batch {
    drafts: Vec<Draft>,
    bytes: usize,
    /// Behind the last record of each partition.
    next: Offsets,
    /// What ended it.
    end: Option<Error>,
}

impl EventSource for Kafka {
    const KIND: &'static str = "kafka";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        config.check()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let login = match &config.aws_msk_iam_auth {
            Some(auth) => Some(Login::open(auth, cx).await?),
            None => None,
        };
        let schemas = match &config.schema_registry {
            Some(registry) if config.json_body => Some(Schemas::open(registry, cx)?),
            _ => None,
        };
        let shape = Shape {
            origin: format!("{}:{}:{}", cx.source(), cx.event(), config.first_broker()),
            json_body: config.json_body,
            metadata: config.metadata.clone(),
        };
        let upstream = Upstream::new(&config, login.as_ref(), cx)?;
        let (client, cursor) = match &config.consumer_group {
            Some(group) => (upstream.join(group).await?, None),
            None => upstream.assign(config.partition_number(), cx).await?,
        };
        cx.trouble(None);
        Ok(Self {
            client,
            reader: Reader { shape, schemas },
            cursor,
            login,
            pace: Pace::per_second(Some(config.limit_events_per_second)),
        })
    }

    async fn run(mut self, cx: &Context) -> Result<(), Error> {
        let ended = self.receive(cx).await;
        let ending = self.client.end();
        tokio::pin!(ending);
        if tokio::time::timeout(TOLD_AFTER, ending.as_mut()).await.is_err() {
            if let Err(error) = &ended {
                cx.trouble(Some(error.to_string()));
            }
            ending.await;
        }
        ended
    }
}

impl Kafka {
    async fn receive(&mut self, cx: &Context) -> Result<(), Error> {
        while let Some(batch) = self.batch(cx).await? {
            let (count, end) = (batch.drafts.len(), batch.end);
            cx.emit_all(batch.drafts).await?;
            self.settle(batch.next, cx).await?;
            if count > 0 {
                cx.trouble(None);
            }
            if let Some(error) = end {
                return Err(error);
            }
            if let Some(pace) = self.pace
                && !pace.wait(count, cx).await
            {
                break;
            }
        }
        Ok(())
    }

    /// Records that are there, at least one; `None` when it is time to stop.
    async fn batch(&mut self, cx: &Context) -> Result<Option<Batch>, Error> {
        let mut batch = Batch::default();
        // A limit leaves a distance between any two.
        let most = if self.pace.is_some() { 1 } else { BATCH };
        let Self { client, reader, login, .. } = self;
        let mut polled = Some(loop {
            let renewal = async {
                match login {
                    Some(login) => cx.clock().sleep_until(login.due()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = cx.stopped() => return Ok(None),
                () = renewal => {}
                polled = client.next() => break polled,
            }
            if let Some(login) = login {
                login.renew(cx).await?;
            }
        });
        while let Some(one) = polled.take() {
            batch.add(one, client, reader, cx).await;
            if batch.end.is_none() && batch.drafts.len() < most && batch.bytes < BATCH_BYTES {
                polled = client.ready();
            }
        }
        Ok(Some(batch))
    }

    /// The place behind what is durable.
    async fn settle(&mut self, next: Offsets, cx: &Context) -> Result<(), Error> {
        let Some(cursor) = &mut self.cursor else { return self.client.store(&next) };
        if let Some(next) = next.get(&cursor.partition) {
            cursor.next = *next;
            cursor.keep(cx).await?;
        }
        Ok(())
    }
}

impl Batch {
    async fn add(&mut self, polled: Polled<'_>, client: &Client, reader: &mut Reader, cx: &Context) {
        let record = match polled {
            Ok(record) => record,
            Err(error) => match client.disturbance(&error) {
                Disturbance::End(error) => {
                    self.end = Some(error);
                    return;
                }
                Disturbance::Passing => {
                    tracing::debug!(%error, "a Kafka client was disturbed");
                    return;
                }
                Disturbance::Trouble(text) => return cx.trouble(Some(text)),
            },
        };
        match reader.draft(&record).await {
            Ok(draft) => {
                self.drafts.push(draft);
                self.bytes += record.payload_len();
                self.next.insert(record.partition(), record.offset() + 1);
            }
            Err(error) => self.end = Some(error),
        }
    }
}
