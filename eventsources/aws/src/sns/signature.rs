//! Amazon's signature on what SNS posts.
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html>

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventsource_core::Refusal;
use jiff::Timestamp;
use reqwest::{Client, Url};
use x509_parser::pem::parse_x509_pem;
use zetes_runtime::Clock;

use super::Post;

/// Certificates that are remembered. Amazon changes its own about once a year.
const MOST_CERTIFICATES: usize = 16;
/// Bytes of a certificate.
const MOST_BYTES: usize = 65_536;

/// Verifies signatures, and remembers the certificates that it fetched.
pub(super) struct Signatures {
    http: Client,
    /// A host that is trusted besides Amazon's; none where it is empty.
    other_host: String,
    clock: Clock,
    known: Mutex<BTreeMap<String, Arc<Certificate>>>,
}

struct Certificate {
    public_key: Vec<u8>,
    not_before: i64,
    not_after: i64,
}

impl Signatures {
    pub(super) fn new(http: Client, other_host: String, clock: Clock) -> Self {
        Self { http, other_host, clock, known: Mutex::default() }
    }

    /// # Errors
    /// 401: it is not Amazon's. 503: its certificate can't be fetched now.
    pub(super) async fn verify(&self, post: &Post) -> Result<(), Refusal> {
        let version = post.signature_version.as_deref().unwrap_or_default();
        let algorithm = algorithm(version).ok_or_else(|| refused("`SignatureVersion` is neither 1 nor 2"))?;
        let signature = STANDARD.decode(post.signature.as_deref().unwrap_or_default());
        let signature = signature.map_err(|_| refused("`Signature` is not base64 text"))?;
        let certificate = self.certificate(post.signing_cert_url.as_deref().unwrap_or_default()).await?;
        certificate.verify(algorithm, post, &signature)
    }

    async fn certificate(&self, address: &str) -> Result<Arc<Certificate>, Refusal> {
        let url = self.trusted(address)?;
        let found = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned();
        let certificate = match found {
            Some(certificate) => certificate,
            None => Arc::new(self.fetched(url).await?),
        };
        let now = self.clock.now();
        if !certificate.is_valid(now) {
            return Err(refused("its certificate is not valid now"));
        }
        self.remember(address, &certificate);
        Ok(certificate)
    }

    fn remember(&self, address: &str, certificate: &Arc<Certificate>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_CERTIFICATES && !known.contains_key(address) {
            known.clear();
        }
        known.insert(address.to_owned(), certificate.clone());
    }

    /// Where anybody could have put a certificate, it says nothing.
    fn trusted(&self, address: &str) -> Result<Url, Refusal> {
        let url = Url::parse(address).ok().filter(|url| url.scheme() == "https" && url.username().is_empty());
        let url = url.ok_or_else(|| refused("`SigningCertURL` is no https address"))?;
        let host = url.host_str().unwrap_or_default();
        let place = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let is_other = !self.other_host.is_empty() && place == self.other_host;
        if is_other || is_amazons(&place) {
            Ok(url)
        } else {
            Err(refused("`SigningCertURL` is not Amazon's"))
        }
    }

    async fn fetched(&self, url: Url) -> Result<Certificate, Refusal> {
        let failed =
            |why: &dyn Display| Refusal::later(format!("the signing certificate can't be fetched: {why}"));
        let mut answer = self.http.get(url.clone()).send().await.map_err(|error| failed(&error))?;
        // Whoever sends us elsewhere is not trusted for what is there.
        if !answer.status().is_success() || *answer.url() != url {
            return Err(failed(&answer.status()));
        }
        let mut pem = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| failed(&error))? {
            pem.extend_from_slice(&piece);
            if pem.len() > MOST_BYTES {
                return Err(refused("its certificate is too large"));
            }
        }
        Certificate::read(&pem).ok_or_else(|| refused("`SigningCertURL` holds no certificate"))
    }
}

impl Certificate {
    fn read(pem: &[u8]) -> Option<Self> {
        let (_, pem) = parse_x509_pem(pem).ok()?;
        let certificate = pem.parse_x509().ok()?;
        let validity = certificate.validity();
        Some(Self {
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        })
    }

    fn verify(
        &self,
        algorithm: &'static RsaParameters,
        post: &Post,
        signature: &[u8],
    ) -> Result<(), Refusal> {
        let key = UnparsedPublicKey::new(algorithm, &self.public_key);
        key.verify(signed_text(post).as_bytes(), signature)
            .map_err(|_| refused("it does not fit the message"))
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now.as_second())
    }
}

fn algorithm(version: &str) -> Option<&'static RsaParameters> {
    match version {
        "1" => Some(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        "2" => Some(&RSA_PKCS1_2048_8192_SHA256),
        _ => None,
    }
}

/// A name and a value on lines of their own, for each member that is there, in the order of the names.
fn signed_text(post: &Post) -> String {
    let confirms = post.r#type.as_deref() != Some("Notification");
    let members = [
        ("Message", &post.message),
        ("MessageId", &post.message_id),
        if confirms { ("SubscribeURL", &post.subscribe_url) } else { ("Subject", &post.subject) },
        ("Timestamp", &post.timestamp),
        ("Token", if confirms { &post.token } else { &None }),
        ("TopicArn", &post.topic_arn),
        ("Type", &post.r#type),
    ];
    let lines = members.iter().filter_map(|(name, value)| Some(format!("{name}\n{}\n", value.as_deref()?)));
    lines.collect()
}

/// `sns.<region>.amazonaws.com`, or `.com.cn`.
fn is_amazons(host: &str) -> bool {
    let region = host.strip_prefix("sns.").and_then(|rest| {
        rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
    });
    region.is_some_and(|region| {
        region.len() >= 3 && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

fn refused(why: &str) -> Refusal {
    Refusal::unauthenticated(format!("signature not accepted: {why}"))
}

#[cfg(test)]
mod tests;
