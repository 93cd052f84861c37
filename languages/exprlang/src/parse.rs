//! Tokens to a tree.

use std::ops::Range;

use crate::Error;
use crate::builtins;
use crate::lex::{Token, is_name};
use crate::node::{Binary, Kind, Literal, Loop, LoopName, Member, Node, Slice, Unary};

/// Expressions nest so deep at most.
const MAX_DEPTH: usize = 100;

pub(crate) fn parse(tokens: Vec<(Token, Range<usize>)>) -> Result<Node, Error> {
    let mut parser = Parser { tokens, at: 0, predicates: 0, depth: 0 };
    let node = parser.expression(0)?;
    if parser.current() == &Token::End { Ok(node) } else { Err(parser.unexpected()) }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    at: usize,
    /// How many predicates we are in.
    predicates: usize,
    depth: usize,
}

type Parsed = Result<Node, Error>;

fn binary(text: &str) -> Option<(Option<Binary>, u16)> {
    Some(match text {
        "|" => (None, 0),
        "or" | "||" => (Some(Binary::Or), 10),
        "and" | "&&" => (Some(Binary::And), 15),
        "==" => (Some(Binary::Equal), 20),
        "!=" => (Some(Binary::NotEqual), 20),
        "<" => (Some(Binary::Less), 20),
        ">" => (Some(Binary::Greater), 20),
        "<=" => (Some(Binary::LessOrEqual), 20),
        ">=" => (Some(Binary::GreaterOrEqual), 20),
        "in" => (Some(Binary::In), 20),
        // Told from the others where the node is made.
        "matches" => (None, 20),
        "contains" => (Some(Binary::Contains), 20),
        "startsWith" => (Some(Binary::StartsWith), 20),
        "endsWith" => (Some(Binary::EndsWith), 20),
        ".." => (Some(Binary::Range), 25),
        "+" => (Some(Binary::Add), 30),
        "-" => (Some(Binary::Subtract), 30),
        "*" => (Some(Binary::Multiply), 60),
        "/" => (Some(Binary::Divide), 60),
        "%" => (Some(Binary::Modulo), 60),
        "**" | "^" => (Some(Binary::Power), 100),
        "??" => (Some(Binary::Coalesce), 500),
        _ => return None,
    })
}

impl Parser {
    fn current(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Range<usize> {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0..0, |(_, span)| span.clone())
    }

    /// Where the last token ended.
    fn end(&self) -> usize {
        self.tokens.get(self.at.wrapping_sub(1)).map_or(0, |(_, span)| span.end)
    }

