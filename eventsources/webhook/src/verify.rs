//! Who may call: signatures, tokens, passwords and certificates, checked over the raw request before anything is parsed.
//!
//! Whatever is written must hold. A secret that can't be read means that nothing is served (S35); keys that can't be fetched mean that
//! callers are sent away with 503.

pub(crate) mod hmac;
mod jwks;
pub(crate) mod jwt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventsource_core::{Check, Context, Error, Mtls, Refusal, Request, is_token};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::BasicAuth;
use zetes_runtime::SecretText;

use hmac::Hmac;
use jwt::Jwt;

/// How callers prove who they are. Every member that is written must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Verify {
    /// A signature of the request, made with a key that both sides know.
    pub hmac: Option<Hmac>,
    /// A JSON Web Token.
    pub jwt: Option<Jwt>,
    /// A user name and a password, by HTTP's basic authentication.
    pub basic: Option<BasicAuth>,
    /// A client certificate.
    pub mtls: Option<Mtls>,
}

impl Verify {
    /// What is wrong with it. `needs_authorization` says that `authSecret` has the header `Authorization` already, `by_query` that
    /// requests have a query and no body.
    pub(crate) fn check(&self, check: &mut Check, needs_authorization: bool, by_query: bool) {
        if self.hmac.is_none() && self.jwt.is_none() && self.basic.is_none() && self.mtls.is_none() {
            check
                .missing("verify", "`hmac`, `jwt`, `basic` or `mtls`: an empty `verify` would let nobody in");
        }
        if let Some(hmac) = &self.hmac {
            hmac.check(check, by_query);
        }
        if let Some(jwt) = &self.jwt {
            jwt.check(check);
        }
        check.basic_auth("verify.basic", self.basic.as_ref());
        let hmac = self.hmac.as_ref().is_some_and(|hmac| is_authorization(&hmac.header));
        let jwt = self.jwt.as_ref().is_some_and(|jwt| is_authorization(jwt.header()));
        let wanting = [
            (needs_authorization, "authSecret"),
            (hmac, "verify.hmac.header"),
            (jwt, "verify.jwt.header"),
            (self.basic.is_some(), "verify.basic"),
        ];
        let mut wanting = wanting.into_iter().filter(|(wants, _)| *wants).map(|(_, field)| field);
        if let (Some(first), Some(second)) = (wanting.next(), wanting.next()) {
            check.bad(
                second,
                format!(
                    "`{first}` and `{second}` both need the header `Authorization`, which a request has once"
                ),
            );
        }
    }
}

fn is_authorization(header: &str) -> bool {
    header.eq_ignore_ascii_case("authorization")
}

/// What is checked of each request.
pub(crate) struct Verifier {
    hmac: Option<hmac::Signature>,
    jwt: Option<jwt::Tokens>,
    basic: Option<Login>,
}

struct Login {
    user: SecretText,
    password: SecretText,
}

impl Verifier {
    /// Reads the secrets.
    ///
    /// # Errors
    /// One can't be read, or holds no key.
    pub(crate) async fn connect(config: Verify, cx: &Context) -> Result<Self, Error> {
        let hmac = config.hmac.map(|hmac| hmac::Signature::connect(&hmac, cx)).transpose()?;
        let jwt = match config.jwt {
            Some(jwt) => Some(jwt::Tokens::connect(jwt, cx).await?),
            None => None,
        };
        let basic = config.basic.map(|basic| Login::connect(&basic, cx)).transpose()?;
        Ok(Self { hmac, jwt, basic })
    }

    /// # Errors
    /// 401, or 503 where the keys of tokens can't be had.
    pub(crate) async fn check(&self, request: &Request, cx: &Context) -> Result<(), Refusal> {
        if let Some(basic) = &self.basic {
            basic.check(request)?;
        }
        if let Some(hmac) = &self.hmac {
            hmac.check(request, cx.clock().now())?;
        }
        match &self.jwt {
            Some(jwt) => jwt.check(request, cx.clock().now()).await,
            None => Ok(()),
        }
    }

    /// A header that holds a token, which is no part of an event.
    pub(crate) fn secret_header(&self) -> Option<&str> {
        self.jwt.as_ref().map(jwt::Tokens::header)
    }
}

impl Login {
    fn connect(config: &BasicAuth, cx: &Context) -> Result<Self, Error> {
        let user = cx.secret(config.username.as_ref())?;
        let password = cx.secret(config.password.as_ref())?;
        let both = user.zip(password);
        let (user, password) =
            both.ok_or_else(|| Error::permanent("`verify.basic` needs `username` and `password`"))?;
        Ok(Self { user, password })
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        const CHALLENGE: &str = "Basic realm=\"zetes\", charset=\"UTF-8\"";
        let refused = |text: &str| Refusal::unauthenticated(text).challenge(CHALLENGE);
        let header = request.header("authorization").unwrap_or_default();
        let encoded = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
        let (_, encoded) = encoded.ok_or_else(|| refused("a user name and a password are required"))?;
        let decoded = STANDARD
            .decode(encoded.trim())
            .map_err(|_| refused("the header `Authorization` is no base64"))?;
        let colon = decoded.iter().position(|byte| *byte == b':');
        let (user, password) = decoded.split_at(colon.unwrap_or(decoded.len()));
        // Both are always compared, so that the time does not tell which one is wrong.
        let fits = is_token(user, &self.user)
            & is_token(password.strip_prefix(b":").unwrap_or_default(), &self.password);
        if fits { Ok(()) } else { Err(refused("wrong user name or password")) }
    }
}
