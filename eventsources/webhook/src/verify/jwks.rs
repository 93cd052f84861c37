//! The public keys of an issuer, fetched and kept (RFC 7517).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{AlgorithmFamily, DecodingKey, Header};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use zetes_runtime::Clock;

use crate::registration::reason;

/// The issuer is asked at most so often, whatever callers show.
const PAUSE: Duration = Duration::from_secs(30);
/// Keys are asked for again after this time: those that the issuer has given up must not count for ever.
const FRESH: Duration = Duration::from_mins(10);
/// Where the issuer does not answer, its keys count so long.
const USABLE: Duration = Duration::from_hours(1);
/// Callers wait while keys are fetched.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST_BYTES: usize = 1 << 20;

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The issuer does not have it.
    Unknown,
    /// It is not known what the issuer has.
    NotFetched,
}

/// The keys at one address.
pub(super) struct Jwks {
    url: String,
    client: reqwest::Client,
    clock: Clock,
    told: Box<dyn Fn(Option<String>) + Send + Sync>,
    kept: ArcSwap<Kept>,
    /// When the issuer was asked last. Who asks holds it, and who waits for it finds what that one got.
    turn: Mutex<Option<Timestamp>>,
}

#[derive(Default)]
struct Kept {
    fetched: Option<Timestamp>,
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    algorithm: Option<KeyAlgorithm>,
    decoding: Arc<DecodingKey>,
}

impl Kept {
    fn is_younger(&self, than: Duration, now: Timestamp) -> bool {
        self.fetched.is_some_and(|at| now.duration_since(at).unsigned_abs() < than)
    }

    /// Keys that may have signed a token: the one that it names, or all of its kind.
    fn find(&self, header: &Header) -> Vec<Arc<DecodingKey>> {
        let algorithm = KeyAlgorithm::from(header.alg);
        let may_be = |key: &&Key| {
            key.decoding.family() == header.alg.family()
                && key.algorithm.is_none_or(|only| only == algorithm)
                && header.kid.as_ref().is_none_or(|id| key.id.as_ref() == Some(id))
        };
        self.keys.iter().filter(may_be).map(|key| key.decoding.clone()).collect()
    }
}

impl Jwks {
    /// Nothing is fetched yet. `told` hears why keys can't be fetched, and `None` when they can.
    pub(super) fn new(
        url: String,
        client: reqwest::Client,
        clock: Clock,
        told: impl Fn(Option<String>) + Send + Sync + 'static,
    ) -> Self {
        Self { url, client, clock, told: Box::new(told), kept: ArcSwap::default(), turn: Mutex::default() }
    }

    /// The keys that may have signed a token with this header; at least one.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn find(&self, header: &Header) -> Result<Vec<Arc<DecodingKey>>, Missing> {
        let kept = self.kept.load_full();
        let found = kept.find(header);
        if kept.is_younger(FRESH, self.clock.now()) && !found.is_empty() {
            return Ok(found);
        }
        self.refresh().await;
        let kept = self.kept.load_full();
        if !kept.is_younger(USABLE, self.clock.now()) {
            return Err(Missing::NotFetched);
        }
        let found = kept.find(header);
        if found.is_empty() { Err(Missing::Unknown) } else { Ok(found) }
    }

    /// Asks the issuer, unless that was done within the last 30 seconds.
    pub(super) async fn refresh(&self) {
        let mut last = self.turn.lock().await;
        let now = self.clock.now();
        if last.is_some_and(|at| now.duration_since(at).unsigned_abs() < PAUSE) {
            return;
        }
        *last = Some(now);
        match self.fetched().await {
            Ok(keys) => {
                self.kept.store(Arc::new(Kept { fetched: Some(now), keys }));
                (self.told)(None);
            }
            Err(why) => {
                (self.told)(Some(format!("the keys of tokens can't be fetched from {}: {why}", self.url)));
            }
        }
    }

    async fn fetched(&self) -> Result<Vec<Key>, String> {
        let answer = self.client.get(&self.url).timeout(PATIENCE).send().await;
        let mut answer = answer.map_err(reason)?;
        if !answer.status().is_success() {
            return Err(format!("it answers {}", answer.status()));
        }
        let mut text = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(reason)? {
            text.extend_from_slice(&piece);
            if text.len() > MOST_BYTES {
                return Err("the answer has more than 1 MiB".to_owned());
            }
        }
        let keys = keys(&text).map_err(|error| format!("the answer is no set of keys: {error}"))?;
        if keys.is_empty() { Err("the answer holds no key that signs".to_owned()) } else { Ok(keys) }
    }
}

/// Public keys that sign. One that can't be read, or is shared or meant for something else, is left out: the others count.
fn keys(text: &[u8]) -> serde_json::Result<Vec<Key>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(text)?;
    let keys = set.keys.into_iter().filter_map(|key| {
        let jwk = serde_json::from_value::<Jwk>(key).ok()?;
        let signs = jwk.common.public_key_use.as_ref().is_none_or(|meant| *meant == PublicKeyUse::Signature);
        let key =
            DecodingKey::from_jwk(&jwk).ok().filter(|key| signs && key.family() != AlgorithmFamily::Hmac)?;
        Some(Key { id: jwk.common.key_id, algorithm: jwk.common.key_algorithm, decoding: Arc::new(key) })
    });
    Ok(keys.collect())
}
