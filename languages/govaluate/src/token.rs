//! A text taken apart. White space separates; an operator is the longest run of what is nothing else.

use std::borrow::Cow;
use std::ops::Range;

use jiff::tz::TimeZone;

use crate::Error;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Number(f64),
    Bool(bool),
    String(String),
    /// A string that is a date: its Unix time.
    Time(f64),
    Variable(String),
    /// A name with a dot: it looks into a struct, and JSON has none.
    Accessor(String),
    Prefix(Operator),
    Binary(Operator),
    Open,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Negate,
    Not,
    BitNot,
    Power,
    Multiply,
    Divide,
    Remainder,
    Add,
    Subtract,
    ShiftLeft,
    ShiftRight,
    BitAnd,
    BitOr,
    BitXor,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    NotMatches,
    In,
    And,
    Or,
    Then,
    Else,
    Coalesce,
    Comma,
}

use Operator as O;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

const BINARY: [(&str, Operator); 25] = [
    ("**", O::Power),
    ("*", O::Multiply),
    ("/", O::Divide),
    ("%", O::Remainder),
    ("+", O::Add),
    ("-", O::Subtract),
    ("<<", O::ShiftLeft),
    (">>", O::ShiftRight),
    ("&", O::BitAnd),
    ("|", O::BitOr),
    ("^", O::BitXor),
    ("==", O::Equal),
    ("!=", O::NotEqual),
    ("<", O::Less),
    ("<=", O::LessOrEqual),
    (">", O::Greater),
    (">=", O::GreaterOrEqual),
    ("=~", O::Matches),
    ("!~", O::NotMatches),
    ("&&", O::And),
    ("||", O::Or),
    ("?", O::Then),
    (":", O::Else),
    ("??", O::Coalesce),
    (",", O::Comma),
];

/// Names, values and operators of one expression, at most.
const MAX_TOKENS: usize = 10_000;

/// What a string literal must fully be to be a date.
const DATES: [&str; 14] = [
    "Mon Jan _2 15:04:05 2006",
    "Mon Jan 02 15:04:05 -0700 2006",
    "Mon Jan _2 15:04:05 MST 2006",
    "3:04PM",
    zetes_gotime::RFC3339,
    zetes_gotime::RFC3339_NANO,
    "2006-01-02",
    "2006-01-02 15:04",
    "2006-01-02 15:04:05",
    "2006-01-02 15:04:05-07:00",
    "2006-01-02T15Z0700",
    "2006-01-02T15:04Z0700",
    "2006-01-02T15:04:05Z0700",
    "2006-01-02T15:04:05.999999999Z0700",
];

pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut reader = Reader { text, at: 0 };
    let mut tokens: Vec<Token> = Vec::new();
    while let Some(token) = reader.next(tokens.last())? {
        if tokens.len() >= MAX_TOKENS {
            return Err(Error::new(format!("longer than {MAX_TOKENS} words"), token.span));
        }
        check_order(tokens.last(), &token)?;
        tokens.push(token);
    }
    match tokens.last() {
        None => Err(Error::new("expected an expression", 0..text.len())),
        Some(last) if !may_end(&last.kind) => {
            Err(Error::new("the expression ends too early", last.span.clone()))
        }
        Some(_) => Ok(tokens),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self, last: Option<&Token>) -> Result<Option<Token>, Error> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let kind = match first {
            '0'..='9' | '.' => self.number()?,
            ',' => {
                self.at += 1;
                Kind::Binary(O::Comma)
            }
            '[' => {
                self.at += 1;
                Kind::Variable(self.until(&[']'], start)?)
            }
            '\'' | '"' => {
                self.at += 1;
                let string = self.until(&['\'', '"'], start)?;
                time(&string).map_or(Kind::String(string), Kind::Time)
            }
            '(' => {
                self.at += 1;
                Kind::Open
            }
            ')' => {
                self.at += 1;
                Kind::Close
            }
            letter if letter.is_alphabetic() => self.word()?,
            digit if digit.is_numeric() => {
                return Err(Error::new("a digit that is none of 0 to 9", start..start + digit.len_utf8()));
            }
            _ => self.operator(last)?,
        };
        Ok(Some(Token { kind, span: start..self.at }))
    }

    fn number(&mut self) -> Result<Kind, Error> {
        let start = self.at;
        if let Some(hex) = self.rest().strip_prefix("0x") {
            self.at += 2 + hex.len() - hex.trim_start().len();
            let number = u64::from_str_radix(&self.run(|c| c.is_ascii_hexdigit())?, 16);
            #[expect(clippy::cast_precision_loss, reason = "all numbers of the language are floats")]
            return number
                .map(|number| Kind::Number(number as f64))
                .map_err(|_| Error::new("not a hexadecimal number", start..self.at));
        }
        let number = self
            .run(|c| c.is_ascii_digit() || c == '.')?
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite());
        number.map(Kind::Number).ok_or_else(|| Error::new("not a number", start..self.at))
    }

    /// The characters that fit, and those behind a backslash, whatever they are.
    fn run(&mut self, fits: impl Fn(char) -> bool) -> Result<String, Error> {
        let mut run = String::new();
        let start = self.at;
        let mut characters = self.rest().chars();
        while let Some(character) = characters.next() {
            if character == '\\' {
                let what = "there is nothing behind the backslash";
                run.push(characters.next().ok_or_else(|| Error::new(what, start..self.text.len()))?);
            } else if fits(character) {
                run.push(character);
            } else {
                break;
            }
            self.at = self.text.len() - characters.as_str().len();
        }
        Ok(run)
    }

    /// A text up to one of these characters; a backslash takes the next character as it is.
    fn until(&mut self, ends: &[char], start: usize) -> Result<String, Error> {
        let mut text = String::new();
        let mut characters = self.rest().char_indices();
        while let Some((offset, character)) = characters.next() {
            if ends.contains(&character) {
                self.at += offset + character.len_utf8();
                return Ok(text);
            }
            if character == '\\' {
                text.extend(characters.next().map(|(_, escaped)| escaped));
            } else {
                text.push(character);
            }
        }
        let what = if ends.len() == 1 { "an opened `[` is not closed" } else { "a string is not closed" };
        Err(Error::new(what, start..self.text.len()))
    }

    /// `true`, `in`, a variable, an accessor.
    fn word(&mut self) -> Result<Kind, Error> {
        let start = self.at;
        let name = self.run(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))?;
        Ok(match name.as_str() {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "in" | "IN" => Kind::Binary(O::In),
            _ if name.contains('.') => {
                let is_small = |part: &str| part.starts_with(char::is_lowercase);
                if name.ends_with('.') || name.split('.').skip(1).any(is_small) {
                    let what = format!(
                        "`{name}` looks into a struct, and there is none: name the place in `fields`"
                    );
                    return Err(Error::new(what, start..self.at));
                }
                Kind::Accessor(name)
            }
            _ => Kind::Variable(name),
        })
    }

    fn operator(&mut self, last: Option<&Token>) -> Result<Kind, Error> {
        let start = self.at;
        let is_other = |c: char| {
            c.is_alphanumeric() || c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '\'' | '"')
        };
        let run = self.run(|c| !is_other(c))?;
        let prefix = match run.as_str() {
            "-" => Some(O::Negate),
            "!" => Some(O::Not),
            "~" => Some(O::BitNot),
            _ => None,
        };
        if let Some(prefix) =
            prefix.filter(|_| may_follow(last.map(|last| &last.kind), &Kind::Prefix(O::Not)))
        {
            return Ok(Kind::Prefix(prefix));
        }
        let known = BINARY.iter().find(|(text, _)| *text == run);
        known
            .map(|(_, operator)| Kind::Binary(*operator))
            .ok_or_else(|| Error::new(format!("unknown operator `{run}`"), start..self.at))
    }
}

