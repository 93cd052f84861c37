//! A text to tokens.

use std::ops::Range;

use crate::Error;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Name(String),
    Number(String),
    Text(String),
    Operator(String),
    Bracket(char),
    End,
}

impl Token {
    pub(crate) fn is_operator(&self, text: &str) -> bool {
        matches!(self, Self::Operator(operator) if operator == text)
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Name(text) | Self::Number(text) | Self::Operator(text) => format!("`{text}`"),
            Self::Text(text) => format!("the text `{text}`"),
            Self::Bracket(bracket) => format!("`{bracket}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

pub(crate) fn is_alphanumeric(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphabetic() || c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric())
}

pub(crate) fn is_name(text: &str) -> bool {
    text.chars().all(is_alphanumeric) && text.chars().next().is_some_and(|c| !c.is_numeric())
}

/// Words that are operators.
const WORDS: [&str; 8] = ["in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let"];
/// Words that may follow `not`, after blanks.
const NEGATED: [&str; 5] = ["in", "matches", "contains", "startsWith", "endsWith"];

pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Error> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    while let Some(c) = lexer.peek() {
        lexer.token(c)?;
    }
    lexer.tokens.push((Token::End, text.len()..text.len()));
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<(Token, Range<usize>)>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, fits: impl Fn(char) -> bool) {
        self.at += self.rest().find(|c| !fits(c)).unwrap_or(self.rest().len());
    }

    fn accept(&mut self, one_of: &str) -> bool {
        match self.peek().filter(|c| one_of.contains(*c)) {
            Some(c) => {
                self.at += c.len_utf8();
                true
            }
            None => false,
        }
    }

    fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn push(&mut self, token: Token, start: usize) {
        self.tokens.push((token, start..self.at));
    }

    fn operator(&mut self, start: usize) {
        self.push(Token::Operator(self.since(start).to_owned()), start);
    }

    fn token(&mut self, c: char) -> Result<(), Error> {
        let start = self.at;
        if c.is_whitespace() {
            self.skip(char::is_whitespace);
            return Ok(());
        }
        match c {
            '\'' | '"' => return self.string(c),
            '0'..='9' => return self.number(),
            '.' if self.rest().as_bytes().get(1).is_some_and(u8::is_ascii_digit) => return self.number(),
            '/' => return self.slash(),
            '#' => {
                self.at += 1;
                self.accept("#");
                self.operator(start);
                let start = self.at;
                self.skip(is_alphanumeric);
                if self.at > start {
                    self.push(Token::Name(self.since(start).to_owned()), start);
                }
                return Ok(());
            }
            '(' | '[' | '{' | ')' | ']' | '}' => {
                self.at += 1;
                self.push(Token::Bracket(c), start);
                return Ok(());
            }
            _ if is_alphanumeric(c) => {
                self.word();
                return Ok(());
            }
            _ => {}
        }
        let seconds = match c {
            '?' => ".?",
            '|' => "|",
            ',' | ':' | ';' | '%' | '+' | '-' | '^' => "",
            '&' | '!' | '=' | '*' | '<' | '>' => "&=*",
            '.' => ".",
            _ => return Err(Error::new(format!("unexpected character `{c}`"), start..start + c.len_utf8())),
        };
        self.at += 1;
        self.accept(seconds);
        self.operator(start);
        Ok(())
    }

    fn word(&mut self) {
        let start = self.at;
        self.skip(is_alphanumeric);
        let word = self.since(start);
        if WORDS.contains(&word) {
            self.operator(start);
        } else if word == "not" {
            self.operator(start);
            let after = self.at;
            self.skip(|c| c == ' ');
            let start = self.at;
            self.skip(is_alphanumeric);
            if NEGATED.contains(&self.since(start)) {
                self.operator(start);
            } else {
                self.at = after;
            }
        } else {
            self.push(Token::Name(word.to_owned()), start);
        }
    }

    fn number(&mut self) -> Result<(), Error> {
        let start = self.at;
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.skip(|c| digits.contains(c));
        let is_range = self.rest().starts_with("..");
        if !is_range {
            if self.accept(".") {
                self.skip(|c| digits.contains(c));
            }
            if self.accept("eE") {
                self.accept("+-");
                self.skip(|c| digits.contains(c));
            }
            if self.peek().is_some_and(is_alphanumeric) {
                self.skip(is_alphanumeric);
                return Err(Error::new(format!("`{}` is no number", self.since(start)), start..self.at));
            }
        }
        self.push(Token::Number(self.since(start).to_owned()), start);
        Ok(())
    }

    fn slash(&mut self) -> Result<(), Error> {
        let start = self.at;
        self.at += 1;
        if self.accept("/") {
            self.skip(|c| c != '\n');
        } else if self.accept("*") {
            let Some(length) = self.rest().find("*/") else {
                return Err(Error::new("the comment has no end", start..self.text.len()));
            };
            self.at += length + 2;
        } else {
            self.operator(start);
        }
        Ok(())
    }

    fn string(&mut self, quote: char) -> Result<(), Error> {
        let start = self.at;
        let open = || Error::new("the text has no end", start..self.text.len());
        let mut out = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        loop {
            let (at, c) = characters.next().ok_or_else(open)?;
            match c {
                _ if c == quote => {
                    self.at = start + at + 1;
                    self.push(Token::Text(out), start);
                    return Ok(());
                }
                '\n' => return Err(open()),
                '\\' => {
                    let place = start + at;
                    let wrong = |length: usize| {
                        Error::new("this escape is unknown", place..self.text.len().min(place + length))
                    };
                    let (_, escape) = characters.next().ok_or_else(open)?;
                    let mut number = |first: u32, count: usize, radix: u32| {
                        (0..count).try_fold(first, |number, _| {
                            let digit = characters.next().and_then(|(_, c)| c.to_digit(radix));
                            number.checked_mul(radix)?.checked_add(digit?)
                        })
                    };
                    let code = match escape {
                        'a' => Some(7),
                        'b' => Some(8),
                        'f' => Some(12),
                        'n' => Some(10),
                        'r' => Some(13),
                        't' => Some(9),
                        'v' => Some(11),
                        '\\' => Some(u32::from('\\')),
                        _ if escape == quote => Some(u32::from(quote)),
                        '0'..='3' => number(escape.to_digit(8).unwrap_or_default(), 2, 8),
                        'x' => number(0, 2, 16),
                        'u' => number(0, 4, 16),
                        // The reference takes the upper half for negative, which is not too large.
                        'U' => number(0, 8, 16)
                            .filter(|code| *code <= u32::from(char::MAX) || *code > i32::MAX.unsigned_abs()),
                        _ => None,
                    };
                    let code = code.ok_or_else(|| wrong(1 + escape.len_utf8()))?;
                    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                _ => out.push(c),
            }
        }
    }
}
