//! Signatures that are made with a shared key: what is signed, and how it is written.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventsource_core::{Check, Context, Error, HmacDigest, Refusal, Request, one_of};
use jiff::Timestamp;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::Deserialize;
use zetes_api::SecretKeyRef;
use zetes_runtime::SecretText;

use super::is_authorization;

/// How far a signed time may be from ours when nothing else is said.
pub(crate) const TOLERANCE: Duration = Duration::from_mins(5);
/// Signatures of one request that are looked at: while a key is rotated there are two.
const MOST_SIGNATURES: usize = 8;
/// Numbers from here on are milliseconds: as seconds they would be in the year 5138.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// A signature of the request by HMAC. The defaults are those of most providers: SHA-256 of the body, in hex.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Hmac {
    /// Secret that holds the key.
    pub secret: Option<SecretKeyRef>,
    /// How the secret writes the key: `text` (default), `hex` or `base64`; before base64 a `whsec_` is left out.
    pub secret_encoding: Option<String>,
    /// Header that holds the signature. Several signatures with spaces between them are alternatives.
    pub header: String,
    /// `sha256` (default), `sha512` or `sha1`.
    pub algorithm: Option<String>,
    /// How the header writes the signature: `hex` (default) or `base64`.
    pub encoding: Option<String>,
    /// What stands before the signature: `sha256=`. A signature without it does not count.
    pub prefix: Option<String>,
    /// The header is a list such as `t=1492774577,v1=5257a8...`: where time and signature stand in it.
    pub fields: Option<Fields>,
    /// Header that holds the time of signing, in seconds or milliseconds since 1970.
    pub timestamp_header: Option<String>,
    /// How far the time of signing may be from ours, before or behind: `5m` (default).
    pub tolerance: Option<String>,
    /// What is signed. `{body}`, `{timestamp}`, `{query}` and `{header:NAME}` stand for themselves. Default `{timestamp}.{body}` where
    /// there is a time, otherwise `{body}`.
    pub signed: Option<String>,
}

/// Names in a list of members, as in `t=...,v1=...`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fields {
    /// Name of the time, in seconds or milliseconds since 1970.
    pub timestamp: Option<String>,
    /// Name of the signature. Several members of that name are alternatives.
    pub signature: String,
}

impl Hmac {
    fn has_time(&self) -> bool {
        self.timestamp_header.is_some()
            || self.fields.as_ref().is_some_and(|fields| fields.timestamp.is_some())
    }

    fn signed(&self) -> &str {
        let default = if self.has_time() { "{timestamp}.{body}" } else { "{body}" };
        self.signed.as_deref().unwrap_or(default)
    }

    pub(super) fn check(&self, check: &mut Check, by_query: bool) {
        let at = |field: &str| format!("verify.hmac.{field}");
        check.present(&at("secret"), self.secret.as_ref());
        check.text(&at("header"), &self.header);
        let choices = [
            ("secretEncoding", &self.secret_encoding, &["text", "hex", "base64"][..]),
            ("algorithm", &self.algorithm, &["sha256", "sha512", "sha1"][..]),
            ("encoding", &self.encoding, &["hex", "base64"][..]),
        ];
        for (field, found, known) in choices {
            let Some(found) = found.as_deref().filter(|found| !known.contains(found)) else { continue };
            check.bad(&at(field), format!("expected {}, found `{found}`", one_of(known)));
        }
        if let Some(fields) = &self.fields {
            check.text(&at("fields.signature"), &fields.signature);
            if fields.timestamp.is_some() && self.timestamp_header.is_some() {
                check.bad(
                    &at("timestampHeader"),
                    "the time stands in a header or in `fields.timestamp`, found both",
                );
            }
        }
        self.check_time(check);
        self.check_signed(check, by_query);
    }

    fn check_time(&self, check: &mut Check) {
        let field = "verify.hmac.tolerance";
        let Some(text) = &self.tolerance else { return };
        check.duration(field, text);
        if tolerance(Some(text)).is_none() {
            check.bad(field, format!("expected a duration above 0, found `{text}`"));
        }
        if !self.has_time() {
            check.missing(
                field,
                "`timestampHeader` or `fields.timestamp` beside `tolerance`: there is no time to compare",
            );
        }
    }

