//! Queries over the elements of an array: `#(path op value)`.

use std::borrow::Cow;

use crate::path::Path;
use crate::scan;
use crate::value::{Kind, Value, go_bool, unescape};

/// A compiled query.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// `None` compares the element itself.
    path: Option<Path>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Exists,
    Compare(Operator, String),
    /// `==~true` and its like: the element's value as true, false, null or anything.
    Like(Operator, Option<Likeness>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Glob,
    NotGlob,
}

#[derive(Clone, Copy, Debug)]
enum Likeness {
    True,
    False,
    Null,
    Present,
}

impl Query {
    /// Reads what stands between the brackets.
    pub(crate) fn parse(text: &str, depth: usize) -> Option<Self> {
        let at = operator_at(text).unwrap_or(text.len());
        let (path, comparison) = text.split_at_checked(at)?;
        let path = path.trim();
        let path = (!path.is_empty()).then(|| Path::nested(path, depth + 1));
        if comparison.is_empty() {
            return Some(Self { path, test: Test::Exists });
        }
        let (operator, length) = operator(comparison)?;
        let value = comparison.get(length..)?.trim();
        let condition = match value.strip_prefix('~') {
            Some(likeness) => Test::Like(operator, Likeness::parse(likeness)),
            None => Test::Compare(operator, unquoted(value).into_owned()),
        };
        Some(Self { path, test: condition })
    }

    pub(crate) fn matches(&self, element: &str) -> bool {
        let container = element.starts_with(['{', '[']);
        let value = match &self.path {
            Some(path) if container => path.get(element),
            Some(_) => return false,
            None if container => None,
            None => Some(Value::new(element)),
        };
        match &self.test {
            Test::Like(operator, likeness) => {
                let like = likeness.map(|likeness| likeness.holds(value.as_ref()));
                like.is_some_and(|like| boolean(*operator, like, "true"))
            }
            Test::Exists => value.is_some(),
            Test::Compare(operator, wanted) => value.is_some_and(|value| compare(*operator, &value, wanted)),
        }
    }
}

/// Where the first operator outside of brackets and strings begins.
fn operator_at(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'!' | b'=' | b'<' | b'>' | b'%' if depth == 0 => return Some(at),
            b'\\' => at += 1,
            b'"' => at = scan::string_end(text, at).saturating_sub(1),
            b'[' | b'(' => depth += 1,
            b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

fn operator(text: &str) -> Option<(Operator, usize)> {
    let two = [
        ("!=", Operator::NotEqual),
        ("!%", Operator::NotGlob),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("==", Operator::Equal),
    ];
    let one =
        [("=", Operator::Equal), ("<", Operator::Less), (">", Operator::Greater), ("%", Operator::Glob)];
    two.into_iter()
        .chain(one)
        .find(|(sign, _)| text.starts_with(sign))
        .map(|(sign, operator)| (operator, sign.len()))
}

fn unquoted(value: &str) -> Cow<'_, str> {
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if inner.contains('\\') => Cow::Owned(unescape(inner)),
        Some(inner) => Cow::Borrowed(inner),
        None => Cow::Borrowed(value),
    }
}

impl Likeness {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "true" => Some(Self::True),
            "false" => Some(Self::False),
            "null" => Some(Self::Null),
            "*" => Some(Self::Present),
            _ => None,
        }
    }

    fn holds(self, value: Option<&Value<'_>>) -> bool {
        let kind = value.map_or(Kind::Null, Value::kind);
        let text = || value.and_then(|value| go_bool(&value.string().to_lowercase()));
        let number = || value.map_or(0.0, Value::number);
        match self {
            Self::Present => value.is_some(),
            Self::Null => kind == Kind::Null,
            Self::True => match kind {
                Kind::True => true,
                Kind::String => text() == Some(true),
                Kind::Number => number() != 0.0,
                _ => false,
            },
            Self::False => match kind {
                Kind::Null | Kind::False => true,
                Kind::String => text() == Some(false),
                Kind::Number => number() == 0.0,
                _ => false,
            },
        }
    }
}

fn compare(operator: Operator, value: &Value<'_>, wanted: &str) -> bool {
    match value.kind() {
        Kind::String => text(operator, &value.string(), wanted),
        Kind::Number => number(operator, value.number(), crate::value::go_float(wanted).unwrap_or(0.0)),
        Kind::True => boolean(operator, true, wanted),
        Kind::False => boolean(operator, false, wanted),
        Kind::Null | Kind::Json => false,
    }
}

fn text(operator: Operator, value: &str, wanted: &str) -> bool {
    match operator {
        Operator::Equal => value == wanted,
        Operator::NotEqual => value != wanted,
        Operator::Less => value < wanted,
        Operator::LessOrEqual => value <= wanted,
        Operator::Greater => value > wanted,
        Operator::GreaterOrEqual => value >= wanted,
        Operator::Glob => glob(wanted, value),
        Operator::NotGlob => !glob(wanted, value),
    }
}

#[expect(clippy::float_cmp, reason = "the language compares numbers exactly")]
fn number(operator: Operator, value: f64, wanted: f64) -> bool {
    match operator {
        Operator::Equal => value == wanted,
        Operator::NotEqual => value != wanted,
        Operator::Less => value < wanted,
        Operator::LessOrEqual => value <= wanted,
        Operator::Greater => value > wanted,
        Operator::GreaterOrEqual => value >= wanted,
        Operator::Glob | Operator::NotGlob => false,
    }
}

fn boolean(operator: Operator, value: bool, wanted: &str) -> bool {
    let word = if value { "true" } else { "false" };
    match operator {
        Operator::Equal => wanted == word,
        Operator::NotEqual => wanted != word,
        Operator::Greater => value && wanted == "false",
        Operator::GreaterOrEqual => value,
        Operator::Less => !value && wanted == "true",
        Operator::LessOrEqual => !value,
        Operator::Glob | Operator::NotGlob => false,
    }
}

/// `*` is any run of characters, `?` any one, `\` takes the next literally. Linear in pattern times text.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<Token> = tokens(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t, mut star) = (0, 0, None);
    while let Some(c) = text.get(t) {
        match pattern.get(p) {
            Some(Token::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(Token::One) => (p, t) = (p + 1, t + 1),
            Some(Token::Char(wanted)) if wanted == c => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|token| *token == Token::Any)
}

#[derive(PartialEq, Eq)]
enum Token {
    Any,
    One,
    Char(char),
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut chars = pattern.chars();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Char(chars.next().unwrap_or('\\')),
            other => Token::Char(other),
        });
    }
    tokens
}
