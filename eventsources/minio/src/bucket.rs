//! A bucket on a server, and the request that listens to it.

use std::time::Duration;

use connection_aws::{Connection, Settings};
use eventsource_core::{Context, Error};
use futures_util::{Stream, StreamExt as _, stream};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Request, Response, Url};
use serde::Deserialize;
use tokio::time::timeout;
use zetes_api::Tls;

use crate::config::Config;
use crate::lines::{Line, Lines};

/// What a server without one calls its region.
const DEFAULT_REGION: &str = "us-east-1";
/// The server says so often that it is there. Its answer begins with the first time, so a connection stands that much later.
const PING: Duration = Duration::from_secs(2);
/// Who has said nothing for so long, not even that, says nothing any more.
const SILENCE: Duration = Duration::from_secs(10);
/// Listening has no end.
const WITHOUT_END: Duration = Duration::from_secs(u32::MAX as u64);
/// Of an answer that says why not.
const LONGEST_REFUSAL: usize = 64 * 1024;

/// One bucket.
pub(crate) struct Bucket {
    name: String,
    endpoint: String,
    is_insecure: bool,
    address: Url,
    aws: Connection,
    http: Client,
}

/// An answer that does not end.
pub(crate) struct Listening {
    endpoint: String,
    response: Response,
}

/// Why not, in S3's words.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Refusal {
    code: String,
    message: String,
}

#[derive(Debug, Default, Deserialize)]
struct Location {
    #[serde(rename = "$text", default)]
    region: String,
}

impl Bucket {
    /// The server has answered where the bucket is.
    pub(crate) async fn open(config: &Config, cx: &Context) -> Result<Self, Error> {
        if let Some(why) = config.unusable_endpoint() {
            return Err(Error::permanent(why));
        }
        if config.events.is_empty() {
            return Err(Error::permanent("events is empty: nothing would be received"));
        }
        let name = config.bucket.as_ref().map(|bucket| bucket.name.clone()).unwrap_or_default();
        let scheme = if config.insecure { "http" } else { "https" };
        let mut settings = Settings {
            region: DEFAULT_REGION.to_owned(),
            endpoint: format!("{scheme}://{}", config.endpoint),
            role_arn: String::new(),
            access_key: config.access_key.clone(),
            secret_key: config.secret_key.clone(),
            session_token: None,
            ca_certificate: config.ca_certificate.clone(),
            namespace: cx.namespace().clone(),
            secrets: cx.secrets(),
            clock: cx.clock().clone(),
        };
        let address = Url::parse(&settings.endpoint).ok().and_then(|mut address| {
            address.path_segments_mut().ok()?.push(&name).push("");
            Some(address)
        });
        let address = address.ok_or_else(|| {
            Error::permanent(format!("`{}` is no address; write endpoint as `host:port`", config.endpoint))
        })?;
        let tls = config.ca_certificate.clone().map(|ca| Tls { ca_cert_secret: Some(ca), ..Tls::default() });
        let mut bucket = Self {
            name,
            endpoint: config.endpoint.clone(),
            is_insecure: config.insecure,
            address,
            aws: settings.connect().await.map_err(Error::upstream)?,
            http: cx.http_client(tls.as_ref())?,
        };
        let region = bucket.region().await?;
        if region != settings.region {
            settings.region = region;
            bucket.aws = settings.connect().await.map_err(Error::upstream)?;
        }
        Ok(bucket)
    }

    /// It must be known for a signature. A user who may not ask for it may be allowed to listen.
    async fn region(&self) -> Result<String, Error> {
        let mut url = self.address.clone();
        url.query_pairs_mut().append_pair("location", "");
        let response = self.answer(Request::new(Method::GET, url), || self.is_silent()).await?;
        let is_answer = response.status().is_success();
        let text = text(response).await;
        if !is_answer {
            let refusal = refusal(&text);
            return if refusal.code == "AccessDenied" {
                Ok(DEFAULT_REGION.to_owned())
            } else {
                Err(self.refused(&refusal, &text))
            };
        }
        let location: Location = quick_xml::de::from_str(&text).unwrap_or_default();
        Ok(if location.region.is_empty() { DEFAULT_REGION.to_owned() } else { location.region })
    }

