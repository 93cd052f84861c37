//! A tree evaluated.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;

use crate::builtins;
use crate::node::{Binary, Elements, Kind, Literal, Loop, LoopName, Node, Unary};
use crate::operators;
use crate::types::Type;
use crate::value::{List, Value, Values, Width};
use crate::{Environment, Error};

/// Nodes that one evaluation may visit.
const MAX_STEPS: usize = 2_000_000;
/// Elements that one evaluation may make.
const MAX_ELEMENTS: usize = 1_000_000;

/// What an evaluation needs besides the tree.
pub(crate) struct Context<'e, 'd> {
    environment: &'e Environment<'d>,
    pub(crate) now: Timestamp,
    steps: Cell<usize>,
    elements: Cell<usize>,
}

/// The variables and the loops that a node is in.
struct Frame<'d> {
    variables: Vec<(String, Value<'d>)>,
    loops: Vec<Turn<'d>>,
}

/// One turn of a loop.
struct Turn<'d> {
    /// Absent where the elements are only counted.
    element: Option<Value<'d>>,
    index: usize,
    sum: Value<'d>,
}

type Evaluated<'d> = Result<Value<'d>, Error>;

pub(crate) fn run<'d>(root: &Node, environment: &Environment<'d>, now: Timestamp) -> Evaluated<'d> {
    let context = Context { environment, now, steps: Cell::new(0), elements: Cell::new(0) };
    context.node(root, &mut Frame { variables: Vec::new(), loops: Vec::new() })
}

fn fail<T>(message: impl Into<String>, node: &Node) -> Result<T, Error> {
    Err(Error::new(message, node.span.clone()))
}

/// What ends a chain: an optional member of nil.
enum Chained<'d> {
    Value(Value<'d>),
    Ended,
}

