//! Who calls as a GitHub App: a token of an installation, which lasts an hour.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zetes_runtime::SecretText;

use crate::api::{Api, ApiError};

/// A token is not used in the last minutes of its life: a call must not outlast it, and clocks differ.
const MARGIN: Duration = Duration::from_mins(5);
/// GitHub refuses what was issued in its future.
const ISSUED_BEFORE: i64 = 30;
const LIFE: i64 = 120;

pub(super) struct App {
    key: SecretText,
    id: i64,
    installation: i64,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    token: SecretText,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Answer {
    token: String,
    expires_at: Timestamp,
}

/// What the app's own key signs.
#[derive(Serialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: String,
}

impl App {
    pub(super) fn new(key: SecretText, id: i64, installation: i64) -> Self {
        Self { key, id, installation, token: Mutex::default() }
    }

    /// The API in the name of the installation.
    pub(super) async fn api(&self, api: &Api) -> Result<Api, ApiError> {
        let kept = self.kept().filter(|token| !is_short_of(token, api.now()));
        let token = match kept {
            Some(token) => token,
            None => self.renewed(api).await?,
        };
        api.authorized(&format!("token {}", token.token.expose_secret()))
    }

    /// The token was refused before its end: the installation was suspended, for example.
    pub(super) fn forget_token(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn kept(&self) -> Option<Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn renewed(&self, api: &Api) -> Result<Token, ApiError> {
        let path = format!("app/installations/{}/access_tokens", self.installation);
        let signed = self.signed(api.now()).map_err(|error| {
            api.unsent(
                format!("POST {path}"),
                format!("the app's private key can't sign: {error}; expected an RSA key in PEM"),
            )
        })?;
        let Answer { token, expires_at } =
            api.authorized(&format!("Bearer {signed}"))?.post(&path, &json!({})).await?;
        let token = Token { token: token.into(), expires_at };
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(token)
    }

    fn signed(&self, now: Timestamp) -> Result<String, jsonwebtoken::errors::Error> {
        let issued = now.as_second() - ISSUED_BEFORE;
        let claims = Claims { iat: issued, exp: issued + LIFE, iss: self.id.to_string() };
        let key = EncodingKey::from_rsa_pem(self.key.expose_secret().as_bytes())?;
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)
    }
}

fn is_short_of(token: &Token, now: Timestamp) -> bool {
    SignedDuration::try_from(MARGIN).is_ok_and(|margin| token.expires_at.duration_since(now) < margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_minutes_before_its_end() {
        let token =
            Token { token: "t".to_owned().into(), expires_at: "2027-01-01T01:00:00Z".parse().unwrap() };
        let is_short = |now: &str| is_short_of(&token, now.parse().unwrap());
        assert!(!is_short("2027-01-01T00:00:00Z") && !is_short("2027-01-01T00:55:00Z"));
        assert!(is_short("2027-01-01T00:55:01Z") && is_short("2027-01-01T02:00:00Z"));
    }

    #[test]
    fn a_key_that_is_no_key_signs_nothing() {
        let app = App::new("no key".to_owned().into(), 1, 2);
        assert!(app.signed(Timestamp::UNIX_EPOCH).is_err());
    }
}