    fn next(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len());
    }

    fn unexpected(&self) -> Error {
        Error::new(format!("unexpected {}", self.current().describe()), self.span())
    }

    fn accept_operator(&mut self, text: &str) -> bool {
        let is = self.current().is_operator(text);
        if is {
            self.next();
        }
        is
    }

    fn is_bracket(&self, bracket: char) -> bool {
        *self.current() == Token::Bracket(bracket)
    }

    fn expect_operator(&mut self, text: &str) -> Result<(), Error> {
        if self.accept_operator(text) { Ok(()) } else { Err(self.expected(&format!("`{text}`"))) }
    }

    fn expect_bracket(&mut self, bracket: char) -> Result<(), Error> {
        if self.is_bracket(bracket) {
            self.next();
            return Ok(());
        }
        Err(self.expected(&format!("`{bracket}`")))
    }

    fn expected(&self, what: &str) -> Error {
        Error::new(format!("expected {what}, found {}", self.current().describe()), self.span())
    }

    fn expression(&mut self, precedence: u16) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::new("the expression is nested too deep", self.span()));
        }
        let node = self.operators(precedence);
        self.depth -= 1;
        node
    }

    fn operators(&mut self, precedence: u16) -> Parsed {
        if precedence == 0 && self.accept_operator("let") {
            return self.declaration();
        }
        let start = self.span().start;
        let mut left = self.primary()?;
        let mut after_coalesce = false;
        while let Token::Operator(_) = self.current() {
            // `not in` and its like.
            let not = self.span();
            let is_negated = self.accept_operator("not");
            let Token::Operator(operator) = self.current().clone() else { break };
            let Some((kind, own)) = binary(&operator).filter(|(_, own)| *own >= precedence) else { break };
            let place = self.span();
            self.next();
            if operator == "|" {
                left = self.pipe(left)?;
                after_coalesce = false;
                continue;
            }
            if after_coalesce && operator != "??" {
                let message =
                    format!("`{operator}` and `??` can't be mixed: wrap one of them in parentheses");
                return Err(Error::new(message, place));
            }
            let right = self.expression(if matches!(kind, Some(Binary::Power)) { own } else { own + 1 })?;
            let (left_node, right) = (Box::new(left), Box::new(right));
            let kind = match kind {
                Some(kind) => Kind::Binary(kind, left_node, right),
                None => Kind::Matches(left_node, right, None),
            };
            left = Node::new(kind, start..self.end());
            if is_negated {
                left = Node::new(Kind::Unary(Unary::Not, Box::new(left)), not.start..self.end());
            }
            after_coalesce = operator == "??";
        }
        if precedence == 0 { self.conditional(left) } else { Ok(left) }
    }

    fn declaration(&mut self) -> Parsed {
        let span = self.span();
        let name = self.name()?;
        self.expect_operator("=")?;
        let value = self.expression(0)?;
        self.expect_operator(";")?;
        let body = self.expression(0)?;
        Ok(Node::new(Kind::Let(name, Box::new(value), Box::new(body)), span))
    }

    fn name(&mut self) -> Result<String, Error> {
        match self.current().clone() {
            Token::Name(name) => {
                self.next();
                Ok(name)
            }
            _ => Err(self.expected("a name")),
        }
    }

    fn conditional(&mut self, mut node: Node) -> Parsed {
        while self.accept_operator("?") {
            let start = node.span.start;
            let then = if self.accept_operator(":") {
                node.clone()
            } else {
                let then = self.expression(0)?;
                self.expect_operator(":")?;
                then
            };
            let otherwise = self.expression(0)?;
            node = Node::new(Kind::Conditional(Box::new([node, then, otherwise])), start..self.end());
        }
        Ok(node)
    }

    fn primary(&mut self) -> Parsed {
        let span = self.span();
        match self.current().clone() {
            Token::Operator(operator) => {
                let unary = match operator.as_str() {
                    "not" | "!" => Some((Unary::Not, 50)),
                    "-" => Some((Unary::Negate, 90)),
                    "+" => Some((Unary::Plus, 90)),
                    _ => None,
                };
                if let Some((unary, precedence)) = unary {
                    self.next();
                    let operand = self.expression(precedence)?;
                    let node = Node::new(Kind::Unary(unary, Box::new(operand)), span.start..self.end());
                    return self.postfix(node);
                }
                if operator != "#" && operator != "." {
                    return Err(self.unexpected());
                }
                if self.predicates == 0 {
                    return Err(Error::new(
                        format!("`{operator}` stands for an element, in a predicate only"),
                        span,
                    ));
                }
                let mut name = String::new();
                if operator == "#" {
                    self.next();
                    if let Token::Name(text) = self.current().clone() {
                        self.next();
                        name = text;
                    }
                }
                let node = Node::new(Kind::Pointer(name), span.start..self.end().max(span.end));
                self.postfix(node)
            }
            Token::Bracket('(') => {
                self.next();
                let node = self.expression(0)?;
                self.expect_bracket(')')?;
                self.postfix(node)
            }
            Token::Bracket('[') => {
                let node = self.array()?;
                self.postfix(node)
            }
            Token::Bracket('{') => {
                let node = self.map()?;
                self.postfix(node)
            }
            Token::Name(name) => {
                self.next();
                let literal = match name.as_str() {
                    "true" => Literal::Bool(true),
                    "false" => Literal::Bool(false),
                    "nil" => Literal::Nil,
                    _ => {
                        let node = self.named(name, span, None)?;
                        return self.postfix(node);
                    }
                };
                Ok(Node::new(Kind::Literal(literal), span))
            }
            Token::Number(text) => {
                let literal = number(&text)
                    .ok_or_else(|| Error::new(format!("`{text}` is no number"), span.clone()))?;
                self.next();
                Ok(Node::new(Kind::Literal(literal), span))
            }
            Token::Text(text) => {
                self.next();
                Ok(Node::new(Kind::Literal(Literal::Text(text)), span))
            }
            Token::Bracket(_) | Token::End => Err(self.unexpected()),
        }
    }

    fn pipe(&mut self, first: Node) -> Parsed {
        let span = self.span();
        let name = self.name()?;
        if !self.is_bracket('(') {
            return Err(self.expected("`(`"));
        }
        self.named(name, span, Some(first))
    }

    /// A name, or a call of it; `piped` is its first argument.
    fn named(&mut self, name: String, span: Range<usize>, piped: Option<Node>) -> Parsed {
        if !self.is_bracket('(') {
            return Ok(Node::new(Kind::Name(name), span));
        }
        if let Some(kind) = LoopName::of(&name) {
            self.next();
            let list = if let Some(list) = piped {
                list
            } else {
                let list = self.expression(0)?;
                self.expect_operator(",")?;
                list
            };
            let body = self.predicate()?;
            let start = (kind == LoopName::Reduce && self.accept_operator(","))
                .then(|| self.expression(0))
                .transpose()?;
            self.expect_bracket(')')?;
            let looped = Loop { name: kind, list, body, start, then: None, must_find: false };
            return Ok(Node::new(Kind::Loop(Box::new(looped)), span.start..self.end()));
        }
        let arguments: Vec<Node> = piped.into_iter().chain(self.arguments()?).collect();
        let whole = span.start..self.end();
        if builtins::is_known(&name) {
            return Ok(Node::new(Kind::Builtin(name, arguments), whole));
        }
        Ok(Node::new(Kind::Call(Box::new(Node::new(Kind::Name(name), span)), arguments), whole))
    }

    fn predicate(&mut self) -> Parsed {
        let is_braced = self.is_bracket('{');
        if is_braced {
            self.next();
        }
        self.predicates += 1;
        let node = self.expression(0)?;
        self.predicates -= 1;
        if is_braced {
            self.expect_bracket('}')?;
        }
        Ok(node)
    }

    fn arguments(&mut self) -> Result<Vec<Node>, Error> {
        self.expect_bracket('(')?;
        let mut nodes = Vec::new();
        while !self.is_bracket(')') {
            if !nodes.is_empty() {
                self.expect_operator(",")?;
            }
            nodes.push(self.expression(0)?);
        }
        self.next();
        Ok(nodes)
    }

    fn array(&mut self) -> Parsed {
        let start = self.span().start;
        self.next();
        let mut nodes = Vec::new();
        while !self.is_bracket(']') {
            if !nodes.is_empty() {
                self.expect_operator(",")?;
                if self.is_bracket(']') {
                    break;
                }
            }
            nodes.push(self.expression(0)?);
        }
        self.next();
        Ok(Node::new(Kind::Array(nodes), start..self.end()))
    }

    fn map(&mut self) -> Parsed {
        let start = self.span().start;
        self.next();
        let mut pairs = Vec::new();
        while !self.is_bracket('}') {
            if !pairs.is_empty() {
                self.expect_operator(",")?;
                if self.is_bracket('}') {
                    break;
                }
            }
            let span = self.span();
            let key = match self.current().clone() {
                Token::Number(text) | Token::Text(text) | Token::Name(text) => {
                    self.next();
                    Node::new(Kind::Literal(Literal::Text(text)), span)
                }
                Token::Bracket('(') => self.expression(0)?,
                _ => {
                    return Err(
                        self.expected("a key: a name, a text, a number or an expression in parentheses")
                    );
                }
            };
            self.expect_operator(":")?;
            pairs.push((key, self.expression(0)?));
        }
        self.next();
        Ok(Node::new(Kind::Map(pairs), start..self.end()))
    }

    fn postfix(&mut self, mut node: Node) -> Parsed {
        let start = node.span.start;
        loop {
            let is_optional = self.current().is_operator("?.");
            if is_optional || self.current().is_operator(".") {
                self.next();
                node = self.member(node, is_optional)?;
            } else if self.is_bracket('[') {
                self.next();
                node = self.index(node)?;
            } else {
                return Ok(node);
            }
            node.span.start = start;
        }
    }

    fn member(&mut self, base: Node, is_optional: bool) -> Parsed {
        let span = self.span();
        let name = match self.current().clone() {
            Token::Name(name) => name,
            Token::Operator(word) if is_name(&word) => word,
            _ => return Err(self.expected("a name")),
        };
        self.next();
        let start = base.span.start;
        let (base, is_chain) = match base.kind {
            Kind::Chain(inner) => (*inner, true),
            kind => (Node { kind, ..base }, false),
        };
        let property = Node::new(Kind::Literal(Literal::Text(name)), span.clone());
        let member = Kind::Member(Box::new(Member { base, property, is_optional }));
        let mut node = Node::new(member, start..span.end);
        if self.is_bracket('(') {
            let arguments = self.arguments()?;
            node = Node::new(Kind::Call(Box::new(node), arguments), start..self.end());
        }
        if is_chain || is_optional {
            let span = node.span.clone();
            node = Node::new(Kind::Chain(Box::new(node)), span);
        }
        Ok(node)
    }

    fn index(&mut self, base: Node) -> Parsed {
        let start = base.span.start;
        let from = if self.current().is_operator(":") { None } else { Some(self.expression(0)?) };
        let kind = if self.accept_operator(":") {
            let to = if self.is_bracket(']') { None } else { Some(self.expression(0)?) };
            Kind::Slice(Box::new(Slice { base, from, to }))
        } else {
            let Some(property) = from else { return Err(self.unexpected()) };
            Kind::Member(Box::new(Member { base, property, is_optional: false }))
        };
        self.expect_bracket(']')?;
        Ok(Node::new(kind, start..self.end()))
    }
}

/// `0x` in small letters only, and no other base: the reference reads them so.
fn number(text: &str) -> Option<Literal> {
    let digits = text.replace('_', "");
    if let Some(hex) = digits.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(Literal::Int);
    }
    if digits.contains(['.', 'e', 'E']) {
        return digits.parse().ok().filter(|number: &f64| number.is_finite()).map(Literal::Float);
    }
    digits.parse().ok().map(Literal::Int)
}
