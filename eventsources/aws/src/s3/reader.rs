//! From an object to its event.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::Arc;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use eventsource_core::{Body, Draft, Error};
use zetes_api::EventId;

use super::Config;
use super::bucket::Bucket;
use super::listing::Found;
use super::record::{Data, Details, Origin, encoded};

/// Objects that are asked about together; as many contents are in memory at a time.
const ASKED_BATCH: usize = 16;
const LISTED_BATCH: usize = 256;

/// Makes events, and asks for what belongs into them.
pub(super) struct Reader {
    bucket: Arc<Bucket>,
    config: Config,
}

/// Why an object has no details.
enum Refused {
    /// It was replaced or removed since it was listed: it came and went between two looks.
    Gone,
    /// Asking again would not help, though everything is permitted: it is archived, or encrypted with a key of its own.
    Unreadable(String),
    Failed(Error),
}

impl Reader {
    pub(super) fn new(bucket: Arc<Bucket>, config: Config) -> Self {
        Self { bucket, config }
    }

    /// How many events are made and published together.
    pub(super) fn batch(&self) -> usize {
        let Config { content, object_metadata, tags, .. } = self.config;
        if content || object_metadata || tags { ASKED_BATCH } else { LISTED_BATCH }
    }

    /// `None` where the object is gone by now.
    pub(super) async fn draft(&self, object: &Found) -> Result<Option<Draft>, Error> {
        let id = EventId::from(format!(
            "{}/{}/{}/{}",
            self.bucket.name,
            encoded(&object.key),
            object.etag,
            object.modified.as_millisecond()
        ));
        match self.details(object).await {
            Ok(details) => self.event(id, object, &details).map(Some),
            Err(Refused::Gone) => Ok(None),
            Err(Refused::Unreadable(why)) => Ok(Some(Draft::unreadable(Some(id), object.key.clone(), why))),
            Err(Refused::Failed(error)) => Err(error),
        }
    }

    fn event(&self, id: EventId, object: &Found, details: &Details) -> Result<Draft, Error> {
        let body =
            details.content.as_ref().map(|content| Body::of(content, self.config.json_body)).transpose();
        let body = match body {
            Ok(body) => body,
            Err(why) => {
                return Ok(Draft::unreadable(Some(id), details.content.clone().unwrap_or_default(), why));
            }
        };
        let body = if self.config.content { Some(body.unwrap_or(Body::Absent)) } else { None };
        let origin = Origin {
            bucket: &self.bucket.name,
            region: self.config.region(),
            metadata: self.config.metadata.as_ref(),
        };
        Ok(Draft::json(Some(id), &Data::of(object, details, body, origin))?.at(object.modified))
    }

    async fn details(&self, object: &Found) -> Result<Details, Refused> {
        let mut details = Details::default();
        if self.config.content && object.size <= self.config.max_content().unwrap_or_default() {
            self.read(object, &mut details).await?;
        } else if self.config.object_metadata {
            self.head(object, &mut details).await?;
        }
        if self.config.tags {
            details.tags = Some(self.tags(object).await?);
        }
        Ok(details)
    }

    async fn read(&self, object: &Found, details: &mut Details) -> Result<(), Refused> {
        let asked =
            self.bucket.client.get_object().bucket(&self.bucket.name).key(&object.key).if_match(&object.etag);
        let answer = asked.send().await.map_err(|error| self.refused("s3:GetObject", object, &error))?;
        let content = answer.body.collect().await.map_err(|error| {
            Refused::Failed(Error::upstream(format!(
                "bucket `{}`, reading `{}`: {error}",
                self.bucket.name, object.key
            )))
        })?;
        details.content = Some(content.to_vec());
        if self.config.object_metadata {
            details.content_type = answer.content_type;
            details.user_metadata = answer.metadata.map(|metadata| metadata.into_iter().collect());
        }
        Ok(())
    }

    async fn head(&self, object: &Found, details: &mut Details) -> Result<(), Refused> {
        let asked = self
            .bucket
            .client
            .head_object()
            .bucket(&self.bucket.name)
            .key(&object.key)
            .if_match(&object.etag);
        let answer = asked.send().await.map_err(|error| self.refused("s3:GetObject", object, &error))?;
        details.content_type = answer.content_type;
        details.user_metadata = answer.metadata.map(|metadata| metadata.into_iter().collect());
        Ok(())
    }

    async fn tags(&self, object: &Found) -> Result<BTreeMap<String, String>, Refused> {
        let asked = self.bucket.client.get_object_tagging().bucket(&self.bucket.name).key(&object.key);
        let answer =
            asked.send().await.map_err(|error| self.refused("s3:GetObjectTagging", object, &error))?;
        Ok(answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }

    fn refused<E>(&self, right: &str, object: &Found, error: &SdkError<E, HttpResponse>) -> Refused
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let failure = self.bucket.failure(&format!("reading `{}` ({right})", object.key), error);
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        match (status, error.code()) {
            (Some(404 | 412), _) => Refused::Gone,
            (Some(400), _) | (_, Some("InvalidObjectState")) => Refused::Unreadable(failure),
            _ => Refused::Failed(Error::upstream(failure)),
        }
    }
}
