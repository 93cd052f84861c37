//! `s3`: new and changed objects of a bucket, found by looking through it again and again. Zetes' own kind.
//!
//! What was seen is remembered durably: each state of an object that a look finds is one event, also after a restart, with the same id.
//! Objects that come and go between two looks are not seen, and neither are deletions. For a bucket that can tell its changes by itself
//! there are better ways: docs/s3-events.md.

mod bucket;
mod known;
mod listing;
mod reader;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use connection_aws::Settings;
use eventsource_core::{Check, Context, Draft, Error, EventSource, SourceFilter};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef};

use self::bucket::Bucket;
use self::known::Known;
use self::listing::{Found, Listing, Place};
use self::reader::Reader;
use crate::account;

const DEFAULT_REGION: &str = "us-east-1";
const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);
const DEFAULT_REMEMBERED: i64 = 10_000;
const DEFAULT_CONTENT: i64 = 262_144;
/// Objects that are asked about at a time.
const MOST_QUESTIONS: usize = 8;

/// Which objects of which bucket are events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word that people write")]
pub struct Config {
    /// AWS region. Default `us-east-1`.
    pub region: String,
    /// Address of the service, instead of Amazon's, `http://localhost:9000` for example; the bucket then stands in the path. Without a
    /// scheme, as in `minio`, it is HTTPS unless `insecure`.
    pub endpoint: String,
    /// No TLS, where `endpoint` has no scheme.
    pub insecure: bool,
    /// The bucket.
    pub bucket: BucketName,
    /// Secret that holds the access key; with `secretKey`. Default: default AWS credentials.
    pub access_key: Option<SecretKeyRef>,
    /// Secret that holds the secret key; with `accessKey`.
    pub secret_key: Option<SecretKeyRef>,
    /// Secret that holds the session token of temporary keys.
    pub session_token: Option<SecretKeyRef>,
    /// Role that is assumed; the two keys are unused then.
    #[serde(rename = "roleARN")]
    pub role_arn: String,
    /// Secret that holds the PEM certificates which are trusted at `endpoint` instead of the system's.
    pub ca_certificate: Option<SecretKeyRef>,
    /// Which objects are meant, and which events are kept.
    pub filter: Option<Filter>,
    /// Only keys behind this one are listed, in the order of their bytes: for keys that begin with a date, say.
    pub start_after: String,
    /// What becomes of objects that are there at the first look: with `skip`, the default, they are only remembered; with `emit` each is
    /// an event.
    pub existing: Existing,
    /// Time between two looks, `30s` for example. Default `1m`, at least `1s`. A look is one request per 1,000 keys.
    pub interval: String,
    /// Objects that are remembered, the newest, 100 to 20,000. Default 10,000. While there are no more objects than this, every change is
    /// found; beyond, an object is only found if it is newer than all that are remembered no more. It takes 16 bytes per object.
    pub remembered: Option<i64>,
    /// Each event has the object's content under `body`, which takes one request per object.
    pub content: bool,
    /// Bytes of a content, at most 1,048,576. Default 262,144. Of a larger object `body` is `null`.
    pub max_content_bytes: Option<i64>,
    /// The content is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// Each event has the object's content type and user metadata, which takes one request per object.
    pub object_metadata: bool,
    /// Each event has the object's tags, which takes one request per object.
    pub tags: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A bucket.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BucketName {
    /// Its name.
    pub name: String,
}

/// Which objects are meant, by their keys, and which events are kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Filter {
    /// How the key begins.
    pub prefix: String,
    /// How the key ends.
    pub suffix: String,
    /// Boolean expression over the event's data; events for which it is not true are rejected.
    pub expression: String,
}

/// What becomes of objects that are there at the first look.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Existing {
    #[default]
    Skip,
    Emit,
}

impl Config {
    fn settings(&self, cx: &Context) -> Settings {
        Settings {
            region: self.region().to_owned(),
            endpoint: self.endpoint(),
            role_arn: self.role_arn.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            session_token: self.session_token.clone(),
            ca_certificate: self.ca_certificate.clone(),
            ..account::settings(cx)
        }
    }

    fn region(&self) -> &str {
        if self.region.is_empty() { DEFAULT_REGION } else { &self.region }
    }

    fn endpoint(&self) -> String {
        let scheme = if self.insecure { "http" } else { "https" };
        match self.endpoint.as_str() {
            "" => String::new(),
            address if address.contains("://") => address.to_owned(),
            address => format!("{scheme}://{address}"),
        }
    }

    fn interval(&self) -> Option<Duration> {
        if self.interval.is_empty() {
            return Some(DEFAULT_INTERVAL);
        }
        let interval = zetes_gotime::duration::parse(&self.interval).ok()?;
        Duration::try_from(interval).ok().filter(|interval| *interval >= Duration::from_secs(1))
    }

