//! A template's text taken apart: text outside of actions, and the tokens inside.

use std::ops::Range;

use crate::Error;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Text(String),
    Open,
    Close,
    Space,
    Identifier(String),
    /// `.name`
    Field(String),
    Dot,
    /// `$` or `$name`
    Variable(String),
    Number(String),
    Character(String),
    /// With its quotes.
    Quoted(String),
    Raw(String),
    LeftParen,
    RightParen,
    Pipe,
    Declare,
    Assign,
    Comma,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

/// Tokens of one template, at most.
const MAX_TOKENS: usize = 100_000;

pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), parens: Vec::new() };
    while lexer.outside()? {
        lexer.inside()?;
    }
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<Token>,
    parens: Vec<usize>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, kind: Kind, start: usize) -> Result<(), Error> {
        if self.tokens.len() >= MAX_TOKENS {
            return Err(Error::new("the template is too long", start..self.at));
        }
        self.tokens.push(Token { kind, span: start..self.at });
        Ok(())
    }

    /// Text up to the next action; `false` at the end.
    fn outside(&mut self) -> Result<bool, Error> {
        let start = self.at;
        let trims = self.tokens.last().is_some_and(|last| last.kind == Kind::Close) && self.trimmed_left();
        let rest = self.rest();
        let length = rest.find("{{").unwrap_or(rest.len());
        let mut literal = rest.get(..length).unwrap_or_default();
        self.at += length;
        let is_action = !self.rest().is_empty();
        if trims {
            literal = literal.trim_start_matches(is_space);
        }
        if is_action && opens_with_trim(self.rest()) {
            literal = literal.trim_end_matches(is_space);
        }
        if !literal.is_empty() {
            self.push(Kind::Text(literal.to_owned()), start)?;
        }
        Ok(is_action)
    }

    /// Whether the action that just ended says that space behind it goes.
    fn trimmed_left(&self) -> bool {
        self.text.get(..self.at).is_some_and(|before| before.ends_with("-}}"))
            && self.text.get(..self.at.saturating_sub(3)).is_some_and(|before| before.ends_with(is_space))
    }

    fn inside(&mut self) -> Result<(), Error> {
        let start = self.at;
        self.at += if opens_with_trim(self.rest()) { 3 } else { 2 };
        let after = self.rest().trim_start_matches(is_space);
        if after.starts_with("/*")
            && (opens_with_trim(self.text.get(start..).unwrap_or_default()) || self.rest().starts_with("/*"))
        {
            return self.comment(start);
        }
        self.push(Kind::Open, start)?;
        loop {
            let start = self.at;
            if let Some(length) = closes(self.rest()) {
                if let Some(open) = self.parens.pop() {
                    return Err(Error::new("a `(` is not closed", open..open + 1));
                }
                self.at += length;
                return self.push(Kind::Close, start);
            }
            let Some(character) = self.rest().chars().next() else {
                return Err(Error::new("an action is not closed: `}}` is missing", start..start));
            };
            self.token(character, start)?;
        }
    }

    /// A comment leaves a close, so that its trim marker is seen, and nothing else.
    fn comment(&mut self, start: usize) -> Result<(), Error> {
        let Some(end) = self.rest().find("*/") else {
            return Err(Error::new("a comment is not closed", start..self.text.len()));
        };
        self.at += end + 2;
        let Some(length) = closes(self.rest()) else {
            return Err(Error::new("a comment ends before its `}}`", start..self.at));
        };
        self.at += length;
        self.push(Kind::Open, start)?;
        self.push(Kind::Close, start)
    }

    fn token(&mut self, character: char, start: usize) -> Result<(), Error> {
        match character {
            _ if is_space(character) => {
                let rest = self.rest();
                let length = rest.len() - rest.trim_start_matches(is_space).len();
                self.at += length;
                self.push(Kind::Space, start)
            }
            '"' => {
                self.quoted('"', start)?;
                let text = self.text.get(start..self.at).unwrap_or_default().to_owned();
                self.push(Kind::Quoted(text), start)
            }
            '\'' => {
                self.quoted('\'', start)?;
                let text = self.text.get(start..self.at).unwrap_or_default().to_owned();
                self.push(Kind::Character(text), start)
            }
            '`' => {
                let Some(end) = self.rest().get(1..).and_then(|rest| rest.find('`')) else {
                    return Err(Error::new("a raw string is not closed", start..self.text.len()));
                };
                let text = self.rest().get(1..=end).unwrap_or_default().to_owned();
                self.at += end + 2;
                self.push(Kind::Raw(text), start)
            }
            '$' => {
                self.at += 1;
                let name = self.name();
                self.terminated(start)?;
                self.push(Kind::Variable(format!("${name}")), start)
            }
            '.' if !self
                .rest()
                .get(1..)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) =>
            {
                self.at += 1;
                let name = self.name();
                if name.is_empty() {
                    return self.push(Kind::Dot, start);
                }
                self.terminated(start)?;
                self.push(Kind::Field(name), start)
            }
            '+' | '-' | '.' | '0'..='9' => self.number(start),
            _ if is_alphanumeric(character) => {
                let name = self.name();
                self.terminated(start)?;
                self.push(Kind::Identifier(name), start)
            }
            '(' => {
                self.parens.push(start);
                self.symbol(1, Kind::LeftParen, start)
            }
            ')' => {
                if self.parens.pop().is_none() {
                    return Err(Error::new("a `)` without its `(`", start..start + 1));
                }
                self.symbol(1, Kind::RightParen, start)
            }
            '|' => self.symbol(1, Kind::Pipe, start),
            ',' => self.symbol(1, Kind::Comma, start),
            '=' => self.symbol(1, Kind::Assign, start),
            ':' if self.rest().starts_with(":=") => self.symbol(2, Kind::Declare, start),
            other => Err(Error::new(format!("unexpected `{other}`"), start..start + other.len_utf8())),
        }
    }

    fn symbol(&mut self, length: usize, kind: Kind, start: usize) -> Result<(), Error> {
        self.at += length;
        self.push(kind, start)
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let length = rest.find(|c: char| !is_alphanumeric(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default().to_owned()
    }

    /// A name ends where something else may begin.
    fn terminated(&self, start: usize) -> Result<(), Error> {
        match self.rest().chars().next() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => Ok(()),
            Some(character) if is_space(character) || closes(self.rest()).is_some() => Ok(()),
            Some(character) => {
                let name = self.text.get(start..self.at).unwrap_or_default();
                let message = format!(
                    "unexpected `{character}` behind `{name}`; a key with such a character is read with `index`"
                );
                Err(Error::new(message, self.at..self.at + character.len_utf8()))
            }
        }
    }

    fn quoted(&mut self, quote: char, start: usize) -> Result<(), Error> {
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((offset, character)) = characters.next() {
            match character {
                '\\' => drop(characters.next()),
                '\n' => break,
                _ if character == quote => {
                    self.at += offset + 1;
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(Error::new("a string is not closed", start..self.text.len().min(start + 1)))
    }

    fn number(&mut self, start: usize) -> Result<(), Error> {
        let rest = self.rest();
        let sign = usize::from(rest.starts_with(['+', '-']));
        let digits = rest.get(sign..).unwrap_or_default();
        let hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
        let mut length = sign;
        let mut before = ' ';
        for character in digits.chars() {
            let is_exponent_sign = matches!(character, '+' | '-')
                && (matches!(before, 'p' | 'P') || (!hexadecimal && matches!(before, 'e' | 'E')));
            if !(character.is_ascii_alphanumeric() || matches!(character, '_' | '.') || is_exponent_sign) {
                break;
            }
            length += character.len_utf8();
            before = character;
        }
        let text = rest.get(..length).unwrap_or_default().to_owned();
        self.at += length;
        self.push(Kind::Number(text), start)
    }
}

fn opens_with_trim(rest: &str) -> bool {
    rest.strip_prefix("{{-").is_some_and(|after| after.starts_with(is_space))
}

/// The length of what closes the action here, trim marker included.
fn closes(rest: &str) -> Option<usize> {
    if rest.starts_with("}}") {
        return Some(2);
    }
    let trimmed = rest.trim_start_matches(is_space);
    let space = rest.len() - trimmed.len();
    (space > 0 && trimmed.starts_with("-}}")).then_some(space + 3)
}

pub(crate) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}