impl<'d> Context<'_, 'd> {
    fn node(&self, node: &Node, frame: &mut Frame<'d>) -> Evaluated<'d> {
        match self.chained(node, frame)? {
            Chained::Value(value) => Ok(value),
            // The checker knows of no chain around it; nil is what a chain gives.
            Chained::Ended => Ok(Value::Nil),
        }
    }

    fn grow(&self, elements: usize, node: &Node) -> Result<(), Error> {
        self.elements.set(self.elements.get().saturating_add(elements));
        if self.elements.get() >= MAX_ELEMENTS { fail("more than a million elements", node) } else { Ok(()) }
    }

    /// A node in the middle of a chain, which may end it.
    #[expect(clippy::too_many_lines, reason = "an arm for each kind of node")]
    fn chained(&self, node: &Node, frame: &mut Frame<'d>) -> Result<Chained<'d>, Error> {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > MAX_STEPS {
            return fail("the expression takes too long", node);
        }
        Ok(Chained::Value(match &node.kind {
            Kind::Member(member) => {
                let Chained::Value(base) = self.chained(&member.base, frame)? else {
                    return Ok(Chained::Ended);
                };
                if member.is_optional && base.is_nil() {
                    return Ok(Chained::Ended);
                }
                let property = self.node(&member.property, frame)?;
                operators::fetch(&base, &property).or_else(|message| fail(message, node))?
            }
            Kind::Call(callee, arguments) => {
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    values.push(self.node(argument, frame)?);
                }
                let Chained::Value(function) = self.chained(callee, frame)? else {
                    return Ok(Chained::Ended);
                };
                match function {
                    Value::Function(function) => function(&values).or_else(|message| fail(message, node))?,
                    other => return fail(format!("a {} is no function", other.type_name()), callee),
                }
            }
            Kind::Chain(inner) => self.node(inner, frame)?,
            Kind::Literal(literal) => Value::literal(literal),
            Kind::Literals(literals, kind) => {
                self.grow(literals.len(), node)?;
                Value::List(Rc::new(literals.iter().map(Value::literal).collect()), *kind)
            }
            Kind::Name(name) => self.name(name, frame),
            Kind::Unary(operator, operand) => self.unary(*operator, operand, frame)?,
            Kind::Binary(operator, left, right) => {
                return self.binary(*operator, left, right, node, frame).map(Chained::Value);
            }
            Kind::Matches(left, right, pattern) => {
                let text = self.text(left, frame)?;
                let is_match = if let Some(pattern) = pattern {
                    pattern.is_match(text.as_bytes())
                } else {
                    let pattern = self.text(right, frame)?;
                    let pattern =
                        zetes_re2::compile(&pattern).or_else(|error| fail(error.message(), right))?;
                    pattern.is_match(text.as_bytes())
                };
                Value::Bool(is_match)
            }
            Kind::InKeys(left, keys) => {
                let is_text = matches!(keys.first(), Some(Literal::Text(_)));
                // A nil is looked for as the zero of the keys.
                let key = match self.node(left, frame)? {
                    Value::Text(text) if is_text => Literal::Text(text.into_owned()),
                    Value::Int(number, Width::Int) if !is_text => Literal::Int(number),
                    Value::Nil if is_text => Literal::Text(String::new()),
                    Value::Nil => Literal::Int(0),
                    other => return fail(format!("a {} is no key here", other.type_name()), left),
                };
                Value::Bool(keys.contains(&key))
            }
            Kind::Slice(slice) => {
                let base = self.node(&slice.base, frame)?;
                let to = if let Some(to) = &slice.to {
                    self.integer(to, frame)?
                } else {
                    let length = operators::length(&base).or_else(|message| fail(message, node))?;
                    i64::try_from(length).unwrap_or(i64::MAX)
                };
                let from = slice.from.as_ref().map_or(Ok(0), |from| self.integer(from, frame))?;
                operators::slice(&base, from, to).or_else(|message| fail(message, node))?
            }
            Kind::Builtin(name, arguments) => {
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    values.push(self.node(argument, frame)?);
                }
                builtins::call(name, &values, self).or_else(|message| fail(message, node))?
            }
            Kind::Loop(looped) => self.looped(looped, frame)?,
            Kind::Pointer(name) => match (frame.loops.last(), name.as_str()) {
                (Some(turn), "") => match &turn.element {
                    Some(element) => element.clone(),
                    None => {
                        return fail("the members of a map have no order: they can be counted only", node);
                    }
                },
                (Some(turn), "index") => Value::count(turn.index),
                (Some(turn), "acc") => turn.sum.clone(),
                _ => return fail(format!("`#{name}` is not known here"), node),
            },
            Kind::Let(name, value, body) => {
                let value = self.node(value, frame)?;
                frame.variables.push((name.clone(), value));
                let value = self.node(body, frame);
                frame.variables.pop();
                value?
            }
            Kind::Conditional(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                let chosen = if self.bool(condition, frame)? { then } else { otherwise };
                self.node(chosen, frame)?
            }
            Kind::Array(nodes) => {
                self.grow(nodes.len(), node)?;
                let elements: Result<Vec<Value<'d>>, Error> =
                    nodes.iter().map(|node| self.node(node, frame)).collect();
                Value::list(elements?)
            }
            Kind::Map(pairs) => {
                self.grow(pairs.len(), node)?;
                let mut members = BTreeMap::new();
                for (key, value) in pairs {
                    let name = self.text(key, frame)?;
                    // Of two members of one name the first stays, as in the reference.
                    let value = self.node(value, frame)?;
                    members.entry(name).or_insert(value);
                }
                Value::Map(Rc::new(members))
            }
        }))
    }

    fn name(&self, name: &str, frame: &Frame<'d>) -> Value<'d> {
        if let Some((_, value)) = frame.variables.iter().rev().find(|(known, _)| known == name) {
            return value.clone();
        }
        if name == "$env" { self.environment.whole() } else { self.environment.get(name) }
    }

    fn text(&self, node: &Node, frame: &mut Frame<'d>) -> Result<String, Error> {
        match self.node(node, frame)? {
            Value::Text(text) => Ok(text.into_owned()),
            other => fail(format!("expected a string, found a {}", other.type_name()), node),
        }
    }

    fn integer(&self, node: &Node, frame: &mut Frame<'d>) -> Result<i64, Error> {
        let value = self.node(node, frame)?;
        operators::integer(&value).or_else(|message| fail(message, node))
    }

    fn bool(&self, node: &Node, frame: &mut Frame<'d>) -> Result<bool, Error> {
        match self.node(node, frame)? {
            Value::Bool(value) => Ok(value),
            other => fail(format!("expected a bool, found a {}", other.type_name()), node),
        }
    }

    fn unary(&self, operator: Unary, operand: &Node, frame: &mut Frame<'d>) -> Evaluated<'d> {
        match operator {
            Unary::Not => Ok(Value::Bool(!self.bool(operand, frame)?)),
            Unary::Plus => self.node(operand, frame),
            Unary::Negate => match self.node(operand, frame)? {
                Value::Int(number, Width::Byte) => Ok(Value::Int(number.wrapping_neg() & 0xff, Width::Byte)),
                Value::Int(number, width) => Ok(Value::Int(number.wrapping_neg(), width)),
                Value::Float(number) => Ok(Value::Float(-number)),
                other => fail(format!("expected a number, found a {}", other.type_name()), operand),
            },
        }
    }

    fn binary(
        &self,
        operator: Binary,
        left: &Node,
        right: &Node,
        node: &Node,
        frame: &mut Frame<'d>,
    ) -> Evaluated<'d> {
        match operator {
            // The left side must be a bool; the right one is the value, whatever it is.
            Binary::And if !self.bool(left, frame)? => return Ok(Value::Bool(false)),
            Binary::Or if self.bool(left, frame)? => return Ok(Value::Bool(true)),
            Binary::And | Binary::Or => return self.node(right, frame),
            Binary::Coalesce => {
                let value = self.node(left, frame)?;
                return if value.is_nil() { self.node(right, frame) } else { Ok(value) };
            }
            Binary::Range => {
                let (from, to) = (self.integer(left, frame)?, self.integer(right, frame)?);
                let length = operators::range_length(from, to);
                self.grow(usize::try_from(length).unwrap_or(usize::MAX), node)?;
                let numbers = (0..length).map(|at| Value::int(from + at)).collect();
                return Ok(Value::List(Rc::new(numbers), Elements::Ints));
            }
            _ => {}
        }
        let (one, other) = (self.node(left, frame)?, self.node(right, frame)?);
        // Where both sides are known to be of one type, anything else is a mistake.
        let is_wrong = |value: &Value<'d>| match left.of {
            Type::Int => !matches!(value, Value::Int(_, Width::Int)),
            Type::Text => !matches!(value, Value::Text(_)),
            _ => false,
        };
        if operator == Binary::Equal
            && left.of == right.of
            && let Some((value, side)) =
                [(&one, left), (&other, right)].into_iter().find(|(value, _)| is_wrong(value))
        {
            return fail(format!("expected a {}, found a {}", left.of, value.type_name()), side);
        }
        operators::binary(operator, &one, &other).or_else(|message| fail(message, node))
    }

    /// The value of the predicate for one element.
    fn turn(&self, body: &Node, turn: Turn<'d>, frame: &mut Frame<'d>) -> Evaluated<'d> {
        frame.loops.push(turn);
        let value = self.node(body, frame);
        frame.loops.pop();
        value
    }

    fn looped(&self, looped: &Loop, frame: &mut Frame<'d>) -> Evaluated<'d> {
        let list = self.node(&looped.list, frame)?;
        let Some(elements) = list.looped() else {
            return fail(format!("expected an array, found a {}", list.type_name()), &looped.list);
        };
        if looped.name == LoopName::Reduce {
            return self.reduced(looped, &elements, frame);
        }
        let backwards = matches!(looped.name, LoopName::FindLast | LoopName::FindLastIndex);
        let length = elements.len();
        let mut kept: Vec<Value<'d>> = Vec::new();
        let mut groups: Vec<(Value<'d>, Vec<Value<'d>>)> = Vec::new();
        let mut count = 0_usize;
        for step in 0..length {
            let index = if backwards { length - 1 - step } else { step };
            let element = elements.get(index);
            let turn = Turn { element: element.clone(), index, sum: Value::Nil };
            let value = self.turn(&looped.body, turn, frame)?;
            match looped.name {
                LoopName::Map => {
                    kept.push(value);
                    continue;
                }
                LoopName::GroupBy => {
                    if !value.is_hashable() {
                        return fail(format!("a key can't be a {}", value.type_name()), &looped.body);
                    }
                    let element = self.then(looped, element, index, frame)?;
                    match groups.iter_mut().find(|(key, _)| key.is_same(&value)) {
                        Some((_, group)) => group.push(element),
                        None => groups.push((value, vec![element])),
                    }
                    continue;
                }
                _ => {}
            }
            let Value::Bool(holds) = value else {
                let message = format!("expected a bool for the predicate, found a {}", value.type_name());
                return fail(message, &looped.body);
            };
            match looped.name {
                LoopName::All if !holds => return Ok(Value::Bool(false)),
                LoopName::None if holds => return Ok(Value::Bool(false)),
                LoopName::Any if holds => return Ok(Value::Bool(true)),
                LoopName::One | LoopName::Count if holds => count += 1,
                LoopName::Filter if holds => kept.push(self.then(looped, element, index, frame)?),
                LoopName::Find | LoopName::FindLast if holds => {
                    return self.then(looped, element, index, frame);
                }
                LoopName::FindIndex | LoopName::FindLastIndex if holds => return Ok(Value::count(index)),
                _ => {}
            }
        }
        match looped.name {
            LoopName::All | LoopName::None => Ok(Value::Bool(true)),
            LoopName::Any => Ok(Value::Bool(false)),
            LoopName::One => Ok(Value::Bool(count == 1)),
            LoopName::Count => Ok(Value::count(count)),
            LoopName::Filter | LoopName::Map => {
                self.grow(kept.len(), &looped.list)?;
                Ok(Value::list(kept))
            }
            LoopName::GroupBy => {
                let groups = groups.into_iter().map(|(key, group)| (key, Value::list(group)));
                Ok(Value::Pairs(Rc::new(groups.collect()), Values::Lists))
            }
            _ if looped.must_find => fail("no element fits", &looped.body),
            _ => Ok(Value::Nil),
        }
    }

    /// The element, or what becomes of it.
    fn then(
        &self,
        looped: &Loop,
        element: Option<Value<'d>>,
        index: usize,
        frame: &mut Frame<'d>,
    ) -> Evaluated<'d> {
        match (&looped.then, element) {
            (Some(then), element) => self.turn(then, Turn { element, index, sum: Value::Nil }, frame),
            (None, Some(element)) => Ok(element),
            (None, None) => {
                fail("the members of a map have no order: they can be counted only", &looped.list)
            }
        }
    }

    fn reduced(&self, looped: &Loop, elements: &List<'_, 'd>, frame: &mut Frame<'d>) -> Evaluated<'d> {
        let (mut sum, first) = match &looped.start {
            // The start is in the loop already, at its first element.
            Some(start) => {
                (self.turn(start, Turn { element: elements.get(0), index: 0, sum: Value::Nil }, frame)?, 0)
            }
            None => match elements.get(0) {
                Some(element) => (element, 1),
                None => return fail("an empty array can't be reduced without a start", &looped.list),
            },
        };
        for index in first..elements.len() {
            let element = elements.get(index);
            sum = self.turn(&looped.body, Turn { element, index, sum }, frame)?;
        }
        Ok(sum)
    }
}
