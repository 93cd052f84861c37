//! URLs taken apart and put together, as Go's `net/url` does it.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::Table;
use crate::function::wrong;
use crate::value::{Value, lossy};

pub(super) const FUNCTIONS: Table = &[
    ("urlParse", |call| {
        call.expect(1)?;
        let url = Url::parse(&call.text(0)?).map_err(|error| format!("unable to parse url: {error}"))?;
        Ok(Value::map(
            url.members().into_iter().map(|(name, part)| (name.to_owned(), Value::text(part))).collect(),
        ))
    }),
    ("urlJoin", |call| {
        call.expect(1)?;
        let members = call.any(0).members().ok_or_else(|| wrong("a map", &call.any(0)))?;
        Ok(Value::text(joined(&members)?))
    }),
];

const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: AsciiSet = UNRESERVED
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');
const FRAGMENT: AsciiSet = PATH.remove(b'?').remove(b'!').remove(b'(').remove(b')').remove(b'*');
const HOST: AsciiSet = UNRESERVED
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'[')
    .remove(b']')
    .remove(b'<')
    .remove(b'>')
    .remove(b'"');
const USER: AsciiSet =
    UNRESERVED.remove(b'$').remove(b'&').remove(b'+').remove(b',').remove(b';').remove(b'=');

#[derive(Default)]
struct Url {
    scheme: String,
    opaque: String,
    /// Encoded.
    userinfo: Option<String>,
    host: String,
    path: String,
    query: String,
    fragment: String,
}

impl Url {
    fn parse(text: &str) -> Result<Self, String> {
        if text.contains(|c: char| c.is_ascii_control()) {
            return Err("a control character".to_owned());
        }
        let mut url = Self::default();
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        url.fragment = decoded(fragment)?;
        let (scheme, rest) = scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        query.clone_into(&mut url.query);
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                rest.clone_into(&mut url.opaque);
                return Ok(url);
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err("the first segment of a path can't contain a colon".to_owned());
            }
        }
        let authority =
            rest.strip_prefix("//").filter(|_| !url.scheme.is_empty() || !rest.starts_with("///"));
        let path = match authority {
            None => rest,
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                url.set_authority(authority)?;
                path
            }
        };
        url.path = decoded(path)?;
        Ok(url)
    }

    fn set_authority(&mut self, authority: &str) -> Result<(), String> {
        let (user, host) =
            authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let port = match host.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or("missing ']' in the host")?.1,
            None => host.find(':').and_then(|at| host.get(at..)).unwrap_or_default(),
        };
        if !port.is_empty()
            && !port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(format!("`{port}` is no port"));
        }
        self.host = decoded_host(host)?;
        self.userinfo = user.map(encoded_userinfo).transpose()?;
        Ok(())
    }

    fn hostname(&self) -> &str {
        match self.host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((inside, _)) => inside,
            None => self.host.rsplit_once(':').map_or(&self.host, |(name, _)| name),
        }
    }

    fn members(&self) -> [(&'static str, &str); 8] {
        [
            ("scheme", &self.scheme),
            ("host", &self.host),
            ("hostname", self.hostname()),
            ("path", &self.path),
            ("query", &self.query),
            ("opaque", &self.opaque),
            ("fragment", &self.fragment),
            ("userinfo", self.userinfo.as_deref().unwrap_or_default()),
        ]
    }
}

/// The scheme, and what follows its colon.
fn scheme(text: &str) -> Result<(&str, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'));
    match end {
        Some(0) if text.starts_with(':') => Err("missing protocol scheme".to_owned()),
        Some(end)
            if text.as_bytes().get(end) == Some(&b':')
                && text.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            Ok((text.get(..end).unwrap_or_default(), text.get(end + 1..).unwrap_or_default()))
        }
        _ => Ok(("", text)),
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    let is_escape =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if let Some((at, _)) = text.match_indices('%').find(|(at, _)| !is_escape(*at)) {
        return Err(format!("invalid URL escape at byte {at}"));
    }
    Ok(lossy(&percent_decode_str(text).collect::<Vec<u8>>()))
}

/// In a host only bytes beyond ASCII may be escaped, and not everything may stand.
fn decoded_host(host: &str) -> Result<String, String> {
    let is_escaped_ascii = |(at, _): (usize, &str)| {
        host.as_bytes().get(at + 1).is_some_and(|digit| (b'0'..b'8').contains(digit))
            && host.get(at..at + 3) != Some("%25")
    };
    let is_stray = |c: char| {
        c.is_ascii() && c != '%' && !c.is_ascii_alphanumeric() && !"-_.~!$&'()*+,;=:[]<>\"".contains(c)
    };
    if host.match_indices('%').any(is_escaped_ascii) {
        return Err("an escape in the host that needs none".to_owned());
    }
    match host.chars().find(|c| is_stray(*c)) {
        Some(c) => Err(format!("invalid character `{c}` in the host")),
        None => decoded(host),
    }
}

fn encoded_userinfo(user: &str) -> Result<String, String> {
    let encoded = |part: &str| Ok::<_, String>(utf8_percent_encode(&decoded(part)?, &USER).to_string());
    if user.contains(|c: char| !c.is_ascii_alphanumeric() && !"-._:~!$&'()*+,;=%@".contains(c)) {
        return Err("invalid userinfo".to_owned());
    }
    match user.split_once(':') {
        None => encoded(user),
        Some((name, password)) => Ok(format!("{}:{}", encoded(name)?, encoded(password)?)),
    }
}

fn joined(members: &BTreeMap<String, Value<'_>>) -> Result<String, String> {
    let part = |name: &str| match members.get(name).cloned().map(Value::shallow) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.into_owned()),
        Some(other) => Err(format!("{name}: {}", wrong("string", &other))),
    };
    let (scheme, opaque, host, path) = (part("scheme")?, part("opaque")?, part("host")?, part("path")?);
    let userinfo = match part("userinfo")?.as_str() {
        "" => None,
        user => Some(encoded_userinfo(user)?),
    };
    let mut out = if scheme.is_empty() { String::new() } else { format!("{scheme}:") };
    if opaque.is_empty() {
        let has_authority = !scheme.is_empty() || !host.is_empty() || userinfo.is_some();
        if has_authority && !(host.is_empty() && path.is_empty() && userinfo.is_none()) {
            out.push_str("//");
            out.extend(userinfo.map(|user| user + "@"));
            out.extend(utf8_percent_encode(&host, &HOST));
        }
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            out.push('/');
        }
        if out.is_empty() && path.split('/').next().is_some_and(|segment| segment.contains(':')) {
            out.push_str("./");
        }
        if path == "*" { out.push('*') } else { out.extend(utf8_percent_encode(&path, &PATH)) }
    } else {
        out.push_str(&opaque);
    }
    let (query, fragment) = (part("query")?, part("fragment")?);
    if !query.is_empty() {
        out.push('?');
        out.push_str(&query);
    }
    if !fragment.is_empty() {
        out.push('#');
        out.extend(utf8_percent_encode(&fragment, &FRAGMENT));
    }
    Ok(out)
}