    fn remembered(&self) -> Option<usize> {
        usize::try_from(self.remembered.unwrap_or(DEFAULT_REMEMBERED))
            .ok()
            .filter(|most| (100..=20_000).contains(most))
    }

    fn max_content(&self) -> Option<u64> {
        let most = u64::try_from(self.max_content_bytes.unwrap_or(DEFAULT_CONTENT)).ok();
        most.filter(|most| *most <= 1_048_576)
    }

    /// What a place in the bucket is valid for: for another one it says nothing.
    fn scope(&self) -> String {
        let filter = self.filter.clone().unwrap_or_default();
        let parts = [&self.endpoint(), &self.bucket.name, &filter.prefix, &filter.suffix, &self.start_after];
        parts.map(|part| part.escape_default().to_string()).join(" ")
    }
}

/// The kind `s3`.
pub struct S3 {
    listing: Listing,
    reader: Reader,
    known: Known,
    interval: Duration,
}

impl EventSource for S3 {
    const KIND: &'static str = "s3";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("bucket.name", &config.bucket.name);
        if config.role_arn.is_empty() {
            check.together(
                ("accessKey", config.access_key.is_some()),
                ("secretKey", config.secret_key.is_some()),
            );
        }
        if config.interval().is_none() {
            check
                .bad("interval", format!("expected a duration of `1s` or more, found `{}`", config.interval));
        }
        if config.remembered().is_none() {
            check.bad("remembered", "expected a number from 100 to 20,000");
        }
        if config.max_content().is_none() {
            check.bad("maxContentBytes", "expected a number from 0 to 1,048,576");
        }
        let expression =
            config.filter.as_ref().map(|filter| SourceFilter { expression: filter.expression.clone() });
        check.filter(expression.as_ref());
        check.end()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let aws = config.settings(cx).connect().await.map_err(Error::upstream)?;
        let bucket = Arc::new(Bucket::new(aws, config.bucket.name.clone(), !config.endpoint.is_empty()));
        let filter = config.filter.clone().unwrap_or_default();
        let listing = Listing::new(bucket.clone(), filter, config.start_after.clone());
        listing.check().await.map_err(Error::upstream)?;
        let most = config.remembered().unwrap_or_default();
        let known = Known::new(config.scope(), most, config.existing);
        let known = known.restored(cx.cursor().await?.as_deref());
        let interval = config.interval().unwrap_or(DEFAULT_INTERVAL);
        Ok(Self { reader: Reader::new(bucket, config), listing, known, interval })
    }

    async fn run(mut self, cx: &Context) -> Result<(), Error> {
        while self.look(cx).await? && cx.pause(self.interval).await {}
        Ok(())
    }
}

impl S3 {
    /// One look through the bucket; `false` when it is time to stop first.
    async fn look(&mut self, cx: &Context) -> Result<bool, Error> {
        let mut after = self.known.begin();
        let mut place = after.clone().map_or(self.listing.begin(), Place::After);
        loop {
            let Some(page) = cx.unless_stopped(self.listing.page(&place)).await else { return Ok(false) };
            let page = page.map_err(Error::upstream)?;
            let new = self.known.new_ones(page.objects);
            if !self.take(&new, cx).await? {
                cx.set_cursor(self.known.written(after).into()).await?;
                return Ok(false);
            }
            let Some(next) = page.next else { break };
            (place, after) = (next, Some(page.last));
            if self.known.emits() && !new.is_empty() {
                cx.set_cursor(self.known.written(after.clone()).into()).await?;
            }
        }
        cx.trouble(self.known.end(cx.clock().now()));
        if self.known.has_changed() {
            cx.set_cursor(self.known.written(None).into()).await?;
        }
        Ok(true)
    }

    /// Makes events of what is new, and remembers it; `false` when it is time to stop first.
    async fn take(&mut self, new: &[Found], cx: &Context) -> Result<bool, Error> {
        if !self.known.emits() {
            self.known.remember(new);
            return Ok(true);
        }
        for batch in new.chunks(self.reader.batch()) {
            let Some(drafts) = cx.unless_stopped(self.drafts(batch)).await else { return Ok(false) };
            cx.emit_all(drafts?).await?;
            self.known.remember(batch);
        }
        Ok(true)
    }

    async fn drafts(&self, batch: &[Found]) -> Result<Vec<Draft>, Error> {
        let questions: Vec<_> = batch.iter().map(|object| self.reader.draft(object)).collect();
        let drafts: Vec<_> = stream::iter(questions).buffered(MOST_QUESTIONS).try_collect().await?;
        Ok(drafts.into_iter().flatten().collect())
    }
}
