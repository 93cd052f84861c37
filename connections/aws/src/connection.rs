//! A connection: what SDK clients are made of, and signatures for what has no SDK.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Request, Url};
use tokio::sync::Mutex;
use zetes_runtime::Clock;

use crate::failure::{Failure, Login, Place};

/// Temporary credentials are replaced so long before they end.
const BEFORE_EXPIRY: Duration = Duration::from_mins(5);

/// Who we are to AWS, and where it is. Clients that are made of it share one pool of connections.
#[derive(Debug)]
pub struct Connection {
    config: SdkConfig,
    place: Place,
    login: Login,
    clock: Clock,
    /// Those of the last signature. The clients' own are in their cache.
    known: Mutex<Option<Credentials>>,
}

impl Connection {
    pub(crate) fn new(config: SdkConfig, place: Place, login: Login, clock: Clock) -> Self {
        Self { config, place, login, clock, known: Mutex::default() }
    }

    /// For `Client::new` of an SDK.
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.config
    }

    /// Where a service is: the endpoint of the settings, or Amazon's.
    pub fn address(&self, service: &str) -> String {
        self.place.address(service)
    }

    /// Adds the headers of a `SigV4` signature to a request whose body is not a stream.
    ///
    /// # Errors
    /// No credentials, or a request that can't be signed.
    pub async fn sign(&self, service: &str, request: &mut Request) -> Result<(), Failure> {
        let body = request.body().map_or(Some(&b""[..]), reqwest::Body::as_bytes);
        let body = body.map_or(SignableBody::UnsignedPayload, SignableBody::Bytes);
        let headers =
            request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new(request.method().as_str(), request.url().as_str(), headers, body);
        let signable = signable.map_err(unsignable)?;
        let signed = self.signed(service, signable, settings(service)).await?;
        for header in signed.into_parts().0 {
            let mut value = HeaderValue::from_str(header.value()).map_err(unsignable)?;
            value.set_sensitive(true);
            request.headers_mut().insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }

    /// The address of a GET with a `SigV4` signature in its query, for `valid` from now on.
    ///
    /// # Errors
    /// As for [`Connection::sign`].
    pub async fn presign(&self, service: &str, mut url: Url, valid: Duration) -> Result<Url, Failure> {
        let signable = SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::empty());
        let signable = signable.map_err(unsignable)?;
        let mut settings = settings(service);
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(valid);
        let signed = self.signed(service, signable, settings).await?;
        url.query_pairs_mut().extend_pairs(signed.params());
        Ok(url)
    }

    /// A failed request of an SDK's client: `doing` says which, `code` and `message` are the service's.
    pub fn failed<E: Error + 'static>(
        &self,
        doing: &str,
        error: &SdkError<E, HttpResponse>,
        code: Option<&str>,
        message: Option<&str>,
    ) -> Failure {
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        match (error, code, status) {
            (SdkError::ServiceError(_), Some(code), _) => {
                self.refused(doing, code, message.unwrap_or_default())
            }
            // Questions without a body in the answer, and servers that don't say more.
            (_, _, Some(401 | 403)) => self.refused(doing, "AccessDenied", "without a reason"),
            (error, ..) => self.unreached(doing, error),
        }
    }

    /// What a service answered instead.
    pub fn refused(&self, doing: &str, code: &str, message: &str) -> Failure {
        let text = self.login.refused(&self.place, code, message);
        Failure { code: Some(code.to_owned()), text: format!("{doing}: {text}") }
    }

    /// No answer came, or none that could be read.
    pub fn unreached(&self, doing: &str, error: &(dyn Error + 'static)) -> Failure {
        Failure::new(format!("{doing}: {}", self.place.unreached(&self.login, error)))
    }

    /// The credentials for a signature.
    pub(crate) async fn credentials(&self) -> Result<Credentials, Failure> {
        let mut known = self.known.lock().await;
        if let Some(credentials) = known.as_ref().filter(|known| self.are_good(known)) {
            return Ok(credentials.clone());
        }
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or_else(|| Failure::new(self.login.none_found()))?;
        let fresh = provider.provide_credentials().await;
        let fresh = fresh.map_err(|error| Failure::new(self.login.not_given(&self.place, &error)))?;
        *known = Some(fresh.clone());
        Ok(fresh)
    }

    fn are_good(&self, credentials: &Credentials) -> bool {
        let soon = SystemTime::from(self.clock.now()) + BEFORE_EXPIRY;
        credentials.expiry().is_none_or(|expiry| expiry > soon)
    }

    async fn signed(
        &self,
        service: &str,
        request: SignableRequest<'_>,
        settings: SigningSettings,
    ) -> Result<SigningInstructions, Failure> {
        let identity = Identity::from(self.credentials().await?);
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.place.region)
            .name(service)
            .time(self.clock.now().into())
            .settings(settings)
            .build()
            .map_err(unsignable)?;
        Ok(sign(request, &parameters.into()).map_err(unsignable)?.into_parts().0)
    }
}

/// S3 takes paths as they are, and wants the digest of the body in a header.
fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}

fn unsignable(error: impl Error) -> Failure {
    Failure::new(format!("the request can't be signed: {error}"))
}