#[expect(clippy::cast_precision_loss, reason = "all numbers of the language are floats")]
fn time(text: &str) -> Option<f64> {
    // Every one of the layouts has a colon or a hyphen behind a digit, or begins with the name of a day.
    if !text.contains([':', '-']) {
        return None;
    }
    // The last days that jiff knows are in 9999, so that year is read as one 400 years earlier: the calendar is the same.
    let (text, later) = match text.strip_prefix("9999-") {
        Some(rest) => (Cow::Owned(format!("9599-{rest}")), 146_097 * 86_400),
        None => (Cow::Borrowed(text), 0),
    };
    DATES.iter().find_map(|layout| {
        let at = zetes_gotime::parse(layout, &text, &TimeZone::UTC).ok()?;
        Some((at.timestamp().as_second() + later) as f64)
    })
}

fn check_order(last: Option<&Token>, next: &Token) -> Result<(), Error> {
    if may_follow(last.map(|last| &last.kind), &next.kind) {
        return Ok(());
    }
    let what = match (last.map(|last| &last.kind), &next.kind) {
        (Some(Kind::Variable(name)), Kind::Open) => format!("there is no function `{name}`"),
        (Some(Kind::Variable(_)), Kind::Variable(name)) => {
            format!("`{name}` follows a value: write an operator such as `&&`, `||`, `==` between them")
        }
        (None, _) => "an expression can't begin with this".to_owned(),
        _ => "this can't stand here".to_owned(),
    };
    Err(Error::new(what, next.span.clone()))
}

/// The classes of tokens that the order knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Start,
    Value,
    Str,
    Time,
    Variable,
    Accessor,
    Prefix,
    Modifier,
    Comparator,
    Logical,
    Ternary,
    Comma,
    Open,
    Close,
}

fn class(kind: Option<&Kind>) -> Class {
    match kind {
        None => Class::Start,
        Some(Kind::Number(_) | Kind::Bool(_)) => Class::Value,
        Some(Kind::String(_)) => Class::Str,
        Some(Kind::Time(_)) => Class::Time,
        Some(Kind::Variable(_)) => Class::Variable,
        Some(Kind::Accessor(_)) => Class::Accessor,
        Some(Kind::Prefix(_)) => Class::Prefix,
        Some(Kind::Open) => Class::Open,
        Some(Kind::Close) => Class::Close,
        Some(Kind::Binary(operator)) => match operator {
            O::And | O::Or => Class::Logical,
            O::Then | O::Else | O::Coalesce => Class::Ternary,
            O::Comma => Class::Comma,
            O::Equal
            | O::NotEqual
            | O::Less
            | O::LessOrEqual
            | O::Greater
            | O::GreaterOrEqual
            | O::Matches
            | O::NotMatches
            | O::In => Class::Comparator,
            _ => Class::Modifier,
        },
    }
}

fn may_follow(last: Option<&Kind>, next: &Kind) -> bool {
    use Class as C;
    let next = class(Some(next));
    let operators = matches!(next, C::Modifier | C::Comparator | C::Logical | C::Close | C::Comma);
    match class(last) {
        C::Start => {
            matches!(next, C::Prefix | C::Value | C::Str | C::Time | C::Variable | C::Accessor | C::Open)
        }
        C::Open => matches!(
            next,
            C::Prefix | C::Value | C::Str | C::Time | C::Variable | C::Accessor | C::Open | C::Close
        ),
        C::Value | C::Str | C::Variable => operators || next == C::Ternary,
        C::Accessor => operators || matches!(next, C::Ternary | C::Open),
        C::Close => {
            operators || matches!(next, C::Ternary | C::Value | C::Str | C::Time | C::Variable | C::Open)
        }
        C::Time => operators,
        C::Prefix => matches!(next, C::Value | C::Variable | C::Accessor | C::Open | C::Close),
        C::Modifier => {
            matches!(next, C::Prefix | C::Value | C::Str | C::Variable | C::Accessor | C::Open | C::Close)
        }
        C::Comparator | C::Logical => matches!(
            next,
            C::Prefix | C::Value | C::Str | C::Time | C::Variable | C::Accessor | C::Open | C::Close
        ),
        C::Ternary | C::Comma => {
            matches!(next, C::Prefix | C::Value | C::Str | C::Time | C::Variable | C::Accessor | C::Open)
        }
    }
}

fn may_end(kind: &Kind) -> bool {
    !matches!(kind, Kind::Prefix(_) | Kind::Binary(_) | Kind::Open)
}
