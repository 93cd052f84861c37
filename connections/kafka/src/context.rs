//! What a client tells beside its calls.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, Statistics};
use secrecy::ExposeSecret as _;
use zetes_runtime::Clock;

use crate::failure::{About, Failure};
use crate::settings::Settings;

/// The last things told say why; older ones say what was.
const REMEMBERED: usize = 16;
/// A token is asked for anew after so long, whatever it says of itself.
const TOKEN_MILLISECONDS: i64 = 3_600_000;

/// Given to every client of one connection; clones share what is remembered.
#[derive(Clone)]
pub struct Context {
    settings: Arc<Settings>,
    token: Option<RenewedToken>,
    told: Arc<Mutex<VecDeque<Told>>>,
}

/// A token that its owner renews before it ends, instead of one in a secret. Clones share it.
#[derive(Clone, Default)]
pub struct RenewedToken(Arc<Mutex<Option<(String, Timestamp)>>>);

/// One thing that librdkafka said of its connection.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) code: RDKafkaErrorCode,
    pub(crate) reason: String,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Context {
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), token: None, told: Arc::default() }
    }

    /// As [`Context::new`], for clients whose mechanism is `OAUTHBEARER` and whose token is in no secret.
    pub fn with_token(settings: Settings, token: RenewedToken) -> Self {
        Self { token: Some(token), ..Self::new(settings) }
    }

    /// It works again: what was told before is of no interest any more.
    pub fn forget(&self) {
        self.lock().clear();
    }

    /// Why a call failed, in one sentence that says what to do.
    pub fn explain(&self, error: &KafkaError, about: &About<'_>) -> Failure {
        let told: Vec<Told> = self.lock().iter().cloned().collect();
        Failure::of(error, &told, &self.settings, about)
    }

    fn remember(&self, code: RDKafkaErrorCode, reason: &str) {
        let mut told = self.lock();
        if told.len() == REMEMBERED {
            told.pop_front();
        }
        told.push_back(Told { code, reason: reason.to_owned() });
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RenewedToken {
    /// From now on clients are given this one, until its end.
    pub fn renew(&self, token: String, end: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((token, end));
    }

    fn current(&self) -> Result<OAuthToken, Box<dyn Error>> {
        let token = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (token, end) = token.ok_or("there is no token yet")?;
        Ok(OAuthToken { token, principal_name: String::new(), lifetime_ms: end.as_millisecond() })
    }
}

impl std::fmt::Debug for RenewedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenewedToken").finish_non_exhaustive()
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    // librdkafka repeats itself for every broker and attempt, so that people see it only when they ask. Why a connection failed
    // is told here and, but for logins and certificates, nowhere else.
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, message);
        if facility == "FAIL" {
            let reason = message.split_once("]: ").map_or(message, |(_thread, reason)| reason);
            self.remember(RDKafkaErrorCode::BrokerTransportFailure, reason);
        }
    }

    fn stats(&self, _statistics: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            tracing::debug!(target: "librdkafka", %code, reason);
            // It says that there is a reason, and not which.
            if code != RDKafkaErrorCode::AllBrokersDown {
                self.remember(code, reason);
            }
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        if let Some(token) = &self.token {
            return token.current();
        }
        let sasl = self.settings.sasl.as_ref().ok_or("`sasl` is not set")?;
        let user = self.settings.secret(&sasl.user_secret)?;
        let token = self.settings.secret(&sasl.password_secret)?;
        Ok(OAuthToken {
            token: token.expose_secret().to_owned(),
            principal_name: user.expose_secret().to_owned(),
            lifetime_ms: Clock::system().now().as_millisecond().saturating_add(TOKEN_MILLISECONDS),
        })
    }
}

impl ConsumerContext for Context {}
