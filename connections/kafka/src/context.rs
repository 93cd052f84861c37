//! What a client tells beside its calls.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    told: Arc<Mutex<VecDeque<Told>>>,
}

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
        Self { settings: Arc::new(settings), told: Arc::default() }
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
