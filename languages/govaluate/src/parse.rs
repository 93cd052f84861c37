//! Tokens to a tree: by precedence, all binary operators from left to right.

use std::ops::Range;

use regex::bytes::Regex;

use crate::Error;
use crate::token::{Kind, Operator, Token};

use Operator as O;

/// Parentheses and prefixes nest so deep at most.
const MAX_DEPTH: usize = 200;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) what: What,
    pub(crate) span: Range<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Nil,
    Number(f64),
    Bool(bool),
    String(String),
    /// A pattern that was written out, compiled.
    Pattern(Regex),
    Variable(String),
    Accessor(String),
    Prefix(Operator, Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
}

/// Tightest last: each level holds operators of equal precedence.
const LEVELS: [&[Operator]; 10] = [
    &[O::Comma],
    &[O::Then, O::Else, O::Coalesce],
    &[O::Or],
    &[O::And],
    &[
        O::Equal,
        O::NotEqual,
        O::Less,
        O::LessOrEqual,
        O::Greater,
        O::GreaterOrEqual,
        O::Matches,
        O::NotMatches,
        O::In,
    ],
    &[O::BitAnd, O::BitOr, O::BitXor],
    &[O::ShiftLeft, O::ShiftRight],
    &[O::Add, O::Subtract],
    &[O::Multiply, O::Divide, O::Remainder],
    &[O::Power],
];

pub(crate) fn parse(text: &str, tokens: &[Token]) -> Result<Option<Node>, Error> {
    check_balance(tokens)?;
    let mut parser = Parser { tokens, at: 0, depth: 0, end: text.len() };
    // A value behind a `)` ends the expression: as the reference does, what follows is not looked at.
    parser.level(0).map(Some)
}

/// As many `(` as `)`; the reference does not ask for more.
fn check_balance(tokens: &[Token]) -> Result<(), Error> {
    let mut open: Vec<&Token> = Vec::new();
    let mut stray: Vec<&Token> = Vec::new();
    for token in tokens {
        match token.kind {
            Kind::Open => open.push(token),
            Kind::Close if open.pop().is_none() => stray.push(token),
            _ => {}
        }
    }
    let (what, token) = match (open.get(stray.len()), stray.get(open.len())) {
        (Some(token), _) => ("a `(` is not closed", token),
        (_, Some(token)) => ("a `)` without its `(`", token),
        _ => return Ok(()),
    };
    Err(Error::new(what, token.span.clone()))
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: usize,
    end: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.at)
    }

    fn level(&mut self, level: usize) -> Result<Node, Error> {
        let Some(operators) = LEVELS.get(level) else { return self.prefix() };
        let mut left = self.level(level + 1)?;
        while let Some(Token { kind: Kind::Binary(operator), span }) = self.peek()
            && operators.contains(operator)
        {
            self.at += 1;
            let right = self.level(level + 1)?;
            left =
                Node { what: What::Binary(*operator, Box::new(left), Box::new(right)), span: span.clone() };
        }
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Node, Error> {
        let Some(Token { kind: Kind::Prefix(operator), span }) = self.peek() else { return self.value() };
        self.at += 1;
        let operand = self.value()?;
        Ok(Node { what: What::Prefix(*operator, Box::new(operand)), span: span.clone() })
    }

    fn value(&mut self) -> Result<Node, Error> {
        let Some(token) = self.peek() else {
            return Err(Error::new("the expression ends too early", self.end..self.end));
        };
        if token.kind == Kind::Close {
            // An operator before a `)`: its operand is nil.
            return Ok(Node { what: What::Nil, span: token.span.clone() });
        }
        self.at += 1;
        let what = match &token.kind {
            Kind::Number(number) | Kind::Time(number) => What::Number(*number),
            Kind::Bool(value) => What::Bool(*value),
            Kind::String(text) if self.is_pattern() => pattern(text, token)?,
            Kind::String(text) => What::String(text.clone()),
            Kind::Variable(name) => What::Variable(name.clone()),
            Kind::Accessor(name) => {
                // What looks like a call takes all that follows for its arguments.
                if self.peek().is_some_and(|token| token.kind == Kind::Open) {
                    self.level(0)?;
                }
                What::Accessor(name.clone())
            }
            Kind::Open => return self.clause(token),
            Kind::Close | Kind::Prefix(_) | Kind::Binary(_) => {
                return Err(Error::new("expected a value", token.span.clone()));
            }
        };
        Ok(Node { what, span: token.span.clone() })
    }

    fn clause(&mut self, open: &Token) -> Result<Node, Error> {
        if self.depth >= MAX_DEPTH {
            return Err(Error::new(format!("nested more than {MAX_DEPTH} deep"), open.span.clone()));
        }
        self.depth += 1;
        let inside = self.level(0)?;
        self.depth -= 1;
        // The `)`; or a value behind a `)` inside, which the reference takes for it.
        self.at += 1;
        Ok(inside)
    }

    /// Whether the word that was just read stands behind `=~` or `!~`.
    fn is_pattern(&self) -> bool {
        let before = self.at.checked_sub(2).and_then(|at| self.tokens.get(at));
        before.is_some_and(|token| matches!(token.kind, Kind::Binary(O::Matches | O::NotMatches)))
    }
}

/// A pattern that is written out is compiled once.
fn pattern(text: &str, token: &Token) -> Result<What, Error> {
    zetes_re2::compile(text)
        .map(What::Pattern)
        .map_err(|error| Error::new(error.to_string(), token.span.clone()))
}

impl Node {
    pub(crate) fn variables<'n>(&'n self, names: &mut Vec<&'n str>) {
        match &self.what {
            What::Variable(name) | What::Accessor(name) => names.push(name),
            What::Prefix(_, operand) => operand.variables(names),
            What::Binary(_, left, right) => {
                left.variables(names);
                right.variables(names);
            }
            What::Nil | What::Number(_) | What::Bool(_) | What::String(_) | What::Pattern(_) => {}
        }
    }
}