    pub(crate) async fn listen(self, config: &Config) -> Result<Listening, Error> {
        let filter = config.filter.clone().unwrap_or_default();
        let mut url = self.address.clone();
        url.query_pairs_mut()
            .extend_pairs(config.events.iter().map(|event| ("events", event)))
            .append_pair("ping", &PING.as_secs().to_string())
            .append_pair("prefix", &filter.prefix)
            .append_pair("suffix", &filter.suffix);
        let mut request = Request::new(Method::GET, url);
        *request.timeout_mut() = Some(WITHOUT_END);
        // Packed, changes would wait for others until a packet is full.
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let response = self.answer(request, || self.holds_back()).await?;
        if !response.status().is_success() {
            let text = text(response).await;
            return Err(self.refused(&refusal(&text), &text));
        }
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.contains("xml") {
            // A server that does not know what is asked for lists the bucket.
            return Err(self.is_another("it lists the bucket instead"));
        }
        Ok(Listening { endpoint: self.endpoint, response })
    }

    /// `silent` says what it means where none comes.
    async fn answer(&self, mut request: Request, silent: impl FnOnce() -> Error) -> Result<Response, Error> {
        self.aws.sign("s3", &mut request).await.map_err(Error::upstream)?;
        let answered = timeout(SILENCE, self.http.execute(request)).await;
        let answered = answered.map_err(|_| silent())?;
        answered.map_err(|error| {
            let failure = self.aws.unreached(&self.doing(), &error).text;
            let hint =
                if failure.contains("does not speak TLS") { " (`insecure: true` is plain HTTP)" } else { "" };
            Error::upstream(format!("{failure}{hint}"))
        })
    }

    fn is_silent(&self) -> Error {
        Error::upstream(format!("{} does not answer; see whether MinIO runs there", self.endpoint))
    }

    fn is_another(&self, what: &str) -> Error {
        Error::upstream(format!("{} does not tell changes this way ({what}); only MinIO does", self.endpoint))
    }

    /// It has just answered another question.
    fn holds_back(&self) -> Error {
        Error::upstream(format!(
            "{} takes the request to listen and tells nothing; builds of MinIO since autumn 2025 hold changes back until there are \
             kilobytes of them (its commit 52eee5a2f): use an earlier or a mended one",
            self.endpoint
        ))
    }

    fn doing(&self) -> String {
        format!("listen to bucket `{}`", self.name)
    }

    fn refused(&self, refusal: &Refusal, text: &str) -> Error {
        let endpoint = &self.endpoint;
        Error::upstream(match refusal.code.as_str() {
            "NoSuchBucket" => {
                format!("{endpoint} has no bucket `{}`; make it, or correct bucket.name", self.name)
            }
            "NotImplemented" | "MethodNotAllowed" => return self.is_another(&refusal.message),
            "" if self.is_insecure && text.contains("HTTPS server") => {
                format!("{endpoint} speaks TLS; remove insecure")
            }
            "" => {
                let begin: String = text.chars().take(200).collect();
                format!("{endpoint} is no MinIO; it answered: {begin}")
            }
            code => self.aws.refused(&self.doing(), code, &refusal.message).text,
        })
    }
}

impl Listening {
    /// Lines until the connection ends, which is an error.
    pub(crate) fn lines(self) -> impl Stream<Item = Result<Line, Error>> + Unpin {
        let Self { endpoint, response } = self;
        let pieces = Box::pin(response.bytes_stream());
        let ended = move |why: &str| {
            Error::upstream(format!(
                "{endpoint} told changes and then {why}; it is asked anew, and what changes until then is not told"
            ))
        };
        let lines = stream::unfold(Some((pieces, Lines::default())), move |state| {
            let ended = ended.clone();
            async move {
                let (mut pieces, mut lines) = state?;
                let heard = match timeout(SILENCE, pieces.next()).await {
                    Ok(Some(Ok(bytes))) => {
                        let found = lines.take(&bytes).into_iter().map(Ok).collect();
                        return Some((found, Some((pieces, lines))));
                    }
                    Ok(_) => "closed the connection",
                    Err(_) => "did not even say that it is there any more",
                };
                Some((vec![Err(ended(heard))], None))
            }
        });
        Box::pin(lines.flat_map(stream::iter))
    }
}

fn refusal(text: &str) -> Refusal {
    quick_xml::de::from_str(text).unwrap_or_default()
}

/// As far as it can be had.
async fn text(response: Response) -> String {
    let mut text = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(Ok(piece)) = pieces.next().await {
        text.extend(piece);
        if text.len() > LONGEST_REFUSAL {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
