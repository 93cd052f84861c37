//! The login of Amazon MSK: a token that is a signed address, good for a quarter of an hour.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connection_aws::{Connection, Settings};
use connection_kafka::RenewedToken;
use eventsource_core::{Context, Error};
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;

use crate::config::AwsMskIamAuth;

const VALID: Duration = Duration::from_mins(15);
/// A token that is handed out has two thirds of its time before it.
const RENEWED_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// Keeps a token good.
pub(crate) struct Login {
    aws: Connection,
    region: String,
    token: RenewedToken,
    due: Timestamp,
}

impl Login {
    /// With a first token.
    pub(crate) async fn open(auth: &AwsMskIamAuth, cx: &Context) -> Result<Self, Error> {
        let settings = Settings {
            region: auth.region.clone(),
            endpoint: String::new(),
            role_arn: String::new(),
            access_key: None,
            secret_key: None,
            session_token: None,
            ca_certificate: None,
            namespace: cx.namespace().clone(),
            secrets: cx.secrets(),
            clock: cx.clock().clone(),
        };
        let aws = settings.connect().await.map_err(Error::upstream)?;
        let (region, token) = (auth.region.clone(), RenewedToken::default());
        let mut login = Self { aws, region, token, due: Timestamp::MIN };
        login.renew(cx).await?;
        Ok(login)
    }

    pub(crate) fn token(&self) -> RenewedToken {
        self.token.clone()
    }

    /// When the token is to be renewed.
    pub(crate) fn due(&self) -> Timestamp {
        self.due
    }

    pub(crate) async fn renew(&mut self, cx: &Context) -> Result<(), Error> {
        let now = cx.clock().now();
        let end = now.checked_add(VALID).unwrap_or(Timestamp::MAX);
        self.token.renew(token(&self.aws, &self.region).await?, end);
        self.due = now.checked_add(RENEWED_EVERY).unwrap_or(Timestamp::MAX);
        Ok(())
    }
}

/// What the brokers take for a token.
pub(crate) async fn token(aws: &Connection, region: &str) -> Result<String, Error> {
    let address = format!("https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect");
    let address =
        Url::parse(&address).map_err(|error| Error::permanent(format!("`awsMskIamAuth.region`: {error}")))?;
    let mut signed = aws.presign("kafka-cluster", address, VALID).await.map_err(Error::upstream)?;
    signed.query_pairs_mut().append_pair("User-Agent", "zetes");
    Ok(URL_SAFE_NO_PAD.encode(signed.as_str()))
}