    fn check_signed(&self, check: &mut Check, by_query: bool) {
        let field = "verify.hmac.signed";
        let template = match Template::parse(self.signed()) {
            Ok(template) => template,
            Err(message) => return check.bad(field, message),
        };
        let content = if by_query { Part::Query } else { Part::Body };
        if !template.0.contains(&content) {
            let (name, what) = if by_query { ("{query}", "query") } else { ("{body}", "body") };
            check.bad(field, format!("expected `{name}` in it: otherwise anybody could change the {what}"));
        }
        match (self.has_time(), template.0.contains(&Part::Timestamp)) {
            (true, false) => {
                check.bad(field, "expected `{timestamp}` in it: otherwise anybody could change the time");
            }
            (false, true) => check.bad(field, "`{timestamp}` needs `timestampHeader` or `fields.timestamp`"),
            _ => {}
        }
        if template.0.iter().any(|part| matches!(part, Part::Header(name) if is_authorization(name))) {
            check.bad(field, "the header `Authorization` can't be part of what is signed");
        }
    }
}

/// The tolerance, if it is one.
pub(crate) fn tolerance(text: Option<&String>) -> Option<Duration> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Some(TOLERANCE) };
    let parsed = zetes_gotime::duration::parse(text).ok()?;
    Duration::try_from(parsed).ok().filter(|tolerance| !tolerance.is_zero())
}

/// What is signed, compiled.
#[derive(Clone, Debug, PartialEq)]
struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Body,
    Timestamp,
    Query,
    Header(String),
}

impl Template {
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((plain, after)) = rest.split_once('{') {
            if !plain.is_empty() {
                parts.push(Part::Text(plain.to_owned()));
            }
            let (name, after) = after.split_once('}').ok_or("`{` without its `}`")?;
            parts.push(match (name, name.strip_prefix("header:")) {
                ("body", _) => Part::Body,
                ("timestamp", _) => Part::Timestamp,
                ("query", _) => Part::Query,
                (_, Some(header)) if !header.is_empty() => Part::Header(header.to_owned()),
                _ => {
                    let known = one_of(&["{body}", "{timestamp}", "{query}", "{header:NAME}"]);
                    return Err(format!("expected {known}, found `{{{name}}}`"));
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The bytes that are signed, piece by piece.
    fn of<'r>(&'r self, request: &'r Request, time: Option<&'r str>) -> Result<Vec<&'r [u8]>, Refusal> {
        let piece = |part: &'r Part| match part {
            Part::Text(text) => Ok(text.as_bytes()),
            Part::Body => Ok(&*request.body),
            Part::Timestamp => Ok(time.unwrap_or_default().as_bytes()),
            Part::Query => Ok(request.query.as_deref().unwrap_or_default().as_bytes()),
            Part::Header(name) => {
                request.headers.get(name).map(http::HeaderValue::as_bytes).ok_or_else(|| {
                    Refusal::unauthenticated(format!("the header `{name}`, which is signed, is missing"))
                })
            }
        };
        self.0.iter().map(piece).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Encoding {
    Hex,
    Base64,
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => STANDARD.decode(text).ok(),
        }
    }
}

/// Which signatures are right.
pub(crate) struct Signature {
    key: SecretSlice<u8>,
    digest: HmacDigest,
    encoding: Encoding,
    header: String,
    prefix: String,
    fields: Option<Fields>,
    timestamp_header: Option<String>,
    needs_time: bool,
    tolerance: Duration,
    template: Template,
}

impl Signature {
    /// # Errors
    /// The secret can't be read, or holds no key.
    pub(crate) fn connect(config: &Hmac, cx: &Context) -> Result<Self, Error> {
        let secret = cx.secret(config.secret.as_ref())?;
        let secret = secret.ok_or_else(|| Error::permanent("`verify.hmac` needs a `secret`"))?;
        Self::new(config, &secret, "verify.hmac")
    }

