//! JSON Web Tokens that callers show (RFC 7519, RFC 8725): the algorithms are pinned, and the times are compared with our clock.

use std::collections::BTreeSet;
use std::time::Duration;

use eventsource_core::{Check, Context, Error, Refusal, Request, one_of};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header, Validation};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use zetes_api::{FieldPath, Finding, SecretKeyRef, Tls};
use zetes_runtime::{Clock, SecretText};

use super::is_authorization;
use super::jwks::{Jwks, Missing};

/// Clocks of issuers may be so far from ours when nothing else is said.
const LEEWAY: Duration = Duration::from_secs(30);
const AUTHORIZATION: &str = "Authorization";
const ALGORITHMS: [&str; 12] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256", "HS384",
    "HS512",
];
const CHALLENGE: &str = "Bearer";

/// A token that says until when it is valid (`exp`), signed by somebody we trust.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Jwt {
    /// Header that holds the token. Default `Authorization`, whose value begins with `Bearer`; in another header the word may be absent.
    pub header: Option<String>,
    /// Secret that holds the key: a shared one for `HS...`, a PEM public key for the others. Instead of `jwksURL`.
    pub secret: Option<SecretKeyRef>,
    /// Address of the issuer's keys (JWKS, RFC 7517). They are kept for 10 minutes; a key that is not known is asked for at most every 30
    /// seconds.
    #[serde(rename = "jwksURL")]
    pub jwks_url: Option<String>,
    /// TLS to `jwksURL`.
    pub tls: Option<Tls>,
    /// Algorithms that are accepted; of one family where the key is a secret. There is no default: `none` is never one.
    pub algorithms: Vec<String>,
    /// Who must have issued the token (`iss`).
    pub issuer: Option<String>,
    /// Whom the token must be meant for (`aud`).
    pub audience: Option<String>,
    /// How far the issuer's clock may be from ours: `30s` (default).
    pub leeway: Option<String>,
}

impl Jwt {
    pub(super) fn header(&self) -> &str {
        self.header.as_deref().unwrap_or(AUTHORIZATION)
    }

    fn known_algorithms(&self) -> Vec<Algorithm> {
        self.algorithms.iter().filter_map(|name| name.parse().ok()).collect()
    }

    pub(super) fn check(&self, check: &mut Check) {
        let at = |field: &str| format!("verify.jwt.{field}");
        match (&self.secret, &self.jwks_url) {
            (None, None) => check.missing(&at("secret"), "`secret` or `jwksURL`: where the keys come from"),
            (Some(_), Some(_)) => {
                check.bad(&at("jwksURL"), "expected one of `secret` and `jwksURL`, found both");
            }
            _ => {}
        }
        if self.header.as_deref() == Some("") {
            check.bad(&at("header"), "expected the name of a header");
        }
        if self.algorithms.is_empty() {
            check.missing(&at("algorithms"), "the algorithms that are accepted, `[RS256]` for example");
        }
        for (index, name) in self.algorithms.iter().enumerate() {
            if !ALGORITHMS.contains(&name.as_str()) {
                let message = format!("expected {}, found `{name}`", one_of(&ALGORITHMS));
                let path = FieldPath::from("verify.jwt.algorithms").index(index);
                check.extend([Finding::error("bad-value", path, message)]);
            }
        }
        let families: Vec<_> = self.known_algorithms().iter().map(|algorithm| algorithm.family()).collect();
        if self.secret.is_some() && families.windows(2).any(|pair| pair.first() != pair.last()) {
            check.bad(&at("algorithms"), "a secret holds one key: expected algorithms of one family");
        }
        if let Some(url) = &self.jwks_url {
            self.check_jwks(check, url, &families);
        }
        check.duration(&at("leeway"), self.leeway.as_deref().unwrap_or_default());
        check.tls(&at("tls"), self.tls.as_ref());
    }

