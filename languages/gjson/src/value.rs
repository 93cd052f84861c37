//! What a path found.

use std::borrow::Cow;

use crate::scan;

/// What kind of JSON a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    False,
    True,
    Number,
    String,
    /// An object or an array.
    Json,
}

/// A value that a path found. Borrows the document unless the path built it.
#[derive(Clone, Debug, PartialEq)]
pub struct Value<'j> {
    raw: Cow<'j, str>,
}

impl<'j> Value<'j> {
    /// A value from its own text, which must be one JSON value.
    pub fn new(raw: impl Into<Cow<'j, str>>) -> Self {
        Self { raw: raw.into() }
    }

    /// The first value in the text, which begins with it.
    pub(crate) fn first_of(raw: Cow<'j, str>) -> Option<Self> {
        let mut span = scan::value_at(&raw, 0)?;
        if span.of(&raw).starts_with(['{', '[']) {
            // A whole document keeps what stands behind its end.
            span.end = raw.len();
        }
        Some(Self::new(match raw {
            Cow::Borrowed(raw) => Cow::Borrowed(span.of(raw)),
            Cow::Owned(raw) => Cow::Owned(span.of(&raw).to_owned()),
        }))
    }

    pub fn kind(&self) -> Kind {
        match self.raw.as_bytes().first() {
            Some(b'"') => Kind::String,
            Some(b'{' | b'[') => Kind::Json,
            Some(b't') => Kind::True,
            Some(b'f') => Kind::False,
            Some(b'n') if self.raw.starts_with("na") => Kind::Number,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// The JSON text: as in the document, or compact where the path built it.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    pub(crate) fn into_raw(self) -> Cow<'j, str> {
        self.raw
    }

    pub fn is_array(&self) -> bool {
        self.raw.starts_with('[')
    }

    pub fn is_object(&self) -> bool {
        self.raw.starts_with('{')
    }

    /// Text without its quotes and escapes; numbers as written when they are digits only, else in plain decimals; `true`,
    /// `false`; nothing for null; containers as their text.
    pub fn string(&self) -> Cow<'_, str> {
        match self.kind() {
            Kind::Null => Cow::Borrowed(""),
            Kind::True => Cow::Borrowed("true"),
            Kind::False => Cow::Borrowed("false"),
            Kind::Json => Cow::Borrowed(&self.raw),
            Kind::String => unquote(&self.raw),
            Kind::Number if is_integer(&self.raw) => Cow::Borrowed(&self.raw),
            Kind::Number => Cow::Owned(plain_decimal(self.number())),
        }
    }

    /// A number; a text that is one; 1 for true; else 0.
    pub fn number(&self) -> f64 {
        match self.kind() {
            Kind::True => 1.0,
            Kind::Number => go_float(&self.raw).unwrap_or(0.0),
            Kind::String => go_float(&unquote(&self.raw)).unwrap_or(0.0),
            Kind::Null | Kind::False | Kind::Json => 0.0,
        }
    }

    /// True; a number that is not 0; a text that says so (`1 t T true TRUE True`, in any letter case); else false.
    pub fn boolean(&self) -> bool {
        match self.kind() {
            Kind::True => true,
            Kind::Number => self.number() != 0.0,
            Kind::String => go_bool(&unquote(&self.raw).to_lowercase()) == Some(true),
            Kind::Null | Kind::False | Kind::Json => false,
        }
    }
}

fn is_integer(number: &str) -> bool {
    number.strip_prefix('-').unwrap_or(number).bytes().all(|byte| byte.is_ascii_digit())
}

/// Go's `strconv.ParseBool`.
pub(crate) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `strconv.ParseFloat`, but for hexadecimal. A `_` may stand between two digits.
pub(crate) fn go_float(text: &str) -> Option<f64> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let word = unsigned.to_ascii_lowercase();
    if unsigned.len() + 1 < text.len()
        || (word.starts_with(|c: char| c.is_ascii_alphabetic())
            && !matches!(word.as_str(), "inf" | "infinity" | "nan"))
    {
        return None;
    }
    if text.contains('_') { without_underscores(text)?.parse().ok() } else { text.parse().ok() }
}

fn without_underscores(number: &str) -> Option<String> {
    let mut parts = number.split('_').peekable();
    let mut joined = String::with_capacity(number.len());
    while let Some(part) = parts.next() {
        let begins = joined.is_empty() || part.starts_with(|c: char| c.is_ascii_digit());
        let ends = parts.peek().is_none() || part.ends_with(|c: char| c.is_ascii_digit());
        if !(begins && ends) {
            return None;
        }
        joined.push_str(part);
    }
    Some(joined)
}

/// Shortest digits that read back, without an exponent.
fn plain_decimal(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        format!("{number}")
    }
}

/// The text of a JSON string: quotes cut, escapes decoded. What is no escape stays as it is.
#[inline]
pub(crate) fn unquote(raw: &str) -> Cow<'_, str> {
    let inner = raw.strip_prefix('"').unwrap_or(raw);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    // Bytes: names are short, and a search for a character is a call.
    if inner.as_bytes().contains(&b'\\') { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) }
}

/// Decodes JSON's escapes; ends at the first that is none, as the reference does.
pub(crate) fn unescape(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        decoded.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('n') => decoded.push('\n'),
            Some('r') => decoded.push('\r'),
            Some('t') => decoded.push('\t'),
            Some('b') => decoded.push('\u{8}'),
            Some('f') => decoded.push('\u{c}'),
            Some(same @ ('"' | '\\' | '/')) => decoded.push(same),
            Some('u') => {
                let Some((found, used)) = unicode(chars.as_str()) else { return decoded };
                decoded.push(found);
                rest = chars.as_str().get(used..).unwrap_or_default();
                continue;
            }
            _ => return decoded,
        }
        rest = chars.as_str();
    }
    decoded.push_str(rest);
    decoded
}

/// The character of the digits behind `\u`, its other half included, and how many bytes that took; `None` where the text
/// ends within them.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits =
            text.get(at..at + 4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        u32::from_str_radix(digits?, 16).ok()
    };
    let first = if text.len() < 4 { return None } else { unit(0).unwrap_or_default() };
    if !(0xD800..0xE000).contains(&first) || text.get(4..6) != Some("\\u") || text.len() < 10 {
        return Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 4));
    }
    let second = unit(6).filter(|second| first < 0xDC00 && (0xDC00..0xE000).contains(second));
    let joined =
        second.and_then(|second| char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)));
    Some((joined.unwrap_or(char::REPLACEMENT_CHARACTER), 10))
}

/// A JSON string literal as Go writes it: `<`, `>`, `&` and the two line separators are escaped, too.
pub fn quote(text: &str) -> String {
    use std::fmt::Write as _;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\u{0}'..='\u{1f}' => {
                write!(quoted, "\\u{:04x}", u32::from(c)).expect("writing to a String can't fail");
            }
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
