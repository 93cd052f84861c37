//! A tree rendered.

use std::ops::Range;
use std::rc::Rc;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::function::{Call, MAX_BYTES, MAX_ELEMENTS};
use crate::node::{Branch, Command, Defined, List, Named, Node, Number, Operand, Pipe, What};
use crate::print::print_into;
use crate::sprig::Patterns;
use crate::value::Value;
use crate::{Error, Template, weight};

/// Templates call each other so deep at most.
const MAX_DEPTH: usize = 64;
/// Nodes that one rendering may visit.
const MAX_STEPS: usize = 2_000_000;
/// Parts of a list or a map to look at, for as much as a step.
const PARTS_PER_STEP: usize = 16;

pub(crate) fn render<'d>(template: &'d Template, input: Value<'d>, now: Timestamp) -> Result<String, Error> {
    let dot = Value::map([("Input".to_owned(), input)].into());
    let mut state = State {
        defined: &template.defined,
        patterns: &template.patterns,
        out: String::new(),
        variables: vec![("$".to_owned(), dot.clone())],
        depth: 0,
        steps: 0,
        now,
    };
    state.list(&template.root, &dot)?;
    Ok(state.out)
}

struct State<'t, 'd> {
    defined: &'t Defined,
    patterns: &'d Patterns,
    out: String,
    variables: Vec<(String, Value<'d>)>,
    depth: usize,
    steps: usize,
    now: Timestamp,
}

/// How a list of nodes ended.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

type Evaluated<'d> = Result<Value<'d>, Error>;

impl<'d> State<'_, 'd> {
    fn list(&mut self, nodes: &List, dot: &Value<'d>) -> Result<Flow, Error> {
        for node in nodes {
            self.step(&(0..0))?;
            match self.node(node, dot)? {
                Flow::On => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::On)
    }

    fn step(&mut self, span: &Range<usize>) -> Result<(), Error> {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.out.len() > MAX_BYTES {
            return Err(Error::new("the template takes too long or makes too much", span.clone()));
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value<'d>) -> Result<Flow, Error> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    print_into(&mut self.out, &value);
                }
            }
            Node::If(branch) => return self.if_or_with(branch, dot, false),
            Node::With(branch) => return self.if_or_with(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Template { name, pipe, span } => self.template(name, pipe.as_ref(), span, dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn if_or_with(&mut self, branch: &Branch, dot: &Value<'d>, is_with: bool) -> Result<Flow, Error> {
        let known = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = if value.truth() {
            self.list(&branch.list, if is_with { &value } else { dot })
        } else {
            self.list(&branch.otherwise, dot)
        };
        self.variables.truncate(known);
        flow
    }

    fn range(&mut self, branch: &Branch, dot: &Value<'d>) -> Result<Flow, Error> {
        let known = self.variables.len();
        // The variables are the whole value first: `else` sees them so.
        let value = self.pipe(&branch.pipe, dot)?;
        let pairs = Self::pairs(&branch.pipe, value)?;
        if pairs.is_empty() {
            let flow = self.list(&branch.otherwise, dot);
            self.variables.truncate(known);
            return flow;
        }
        let names = &branch.pipe.variables;
        let inner = self.variables.len();
        for (key, element) in pairs {
            self.step(&branch.pipe.span)?;
            match names.as_slice() {
                [] => {}
                [one] => self.set(one, element.clone(), &branch.pipe.span)?,
                [first, second, ..] => {
                    self.set(first, key, &branch.pipe.span)?;
                    self.set(second, element.clone(), &branch.pipe.span)?;
                }
            }
            let flow = self.list(&branch.list, &element)?;
            self.variables.truncate(inner);
            if flow == Flow::Break {
                break;
            }
        }
        self.variables.truncate(known);
        Ok(Flow::On)
    }

    /// Keys and elements of what a range goes through.
    fn pairs(pipe: &Pipe, value: Value<'d>) -> Result<Vec<(Value<'d>, Value<'d>)>, Error> {
        let refuse =
            |what: &str| Err(Error::new(format!("range can't go through {what}"), pipe.span.clone()));
        let indexed = |elements: Rc<Vec<Value<'d>>>| {
            elements.iter().enumerate().map(|(at, element)| (index(at), element.clone())).collect()
        };
        if let Some(elements) = value.elements() {
            return Ok(indexed(elements));
        }
        if let Some(members) = value.members() {
            return Ok(members.into_iter().map(|(name, member)| (Value::text(name), member)).collect());
        }
        match value {
            Value::Missing | Value::Nil | Value::Json(Json::Null) => Ok(Vec::new()),
            Value::Int(number, kind) if pipe.variables.len() < 2 => {
                let count = usize::try_from(number).unwrap_or(0);
                if count > MAX_ELEMENTS {
                    return refuse("so many numbers");
                }
                let numbers = (0..number.max(0)).map(|number| Value::Int(number, kind));
                Ok(numbers.map(|number| (number.clone(), number)).collect())
            }
            other => refuse(&format!("a {}", other.type_name())),
        }
    }

    fn template(
        &mut self,
        name: &str,
        pipe: Option<&Pipe>,
        span: &Range<usize>,
        dot: &Value<'d>,
    ) -> Result<(), Error> {
        let defined = self.defined;
        let Some(list) = defined.get(name) else {
            return Err(Error::new(format!("template `{name}` is not defined"), span.clone()));
        };
        if self.depth >= MAX_DEPTH {
            return Err(Error::new(
                format!("templates call each other more than {MAX_DEPTH} deep"),
                span.clone(),
            ));
        }
        let dot = match pipe {
            None => Value::Missing,
            Some(pipe) => self.pipe(pipe, dot)?,
        };
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), dot.clone())]);
        self.depth += 1;
        self.list(list, &dot)?;
        self.depth -= 1;
        self.variables = outer;
        Ok(())
    }

    fn set(&mut self, name: &str, value: Value<'d>, span: &Range<usize>) -> Result<(), Error> {
        let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        let (_, known) = known.ok_or_else(|| undefined(name, span))?;
        *known = value;
        Ok(())
    }

    /// The value of a pipeline, put into its variables.
    fn pipe(&mut self, pipe: &Pipe, dot: &Value<'d>) -> Evaluated<'d> {
        let value = self.pipe_value(pipe, dot)?;
        for name in &pipe.variables {
            if pipe.assigns {
                self.set(name, value.clone(), &pipe.span)?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn pipe_value(&mut self, pipe: &Pipe, dot: &Value<'d>) -> Evaluated<'d> {
        let mut value = None;
        for command in &pipe.commands {
            let given = self.command(command, dot, value.take())?;
            // A nil that comes out of a command is as good as missing.
            value = Some(if given.is_nil() { Value::Missing } else { given });
        }
        Ok(value.unwrap_or(Value::Missing))
    }

    fn command(&mut self, command: &Command, dot: &Value<'d>, piped: Option<Value<'d>>) -> Evaluated<'d> {
        self.step(&(0..0))?;
        let Some((first, arguments)) = command.0.split_first() else { return Ok(Value::Missing) };
        if let What::Function(named) = &first.what {
            return self.call(named, &first.span, arguments, dot, piped);
        }
        let has_arguments = !arguments.is_empty() || piped.is_some();
        match &first.what {
            What::Nil => return Err(Error::new("nil is no command", first.span.clone())),
            What::Field(_) | What::Chain(..) | What::Variable(..) if has_arguments => {
                return self.method(first, arguments, dot, piped);
            }
            _ if has_arguments => {
                return Err(Error::new("arguments are given to what is no function", first.span.clone()));
            }
            _ => {}
        }
        self.operand(first, dot)
    }

    /// A field with arguments: a method of the value before it.
    fn method(
        &mut self,
        operand: &Operand,
        arguments: &[Operand],
        dot: &Value<'d>,
        piped: Option<Value<'d>>,
    ) -> Evaluated<'d> {
        let (base, path) = match &operand.what {
            What::Field(path) => (dot.clone(), path),
            What::Variable(name, path) => (self.variable(name, &operand.span)?, path),
            What::Chain(inner, path) => (self.operand(inner, dot)?, path),
            _ => return Err(Error::new("arguments are given to what is no function", operand.span.clone())),
        };
        let Some((last, path)) = path.split_last() else {
            return Err(Error::new("arguments are given to what is no function", operand.span.clone()));
        };
        let receiver = Self::fields(base, path, &operand.span)?;
        // What is missing has no members, whatever they are given.
        if matches!(receiver, Value::Missing) {
            return Ok(receiver);
        }
        let receiver = receiver.shallow();
        let mut values = Vec::with_capacity(arguments.len() + 1);
        for argument in arguments {
            values.push(self.operand(argument, dot)?);
        }
        values.extend(piped);
        match &receiver {
            Value::Object(object) => object
                .member(last, &values)
                .unwrap_or_else(|| Err(format!("{} has no method `{last}`", object.type_name())))
                .map_err(|error| Error::new(error, operand.span.clone())),
            _ => Err(Error::new(format!("`{last}` is no method, but has arguments"), operand.span.clone())),
        }
    }

    fn call(
        &mut self,
        named: &Named,
        span: &Range<usize>,
        arguments: &[Operand],
        dot: &Value<'d>,
        piped: Option<Value<'d>>,
    ) -> Evaluated<'d> {
        let decides = match named.name.as_str() {
            "and" => Some(false),
            "or" => Some(true),
            _ => None,
        };
        if let Some(decides) = decides {
            return self.and_or(decides, span, arguments, dot, piped);
        }
        let mut values = Vec::with_capacity(arguments.len() + 1);
        for argument in arguments {
            values.push(self.operand(argument, dot)?);
        }
        values.extend(piped);
        let call = Call { arguments: values, now: self.now, patterns: self.patterns };
        let failed = |error: &str| Error::new(format!("{}: {error}", named.name), span.clone());
        let value = (named.function)(&call).map_err(|error| failed(&error))?;
        if matches!(value, Value::List(_) | Value::Map(_)) {
            self.steps += weight::parts(&value).map_err(failed)? / PARTS_PER_STEP;
        }
        Ok(value)
    }

    /// Looks at no more arguments than it takes to decide.
    fn and_or(
        &mut self,
        decides: bool,
        span: &Range<usize>,
        arguments: &[Operand],
        dot: &Value<'d>,
        piped: Option<Value<'d>>,
    ) -> Evaluated<'d> {
        let mut value = None;
        for argument in arguments {
            let one = self.operand(argument, dot)?;
            if one.truth() == decides {
                return Ok(one);
            }
            value = Some(one);
        }
        piped.or(value).ok_or_else(|| Error::new("at least one argument is needed", span.clone()))
    }

    fn operand(&mut self, operand: &Operand, dot: &Value<'d>) -> Evaluated<'d> {
        match &operand.what {
            What::Dot => Ok(dot.clone()),
            What::Nil => Ok(Value::Nil),
            What::Bool(value) => Ok(Value::Bool(*value)),
            What::Number(Number::Int(number)) => Ok(Value::int(*number)),
            What::Number(Number::Float(number)) => Ok(Value::Float(*number)),
            What::String(text) => Ok(Value::text(text.clone())),
            What::Field(path) => Self::fields(dot.clone(), path, &operand.span),
            What::Variable(name, path) => {
                let value = self.variable(name, &operand.span)?;
                Self::fields(value, path, &operand.span)
            }
            What::Chain(inner, path) => {
                let value = self.operand(inner, dot)?;
                if matches!(inner.what, What::Nil) {
                    return Err(Error::new("a field of nil", operand.span.clone()));
                }
                Self::fields(value, path, &operand.span)
            }
            What::Pipe(pipe) => self.pipe(pipe, dot),
            What::Function(named) => self.call(named, &operand.span, &[], dot, None),
        }
    }

    fn variable(&self, name: &str, span: &Range<usize>) -> Evaluated<'d> {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).ok_or_else(|| undefined(name, span))
    }

    fn fields(base: Value<'d>, path: &[String], span: &Range<usize>) -> Evaluated<'d> {
        let mut value = base;
        for name in path {
            value = field(value, name).map_err(|error| Error::new(error, span.clone()))?;
        }
        Ok(value)
    }
}

fn undefined(name: &str, span: &Range<usize>) -> Error {
    Error::new(format!("undefined variable `{name}`"), span.clone())
}

fn field<'d>(value: Value<'d>, name: &str) -> Result<Value<'d>, String> {
    if let Some(member) = value.member(name) {
        return Ok(member);
    }
    match value {
        // What is missing has no members: still missing.
        Value::Missing => Ok(Value::Missing),
        Value::Nil | Value::Json(Json::Null) => Err(format!("field `{name}` of nil")),
        Value::Object(object) => object
            .member(name, &[])
            .unwrap_or_else(|| Err(format!("{} has no field `{name}`", object.type_name()))),
        other => Err(format!("a {} has no field `{name}`", other.type_name())),
    }
}

fn index<'d>(at: usize) -> Value<'d> {
    Value::int(i64::try_from(at).unwrap_or(i64::MAX))
}