    fn check_jwks(&self, check: &mut Check, url: &str, families: &[AlgorithmFamily]) {
        const FIELD: &str = "verify.jwt.jwksURL";
        if families.contains(&AlgorithmFamily::Hmac) {
            check.bad(
                "verify.jwt.algorithms",
                "keys that everybody can fetch are no shared keys: `HS...` needs a `secret`",
            );
        }
        match reqwest::Url::parse(url) {
            Ok(url) if url.scheme() == "https" || is_local(&url) => {}
            Ok(url) if url.scheme() == "http" => {
                let message = "over plain HTTP anybody on the way can exchange the keys";
                check.extend([Finding::warning("plain-http", FIELD, message).hint("write `https://`")]);
            }
            _ => check.bad(
                FIELD,
                format!("expected an address such as `https://issuer.example.com/jwks.json`, found `{url}`"),
            ),
        }
        if self.audience.is_none() {
            let message = "tokens that the issuer makes for anybody else are accepted, too";
            let finding = Finding::warning("any-audience", FIELD, message);
            check.extend([finding.hint("write `audience`: whom the tokens are for")]);
        }
    }
}

fn is_local(url: &reqwest::Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// Which tokens are right.
pub(crate) struct Tokens {
    header: String,
    algorithms: Vec<Algorithm>,
    keys: Keys,
    issuer: Option<String>,
    audience: Option<String>,
    leeway: SignedDuration,
}

enum Keys {
    One(Box<DecodingKey>),
    Fetched(Box<Jwks>),
}

/// The claims that are looked at here; issuer and audience are the library's.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    nbf: Option<f64>,
}

impl Tokens {
    /// # Errors
    /// The secret can't be read, or holds no key.
    pub(super) async fn connect(config: Jwt, cx: &Context) -> Result<Self, Error> {
        if let Some(secret) = cx.secret(config.secret.as_ref())? {
            return Self::with_secret(config, &secret);
        }
        let (client, told) = (cx.http_client(config.tls.as_ref())?, cx.clone());
        Self::with_issuer(config, (client, cx.clock().clone()), move |trouble| told.trouble(trouble)).await
    }

    /// # Errors
    /// Permanent: the secret holds no key.
    pub(crate) fn with_secret(config: Jwt, secret: &SecretText) -> Result<Self, Error> {
        let keys = Keys::One(Box::new(key(&config.known_algorithms(), secret)?));
        Self::new(config, keys)
    }

    /// Callers are sent away until the issuer's keys are there; `told` hears why they are not.
    ///
    /// # Errors
    /// Permanent: no address.
    pub(crate) async fn with_issuer(
        config: Jwt,
        (client, clock): (reqwest::Client, Clock),
        told: impl Fn(Option<String>) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let url = config.jwks_url.clone();
        let url = url.ok_or_else(|| Error::permanent("`verify.jwt` needs one of `secret` and `jwksURL`"))?;
        let jwks = Jwks::new(url, client, clock, told);
        jwks.refresh().await;
        Self::new(config, Keys::Fetched(Box::new(jwks)))
    }