    /// `field` is where the scheme or its secret is written, for messages.
    ///
    /// # Errors
    /// Permanent: the secret holds no key, or the configuration is none.
    pub(crate) fn new(config: &Hmac, secret: &SecretText, field: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::permanent(format!("{field}: {what}"));
        let text = secret.expose_secret();
        let key = match config.secret_encoding.as_deref() {
            Some("hex") => Encoding::Hex.decode(text),
            Some("base64") => Encoding::Base64.decode(text.strip_prefix("whsec_").unwrap_or(text)),
            _ => Some(text.as_bytes().to_vec()),
        };
        let key = key.ok_or_else(|| wrong("the secret is not written as `secretEncoding` says"))?;
        if key.is_empty() {
            return Err(wrong("the secret is empty, so that anybody could sign"));
        }
        let digest = HmacDigest::named(config.algorithm.as_deref().unwrap_or("sha256"));
        let base64 = config.encoding.as_deref() == Some("base64");
        Ok(Self {
            key: key.into(),
            digest: digest.ok_or_else(|| wrong("an unknown algorithm"))?,
            encoding: if base64 { Encoding::Base64 } else { Encoding::Hex },
            header: config.header.clone(),
            prefix: config.prefix.clone().unwrap_or_default(),
            fields: config.fields.clone(),
            timestamp_header: config.timestamp_header.clone(),
            needs_time: config.has_time(),
            tolerance: tolerance(config.tolerance.as_ref())
                .ok_or_else(|| wrong("`tolerance` is no duration"))?,
            template: Template::parse(config.signed()).map_err(|message| wrong(&message))?,
        })
    }

    /// # Errors
    /// 401: no signature, none that is right, or one that was made too long ago or in the future.
    pub(crate) fn check(&self, request: &Request, now: Timestamp) -> Result<(), Refusal> {
        let refused = |text: String| Err(Refusal::unauthenticated(text));
        let Some(header) = request.header(&self.header) else {
            return refused(format!("the signature is missing: no header `{}`", self.header));
        };
        let (time, shown) = self.shown(request, header);
        if self.needs_time && time.is_none() {
            return refused("the time of signing is missing".to_owned());
        }
        let signed = self.template.of(request, time)?;
        let signatures =
            shown.iter().filter_map(|text| self.encoding.decode(text.strip_prefix(&self.prefix)?));
        let is_right = signatures
            .take(MOST_SIGNATURES)
            .any(|signature| self.digest.is_signature_by(self.key.expose_secret(), &signed, &signature));
        if !is_right {
            return refused("the signature is wrong".to_owned());
        }
        time.map_or(Ok(()), |time| self.is_fresh(time, now))
    }

    /// The time of signing and the signatures, as texts.
    fn shown<'r>(&self, request: &'r Request, header: &'r str) -> (Option<&'r str>, Vec<&'r str>) {
        let timestamp = self.timestamp_header.as_ref().and_then(|name| request.header(name)).map(str::trim);
        let Some(fields) = &self.fields else {
            return (timestamp, header.split_whitespace().collect());
        };
        let members = || header.split(',').filter_map(|member| member.trim().split_once('='));
        let signatures = members().filter(|(one, _)| *one == fields.signature).map(|(_, value)| value);
        let in_list = fields.timestamp.as_ref().and_then(|name| members().find(|(one, _)| one == name));
        (timestamp.or(in_list.map(|(_, value)| value)), signatures.collect())
    }

    fn is_fresh(&self, time: &str, now: Timestamp) -> Result<(), Refusal> {
        let number: Option<i64> = time.parse().ok();
        let at = number.and_then(|number| {
            let is_seconds = number < FIRST_MILLISECONDS;
            if is_seconds { Timestamp::from_second(number) } else { Timestamp::from_millisecond(number) }.ok()
        });
        let at = at.ok_or_else(|| {
            Refusal::unauthenticated("the time of signing is no number of seconds since 1970")
        })?;
        let age = now.duration_since(at);
        if age.unsigned_abs() <= self.tolerance {
            return Ok(());
        }
        let (seconds, limit) = (age.unsigned_abs().as_secs(), self.tolerance.as_secs());
        let side = if age.is_negative() { "ahead of" } else { "behind" };
        Err(Refusal::unauthenticated(format!(
            "it was signed {seconds} s {side} our time, {limit} s are accepted"
        )))
    }
}
