//! Small types that many kinds share (spec/sensors.md 1.6, spec/event-sources.md 1.8).

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One key of a Secret in the object's namespace. Unreadable means fail closed (S35).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    pub name: String,
    /// Key inside it. One trailing newline of the value is removed.
    pub key: String,
    /// Accepted as in Kubernetes; a missing secret still fails closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// One key of a ConfigMap in the object's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// Name of the ConfigMap.
    pub name: String,
    /// Key inside it. One trailing newline of the value is removed.
    pub key: String,
    /// Accepted as in Kubernetes; a missing value still fails closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// User name and password, each from a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// Secret that holds the user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<SecretKeyRef>,
    /// Secret that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretKeyRef>,
}

/// How a NATS client says who it is: the first that is set counts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NatsAuth {
    /// User name and password.
    pub basic: Option<BasicAuth>,
    /// Secret that holds a token.
    pub token: Option<SecretKeyRef>,
    /// Secret that holds the seed of an `NKey`.
    pub nkey: Option<SecretKeyRef>,
    /// Secret that holds a `.creds` file.
    pub credential: Option<SecretKeyRef>,
}

/// TLS to a system we call. `insecureSkipVerify` ignores every other field, client certificate included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// PEM bundle that replaces the system's roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_cert_secret: Option<SecretKeyRef>,
    /// PEM certificate that we show; needs `clientKeySecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_secret: Option<SecretKeyRef>,
    /// PEM key of `clientCertSecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key_secret: Option<SecretKeyRef>,
    /// Accept any certificate.
    #[serde(default)]
    pub insecure_skip_verify: bool,
    /// TLS with the system's roots when no secret is named.
    #[serde(default)]
    pub enabled: bool,
}

/// A Kafka consumer group.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerGroup {
    /// Its name.
    pub group_name: String,
    /// A new group begins with the oldest record; without it with the next one.
    pub oldest: bool,
    /// `range` (default), `sticky` or `roundrobin`.
    pub rebalance_strategy: String,
}

/// How a Kafka client says who it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Sasl {
    /// `PLAIN` (default), `SCRAM-SHA-256`, `SCRAM-SHA-512`, `OAUTHBEARER` or `GSSAPI`.
    pub mechanism: String,
    /// Secret that holds the user name.
    pub user_secret: Option<SecretKeyRef>,
    /// Secret that holds the password.
    pub password_secret: Option<SecretKeyRef>,
}

/// A header whose value comes from a Secret or a ConfigMap; the secret wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecureHeader {
    /// Name of the header, sent as written.
    pub name: String,
    /// Where the value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
}

/// A value from a Secret or a ConfigMap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValueFrom {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyRef>,
}

/// Attempts and the pauses between them. After attempt `i` (from 0) the pause is `duration * factor^i`, plus up to
/// `jitter` times that at random.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// First pause: nanoseconds as a number, or a Go duration such as `1.5s`. Default 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<BackoffDuration>,
    /// Each pause is this many times the one before. Default 1; 0 keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Part of the pause that is added at random. Default 1; 0 or less adds nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
    /// Attempts in total. Absent, 0 or less means 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<i32>,
}

impl Backoff {
    pub fn attempts(&self) -> u32 {
        self.steps.and_then(|steps| u32::try_from(steps).ok()).filter(|steps| *steps > 0).unwrap_or(5)
    }

    /// First pause in nanoseconds; negative as written.
    pub fn nanoseconds(&self) -> i64 {
        self.duration.as_ref().map_or(1_000_000_000, |duration| duration.0)
    }

    /// The pause after attempt `attempt` (from 0); `random` is in `[0, 1)`. At most 24 hours.
    pub fn pause(&self, attempt: u32, random: f64) -> Duration {
        let factor = self.factor.filter(|factor| *factor != 0.0).unwrap_or(1.0);
        let jitter = self.jitter.unwrap_or(1.0).max(0.0);
        #[expect(clippy::cast_precision_loss, reason = "a pause needs no nanosecond exactness beyond 2^53")]
        let first = self.nanoseconds().max(0) as f64 / 1e9;
        let pause = first * factor.powi(i32::try_from(attempt).unwrap_or(i32::MAX)) * (1.0 + random * jitter);
        Duration::try_from_secs_f64(pause.clamp(0.0, 86_400.0)).unwrap_or_default()
    }
}

/// Nanoseconds, written as a number or as Go writes durations (`300ms`, `1h30m`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(with = "serde_json::Value")]
pub struct BackoffDuration(pub i64);

impl<'de> Deserialize<'de> for BackoffDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number
                .as_i64()
                .map(Self)
                .ok_or_else(|| D::Error::custom(format!("expected whole nanoseconds, found {number}"))),
            serde_json::Value::String(text) => {
                let duration = zetes_gotime::duration::parse(&text).map_err(D::Error::custom)?;
                i64::try_from(duration.as_nanos())
                    .map(Self)
                    .map_err(|_| D::Error::custom(format!("`{text}` is longer than 292 years")))
            }
            other => Err(D::Error::custom(format!(
                "expected nanoseconds or a duration such as `1.5s`, found {other}"
            ))),
        }
    }
}