    fn new(config: Jwt, keys: Keys) -> Result<Self, Error> {
        let leeway = match config.leeway.as_deref().filter(|text| !text.is_empty()) {
            None => SignedDuration::try_from(LEEWAY).ok(),
            Some(text) => zetes_gotime::duration::parse(text).ok(),
        };
        Ok(Self {
            header: config.header().to_owned(),
            algorithms: config.known_algorithms(),
            keys,
            issuer: config.issuer,
            audience: config.audience,
            leeway: leeway.ok_or_else(|| Error::permanent("`verify.jwt.leeway` is no duration"))?,
        })
    }

    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// # Errors
    /// 401: no token, or one that is not right. 503: the issuer's keys can't be had.
    pub(crate) async fn check(&self, request: &Request, now: Timestamp) -> Result<(), Refusal> {
        let refused = |text: &str| Refusal::unauthenticated(text).challenge(CHALLENGE);
        let token = self.token(request).ok_or_else(|| refused("a token is required"))?;
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| refused("the token is none, or its algorithm is not known"))?;
        if !self.algorithms.contains(&header.alg) {
            return Err(refused("the token's algorithm is not accepted"));
        }
        // RFC 7515 4.1.11: what is marked critical and is not known makes it invalid.
        if header.crit.is_some() {
            return Err(refused("the token asks for extensions that are not known here"));
        }
        let claims = match &self.keys {
            Keys::One(key) => self.claims(token, &header, key),
            Keys::Fetched(jwks) => match jwks.find(&header).await {
                Ok(keys) => keys.iter().find_map(|key| self.claims(token, &header, key)),
                Err(Missing::Unknown) => {
                    return Err(refused("the token is signed with a key that the issuer does not have"));
                }
                Err(Missing::NotFetched) => return Err(Refusal::later("the issuer's keys can't be fetched")),
            },
        };
        let claims = claims
            .ok_or_else(|| refused("the token's signature or one of its claims (exp, iss, aud) is wrong"))?;
        self.is_valid_at(&claims, now).map_err(refused)
    }

    fn token<'r>(&self, request: &'r Request) -> Option<&'r str> {
        let value = request.header(&self.header)?.trim();
        let bearer = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        match bearer {
            Some((_, token)) => Some(token.trim()),
            None if is_authorization(&self.header) => None,
            None => Some(value),
        }
    }

    /// What the token says, if its signature is this key's and it comes from whom it must and is meant for whom it must.
    fn claims(&self, token: &str, header: &Header, key: &DecodingKey) -> Option<Claims> {
        let mut validation = Validation::new(header.alg);
        let mut required = BTreeSet::from(["exp"]);
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.insert("iss");
        }
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            required.insert("aud");
        }
        validation.validate_aud = self.audience.is_some();
        validation.validate_exp = false;
        validation.required_spec_claims = required.into_iter().map(str::to_owned).collect();
        jsonwebtoken::decode(token, key, &validation).ok().map(|decoded| decoded.claims)
    }

    fn is_valid_at(&self, claims: &Claims, now: Timestamp) -> Result<(), &'static str> {
        let seconds =
            |at: f64| SignedDuration::try_from_secs_f64(at).map_err(|_| "the token's times can't be read");
        let now = SignedDuration::new(now.as_second(), now.subsec_nanosecond());
        let expires = seconds(claims.exp.ok_or("the token does not say until when it is valid")?)?;
        if expires.saturating_add(self.leeway) <= now {
            return Err("the token has expired");
        }
        match claims.nbf.map(seconds).transpose()? {
            Some(begins) if begins.saturating_sub(self.leeway) > now => Err("the token is not valid yet"),
            _ => Ok(()),
        }
    }
}

/// The key in a secret.
fn key(algorithms: &[Algorithm], secret: &SecretText) -> Result<DecodingKey, Error> {
    let text = secret.expose_secret().as_bytes();
    let key = match algorithms.first().map(|algorithm| algorithm.family()) {
        Some(AlgorithmFamily::Hmac) if text.is_empty() => {
            return Err(Error::permanent("verify.jwt: the secret is empty, so that anybody could sign"));
        }
        Some(AlgorithmFamily::Hmac) => Ok(DecodingKey::from_secret(text)),
        Some(AlgorithmFamily::Rsa) => DecodingKey::from_rsa_pem(text),
        Some(AlgorithmFamily::Ec) => DecodingKey::from_ec_pem(text),
        Some(AlgorithmFamily::Ed) => DecodingKey::from_ed_pem(text),
        None => return Err(Error::permanent("`verify.jwt` needs `algorithms`")),
    };
    key.map_err(|_| Error::permanent("verify.jwt: the secret holds no PEM public key for these algorithms"))
}
