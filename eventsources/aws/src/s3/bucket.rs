//! A bucket, and what its server's refusals mean.

use std::error::Error;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{Builder, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use connection_aws::Connection;

/// A bucket and the client that reads it.
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) client: Client,
    aws: Connection,
}

impl Bucket {
    /// With `in_path` its name stands in the path, as servers want it that are not Amazon's. They often know no checksums, either.
    pub(super) fn new(aws: Connection, name: String, in_path: bool) -> Self {
        let settings = Builder::from(aws.sdk_config())
            .force_path_style(in_path)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        Self { name, client: Client::from_conf(settings.build()), aws }
    }

    /// Why something could not be done, in one sentence: `doing` names the right that it takes.
    pub(super) fn failure<E>(&self, doing: &str, error: &SdkError<E, HttpResponse>) -> String
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (name, here) = (&self.name, self.aws.address("s3"));
        let doing = format!("bucket `{name}`, {doing}");
        let failure = self.aws.failed(&doing, error, error.code(), error.message());
        if failure.is_one_of(&["NoSuchBucket"]) {
            return format!(
                "bucket `{name}` does not exist at {here}; create it, or correct `bucket.name` or `endpoint`"
            );
        }
        if failure.is_one_of(&[
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
        ]) {
            return format!("{failure}: the bucket is in another region; correct `region`");
        }
        failure.text
    }
}
