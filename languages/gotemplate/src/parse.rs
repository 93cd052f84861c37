//! Tokens to a tree.

use std::ops::Range;

use crate::Error;
use crate::builtins;
use crate::function::Found;
use crate::lex::{Kind, Token, tokens};
use crate::literal;
use crate::node::{Branch, Command, Defined, List, Named, Node, Operand, Pipe, What};
use crate::sprig;

/// Actions and parentheses nest so deep at most.
const MAX_DEPTH: usize = 100;

pub(crate) fn parse(text: &str) -> Result<(List, Defined), Error> {
    let tokens = tokens(text)?;
    let end = text.len();
    let mut parser = Parser {
        tokens,
        at: 0,
        end,
        variables: vec!["$".to_owned()],
        defined: Defined::new(),
        depth: 0,
        loops: 0,
    };
    let (root, ended) = parser.list()?;
    match ended {
        Ended::Eof => Ok((root, parser.defined)),
        Ended::End(span) => Err(Error::new("an `end` without anything to end", span)),
        Ended::Else(span) => Err(Error::new("an `else` without its `if`, `with` or `range`", span)),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    end: usize,
    /// Names that are known here, innermost last.
    variables: Vec<String>,
    defined: Defined,
    depth: usize,
    loops: usize,
}

/// What a list of nodes ended with.
enum Ended {
    Eof,
    End(Range<usize>),
    /// The parser stands behind the word.
    Else(Range<usize>),
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn peek_kind(&self) -> Option<&Kind> {
        self.peek().map(|token| &token.kind)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek_kind() == Some(&Kind::Space) {
            self.at += 1;
        }
    }

    fn place(&self) -> Range<usize> {
        self.peek().map_or(self.end..self.end, |token| token.span.clone())
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T, Error> {
        Err(Error::new(format!("expected {wanted}"), self.place()))
    }

    fn deeper(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::new(format!("nested more than {MAX_DEPTH} deep"), self.place()));
        }
        Ok(())
    }

    /// Nodes up to the end, `end` or `else`.
    fn list(&mut self) -> Result<(List, Ended), Error> {
        self.deeper()?;
        let mut nodes = List::new();
        loop {
            let Some(token) = self.next() else {
                self.depth -= 1;
                return Ok((nodes, Ended::Eof));
            };
            match token.kind {
                Kind::Text(text) => nodes.push(Node::Text(text)),
                Kind::Open => {
                    if let Some(ended) = self.action(&mut nodes)? {
                        self.depth -= 1;
                        return Ok((nodes, ended));
                    }
                }
                _ => return Err(Error::new("expected an action", token.span)),
            }
        }
    }

    /// Behind `{{`.
    fn action(&mut self, nodes: &mut List) -> Result<Option<Ended>, Error> {
        let open = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        // Its opening takes in all of a comment.
        let is_comment = open.is_some_and(|open| open.span.len() > 3);
        self.skip_space();
        if self.peek_kind() == Some(&Kind::Close) {
            if is_comment {
                self.at += 1;
                return Ok(None);
            }
            return self.unexpected("a value: `{{ }}` is empty");
        }
        let word = match self.peek_kind() {
            Some(Kind::Identifier(word)) => word.clone(),
            _ => String::new(),
        };
        let span = self.place();
        match word.as_str() {
            "if" => nodes.push(Node::If(self.branch(false)?)),
            "with" => nodes.push(Node::With(self.branch(false)?)),
            "range" => nodes.push(Node::Range(self.branch(true)?)),
            "define" => self.define()?,
            "block" => nodes.push(self.block()?),
            "template" => nodes.push(self.template()?),
            "break" | "continue" => {
                self.at += 1;
                self.close()?;
                if self.loops == 0 {
                    return Err(Error::new(format!("`{word}` outside of a `range`"), span));
                }
                nodes.push(if word == "break" { Node::Break } else { Node::Continue });
            }
            "end" => {
                self.at += 1;
                self.close()?;
                return Ok(Some(Ended::End(span)));
            }
            "else" => {
                self.at += 1;
                return Ok(Some(Ended::Else(span)));
            }
            _ => {
                let pipe = self.pipe(&Kind::Close, false)?;
                nodes.push(Node::Action(pipe));
            }
        }
        Ok(None)
    }

    fn close(&mut self) -> Result<(), Error> {
        self.skip_space();
        if self.peek_kind() == Some(&Kind::Close) {
            self.at += 1;
            return Ok(());
        }
        self.unexpected("`}}`")
    }

    /// `if`, `with` or `range`, with everything up to its `end`.
    fn branch(&mut self, is_range: bool) -> Result<Branch, Error> {
        let word = self.next();
        let is_with = word.as_ref().is_some_and(|token| token.kind == Kind::Identifier("with".to_owned()));
        let span = word.map(|token| token.span).unwrap_or_default();
        let known = self.variables.len();
        let pipe = self.pipe(&Kind::Close, is_range)?;
        self.loops += usize::from(is_range);
        let (list, ended) = self.list()?;
        self.loops -= usize::from(is_range);
        let otherwise = match ended {
            Ended::End(_) => List::new(),
            Ended::Eof => return Err(Error::new("it is not ended: `{{ end }}` is missing", span)),
            Ended::Else(_) => self.otherwise(is_range, is_with, span)?,
        };
        self.variables.truncate(known);
        Ok(Branch { pipe, list, otherwise })
    }

    fn otherwise(&mut self, is_range: bool, is_with: bool, span: Range<usize>) -> Result<List, Error> {
        self.skip_space();
        let next = match self.peek_kind() {
            Some(Kind::Identifier(word)) => word.clone(),
            _ => String::new(),
        };
        if !is_range && next == if is_with { "with" } else { "if" } {
            self.deeper()?;
            let branch = self.branch(false)?;
            self.depth -= 1;
            return Ok(vec![if is_with { Node::With(branch) } else { Node::If(branch) }]);
        }
        self.close()?;
        match self.list()? {
            (list, Ended::End(_)) => Ok(list),
            (_, Ended::Else(span)) => Err(Error::new("a second `else`", span)),
            (_, Ended::Eof) => Err(Error::new("it is not ended: `{{ end }}` is missing", span)),
        }
    }

    fn name_of_template(&mut self) -> Result<String, Error> {
        self.skip_space();
        let span = self.place();
        match self.next().map(|token| token.kind) {
            Some(Kind::Quoted(text)) => {
                literal::unquote(&text).ok_or_else(|| Error::new("not a string", span))
            }
            Some(Kind::Raw(text)) => Ok(text),
            _ => Err(Error::new("expected the template's name in quotes", span)),
        }
    }

    /// The body of a named template, with variables of its own.
    fn body(&mut self, span: Range<usize>) -> Result<List, Error> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let (list, ended) = self.list()?;
        self.variables = outer;
        self.loops = loops;
        match ended {
            Ended::End(_) => Ok(list),
            Ended::Else(span) => Err(Error::new("an `else` without its `if`, `with` or `range`", span)),
            Ended::Eof => Err(Error::new("it is not ended: `{{ end }}` is missing", span)),
        }
    }

    fn add(&mut self, name: String, list: List, span: Range<usize>) -> Result<(), Error> {
        let is_empty =
            |list: &List| list.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()));
        match self.defined.get(&name) {
            Some(known) if !is_empty(known) && !is_empty(&list) => {
                Err(Error::new(format!("template `{name}` is defined twice"), span))
            }
            Some(known) if !is_empty(known) => Ok(()),
            _ => {
                self.defined.insert(name, list);
                Ok(())
            }
        }
    }

    fn define(&mut self) -> Result<(), Error> {
        let span = self.place();
        if self.depth > 1 {
            return Err(Error::new("`define` inside of something else", span));
        }
        self.at += 1;
        let name = self.name_of_template()?;
        self.close()?;
        let list = self.body(span.clone())?;
        self.add(name, list, span)
    }

    fn block(&mut self) -> Result<Node, Error> {
        let span = self.place();
        self.at += 1;
        let name = self.name_of_template()?;
        self.skip_space();
        let pipe = self.pipe(&Kind::Close, false)?;
        let list = self.body(span.clone())?;
        self.add(name.clone(), list, span.clone())?;
        Ok(Node::Template { name, pipe: Some(pipe), span })
    }

    fn template(&mut self) -> Result<Node, Error> {
        let span = self.place();
        self.at += 1;
        let name = self.name_of_template()?;
        self.skip_space();
        if self.peek_kind() == Some(&Kind::Close) {
            self.at += 1;
            return Ok(Node::Template { name, pipe: None, span });
        }
        let pipe = self.pipe(&Kind::Close, false)?;
        Ok(Node::Template { name, pipe: Some(pipe), span })
    }

    /// A pipeline up to what closes it.
    fn pipe(&mut self, closing: &Kind, is_range: bool) -> Result<Pipe, Error> {
        self.skip_space();
        let start = self.place().start;
        let (variables, assigns) = self.declared(is_range)?;
        // Known from here on, even if only assigned to: what nobody declared is found when it is looked at.
        self.variables.extend(variables.iter().cloned());
        let mut commands = Vec::new();
        loop {
            self.skip_space();
            if self.peek_kind() == Some(closing) {
                let end = self.place().start;
                if commands.is_empty() {
                    return self.unexpected("a value");
                }
                self.at += 1;
                check_stages(&commands)?;
                return Ok(Pipe { variables, assigns, commands, span: start..end.max(start) });
            }
            commands.push(self.command(closing)?);
        }
    }

    /// `$x :=`, `$x =`, and in a range `$i, $x :=`.
    fn declared(&mut self, is_range: bool) -> Result<(Vec<String>, bool), Error> {
        let before = self.at;
        let mut names = Vec::new();
        while let Some(Kind::Variable(name)) = self.peek_kind().cloned() {
            self.at += 1;
            self.skip_space();
            match self.peek_kind() {
                Some(Kind::Declare) => {
                    names.push(name);
                    self.at += 1;
                    return Ok((names, false));
                }
                Some(Kind::Assign) => {
                    names.push(name);
                    self.at += 1;
                    return Ok((names, true));
                }
                Some(Kind::Comma) if is_range && names.is_empty() => {
                    names.push(name);
                    self.at += 1;
                    self.skip_space();
                }
                _ => break,
            }
        }
        if !names.is_empty() {
            return self.unexpected("`:=` behind the variables of a range");
        }
        self.at = before;
        Ok((Vec::new(), false))
    }

    fn known(&self, name: &str, span: &Range<usize>) -> Result<(), Error> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(Error::new(format!("undefined variable `{name}`"), span.clone()))
    }

    /// Operands up to a pipe or the end.
    fn command(&mut self, closing: &Kind) -> Result<Command, Error> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            match self.peek_kind() {
                Some(Kind::Space) => {}
                Some(Kind::Pipe) => {
                    self.at += 1;
                    break;
                }
                Some(kind) if kind == closing => break,
                _ => return self.unexpected("a value, `|` or the end of the action"),
            }
        }
        if operands.is_empty() {
            return self.unexpected("a command");
        }
        Ok(Command(operands))
    }

    /// A term and the fields behind it.
    fn operand(&mut self) -> Result<Option<Operand>, Error> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        if !matches!(self.peek_kind(), Some(Kind::Field(_))) {
            return Ok(Some(operand));
        }
        let mut names = Vec::new();
        while let Some(Kind::Field(name)) = self.peek_kind().cloned() {
            operand.span.end = self.place().end;
            names.push(name);
            self.at += 1;
        }
        operand.what = match operand.what {
            What::Field(mut path) => {
                path.append(&mut names);
                What::Field(path)
            }
            What::Variable(name, mut path) => {
                path.append(&mut names);
                What::Variable(name, path)
            }
            What::Bool(_) | What::Number(_) | What::String(_) | What::Nil | What::Dot => {
                return Err(Error::new("a field behind a value that has none", operand.span));
            }
            what => {
                let inner = Operand { what, span: operand.span.clone() };
                What::Chain(Box::new(inner), names)
            }
        };
        Ok(Some(operand))
    }

    fn term(&mut self) -> Result<Option<Operand>, Error> {
        let Some(token) = self.peek().cloned() else { return self.unexpected("`}}`") };
        let span = token.span.clone();
        let bad = |what: &str| Error::new(format!("not a {what}"), span.clone());
        let what = match &token.kind {
            Kind::Identifier(name) => match name.as_str() {
                "true" => What::Bool(true),
                "false" => What::Bool(false),
                "nil" => What::Nil,
                name => What::Function(function(name, &span)?),
            },
            Kind::Dot => What::Dot,
            Kind::Field(name) => What::Field(vec![name.clone()]),
            Kind::Variable(name) => {
                self.known(name, &span)?;
                What::Variable(name.clone(), Vec::new())
            }
            Kind::Number(text) => What::Number(literal::number(text).ok_or_else(|| bad("number"))?),
            Kind::Character(text) => What::Number(literal::character(text).ok_or_else(|| bad("character"))?),
            Kind::Quoted(text) => What::String(literal::unquote(text).ok_or_else(|| bad("string"))?),
            Kind::Raw(text) => What::String(text.clone()),
            Kind::LeftParen => {
                self.at += 1;
                self.deeper()?;
                let pipe = self.pipe(&Kind::RightParen, false)?;
                self.depth -= 1;
                return Ok(Some(Operand { what: What::Pipe(Box::new(pipe)), span }));
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(Operand { what, span }))
    }
}

fn function(name: &str, span: &Range<usize>) -> Result<Named, Error> {
    let found = match sprig::lookup(name) {
        Found::Unknown => builtins::lookup(name),
        found => found,
    };
    match found {
        Found::Function(function) => Ok(Named { name: name.to_owned(), function }),
        Found::Refused(why) => Err(Error::new(format!("function `{name}` is refused: {why}"), span.clone())),
        Found::Unknown => Err(Error::new(format!("there is no function `{name}`"), span.clone())),
    }
}

/// Only the first command of a pipeline may be a plain value.
fn check_stages(commands: &[Command]) -> Result<(), Error> {
    for command in commands.iter().skip(1) {
        let Some(first) = command.0.first() else { continue };
        if matches!(first.what, What::Bool(_) | What::Dot | What::Nil | What::Number(_) | What::String(_)) {
            return Err(Error::new("a value can't take what is piped into it", first.span.clone()));
        }
    }
    Ok(())
}
