//! The pages of a bucket's listing.

use std::sync::Arc;

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::Filter;
use super::bucket::Bucket;

/// Lists what a filter means.
pub(super) struct Listing {
    bucket: Arc<Bucket>,
    filter: Filter,
    start_after: String,
}

/// Where a listing goes on.
pub(super) enum Place {
    /// Behind this key, `""` being before all.
    After(String),
    /// Where the server said.
    Token(String),
}

/// Some objects, in the order of the bytes of their keys.
pub(super) struct Page {
    pub(super) objects: Vec<Found>,
    /// The last key, also of an object that is not meant.
    pub(super) last: String,
    pub(super) next: Option<Place>,
}

/// The state of an object that a listing shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) key: String,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) size: u64,
    pub(super) modified: Timestamp,
}

impl Listing {
    pub(super) fn new(bucket: Arc<Bucket>, filter: Filter, start_after: String) -> Self {
        Self { bucket, filter, start_after }
    }

    pub(super) fn begin(&self) -> Place {
        Place::After(self.start_after.clone())
    }

    /// Whether it can be listed at all.
    pub(super) async fn check(&self) -> Result<(), String> {
        self.ask(&self.begin(), Some(1)).await.map(drop)
    }

    pub(super) async fn page(&self, place: &Place) -> Result<Page, String> {
        let answer = self.ask(place, None).await?;
        let is_encoded = answer.encoding_type == Some(EncodingType::Url);
        let more = answer.is_truncated.unwrap_or_default();
        let token = answer.next_continuation_token.filter(|_| more);
        let listed: Vec<_> = answer
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|one| found(one, is_encoded))
            .collect();
        let last = listed.last().map(|object| object.key.clone()).unwrap_or_default();
        let objects = listed.into_iter().filter(|object| object.key.ends_with(&self.filter.suffix)).collect();
        Ok(Page { objects, last, next: token.map(Place::Token) })
    }

    async fn ask(&self, place: &Place, most: Option<i32>) -> Result<ListObjectsV2Output, String> {
        let request =
            self.bucket.client.list_objects_v2().bucket(&self.bucket.name).encoding_type(EncodingType::Url);
        let prefix = Some(self.filter.prefix.clone()).filter(|prefix| !prefix.is_empty());
        let request = request.set_prefix(prefix).set_max_keys(most);
        let request = match place {
            Place::After(key) if key.is_empty() => request,
            Place::After(key) => request.start_after(key),
            Place::Token(token) => request.continuation_token(token),
        };
        request.send().await.map_err(|error| self.bucket.failure("listing it (s3:ListBucket)", &error))
    }
}

/// `None` for what has no key or no time, which no server sends.
fn found(object: Object, is_encoded: bool) -> Option<Found> {
    let key = object.key?;
    let modified = object.last_modified?;
    let subsecond = i32::try_from(modified.subsec_nanos()).ok()?;
    Some(Found {
        key: if is_encoded { decoded(&key) } else { key },
        etag: object.e_tag.unwrap_or_default().trim_matches('"').to_owned(),
        size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        modified: Timestamp::new(modified.secs(), subsecond).ok()?,
    })
}

/// A space may be written `+`; a plus never is.
fn decoded(key: &str) -> String {
    percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn keys_come_encoded_in_either_way() {
        for (encoded, key) in
            [("a%2Fb+c", "a/b c"), ("a/b%20c", "a/b c"), ("1%2B1", "1+1"), ("%C3%A9%01", "é\u{1}")]
        {
            assert_eq!(decoded(encoded), key);
        }
    }
}
