//! What can be seen to be wrong without any data.

use std::ops::Range;

use crate::Error;
use crate::builtins;
use crate::methods;
use crate::node::{Binary, Elements, Kind, Literal, LoopName, Node, Unary};
use crate::types::Type;

/// Finds the types of all nodes, and compiles the patterns that are written out.
pub(crate) fn check(root: &mut Node) -> Result<(), Error> {
    Checker { variables: Vec::new(), scopes: Vec::new() }.visit(root).map(drop)
}

struct Checker {
    variables: Vec<(String, Type)>,
    /// The lists whose elements `#` stands for, and whether `#index` and `#acc` are known.
    scopes: Vec<(Type, bool, bool)>,
}

type Checked = Result<Type, Error>;

fn wrong<T>(message: impl Into<String>, span: &Range<usize>) -> Result<T, Error> {
    Err(Error::new(message, span.clone()))
}

impl Checker {
    #[expect(clippy::too_many_lines, reason = "an arm for each kind of node")]
    fn visit(&mut self, node: &mut Node) -> Checked {
        let span = node.span.clone();
        let of = match &mut node.kind {
            Kind::Literal(literal) => literal_type(literal),
            Kind::Literals(_, Elements::Ints) => Type::list(Type::Int),
            Kind::Literals(..) => Type::list(Type::Any),
            Kind::Name(name) => self.name(name),
            Kind::Unary(operator, operand) => {
                let operator = *operator;
                let of = self.visit(operand)?;
                unary(operator, &of, &span)?
            }
            Kind::Binary(Binary::In, left, right) => {
                let (left_type, right_type) = (self.visit(left)?, self.visit(right)?);
                is_in(&left_type, &right_type, right, &span)?
            }
            Kind::Binary(operator, left, right) => {
                let operator = *operator;
                let (left, right) = (self.visit(left)?, self.visit(right)?);
                binary(operator, &left, &right, &span)?
            }
            Kind::Matches(left, right, pattern) => {
                let (left, right_type) = (self.visit(left)?, self.visit(right)?);
                if let Kind::Literal(Literal::Text(text)) = &right.kind {
                    let compiled = zetes_re2::compile(text);
                    *pattern =
                        Some(compiled.map_err(|error| Error::new(error.message(), right.span.clone()))?);
                }
                both(&left, &right_type, &[Type::is_text])
                    .then_some(Type::Bool)
                    .ok_or_else(|| mismatch("matches", &left, &right_type, &span))?
            }
            Kind::InKeys(left, _) => {
                self.visit(left)?;
                Type::Bool
            }
            Kind::Chain(inner) => self.visit(inner)?,
            Kind::Member(member) => {
                let base = self.visit(&mut member.base)?;
                let property = self.visit(&mut member.property)?;
                self.member(&member.base, &base, &member.property, &property, &span)?
            }
            Kind::Slice(slice) => {
                let of = self.visit(&mut slice.base)?;
                if !matches!(of, Type::Any | Type::Text | Type::List(_)) {
                    return wrong(format!("a slice of a {of}: expected an array or a string"), &span);
                }
                for bound in [&mut slice.from, &mut slice.to].into_iter().flatten() {
                    let bound_type = self.visit(bound)?;
                    if !bound_type.is_integer() && !bound_type.is_any() {
                        return wrong(format!("expected an int, found a {bound_type}"), &bound.span);
                    }
                }
                of
            }
            Kind::Call(callee, arguments) => {
                let of = self.visit(callee)?;
                if of.is_any() {
                    // Nothing is known of the function, and what it is given is not looked at.
                    return Ok(Type::Any);
                }
                let mut types = Vec::new();
                for argument in arguments.iter_mut() {
                    types.push(self.visit(argument)?);
                }
                match of {
                    Type::Function => Type::Any,
                    Type::Method(receiver, name) => methods::checked(&receiver, name, &types)
                        .map_err(|message| Error::new(message, span.clone()))?,
                    other => return wrong(format!("a {other} is no function"), &callee.span),
                }
            }
            Kind::Builtin(name, arguments) => {
                let is_environment = matches!(arguments.first().map(|one| &one.kind), Some(Kind::Name(name)) if name == "$env");
                let mut types = Vec::new();
                for argument in arguments.iter_mut() {
                    if name == "get" && types == [Type::Any] {
                        // The key isn't looked at where nothing is known of the list or the map.
                        types.push(Type::Any);
                    } else {
                        types.push(self.visit(argument)?);
                    }
                }
                if name == "get" && is_environment && types.len() == 2 {
                    // The reference takes a written name for nil here, whatever it stands for.
                    if matches!(arguments.last(), Some(Node { kind: Kind::Literal(Literal::Text(_)), .. })) {
                        Type::Nil
                    } else {
                        Type::Any
                    }
                } else {
                    builtins::checked(name, &types).map_err(|message| Error::new(message, span.clone()))?
                }
            }
            Kind::Loop(_) => return self.looped(node),
            Kind::Pointer(name) => self.pointer(name, &span)?,
            Kind::Let(name, value, body) => {
                let is_known = self.variables.iter().any(|(known, _)| known == name);
                if is_known || builtins::is_known(name) || LoopName::of(name).is_some() {
                    return wrong(format!("`{name}` is declared already"), &span);
                }
                let of = self.visit(value)?;
                self.variables.push((name.clone(), of));
                let of = self.visit(body)?;
                self.variables.pop();
                of
            }
            Kind::Conditional(parts) => {
                let [condition, then, otherwise] = parts.as_mut();
                let of = self.visit(condition)?;
                if !of.is_bool() && !of.is_any() {
                    return wrong(
                        format!("expected a bool for the condition, found a {of}"),
                        &condition.span,
                    );
                }
                either(self.visit(then)?, self.visit(otherwise)?)
            }
            Kind::Array(nodes) => {
                for node in nodes {
                    self.visit(node)?;
                }
                Type::list(Type::Any)
            }
            Kind::Map(pairs) => {
                for (key, value) in pairs {
                    self.visit(key)?;
                    self.visit(value)?;
                }
                Type::Map
            }
        };
        node.of = of.clone();
        Ok(of)
    }

    fn name(&self, name: &str) -> Type {
        if let Some((_, of)) = self.variables.iter().rev().find(|(known, _)| known == name) {
            return of.clone();
        }
        if name == "$env" {
            return Type::Map;
        }
        if builtins::is_known(name) || LoopName::of(name).is_some() { Type::Function } else { Type::Any }
    }

    fn member(&self, node: &Node, base: &Type, property: &Node, of: &Type, span: &Range<usize>) -> Checked {
        let name = match &property.kind {
            Kind::Literal(Literal::Text(name)) => Some(name.as_str()),
            _ => None,
        };
        if matches!(&node.kind, Kind::Name(env) if env == "$env") {
            return Ok(name.map_or(Type::Any, |name| self.name(name)));
        }
        if let Some(method) = name.and_then(|name| methods::find(base, name)) {
            return Ok(Type::Method(Box::new(base.clone()), method));
        }
        match base {
            Type::Any => Ok(Type::Any),
            Type::Map if matches!(of, Type::Text | Type::Any | Type::Nil) => Ok(Type::Any),
            Type::AnyMap(value) => Ok((**value).clone()),
            Type::List(element) if of.is_integer() || of.is_any() => Ok((**element).clone()),
            Type::List(_) => {
                wrong(format!("expected an int for the index of an array, found a {of}"), &property.span)
            }
            Type::Map => {
                wrong(format!("expected a string for the key of a map, found a {of}"), &property.span)
            }
            _ => wrong(format!("a {base} has no members like this"), span),
        }
    }

    fn pointer(&self, name: &str, span: &Range<usize>) -> Checked {
        let Some((list, has_index, has_sum)) = self.scopes.last() else {
            return wrong("`#` stands for an element, in a predicate only", span);
        };
        match name {
            "" => Ok(match list {
                Type::List(element) => (**element).clone(),
                _ => Type::Any,
            }),
            "index" if *has_index => Ok(Type::Int),
            "acc" if *has_sum => Ok(Type::Any),
            _ => wrong(format!("`#{name}` is not known here"), span),
        }
    }

    fn looped(&mut self, node: &mut Node) -> Checked {
        let Kind::Loop(looped) = &mut node.kind else { return Ok(Type::Any) };
        let list = self.visit(&mut looped.list)?;
        if !matches!(list, Type::List(_) | Type::Any) {
            return wrong(format!("expected an array, found a {list}"), &looped.list.span);
        }
        let name = looped.name;
        self.scopes.push((
            list.clone(),
            matches!(name, LoopName::Map | LoopName::Reduce),
            name == LoopName::Reduce,
        ));
        let body = self.visit(&mut looped.body)?;
        self.scopes.pop();
        if let Some(start) = &mut looped.start {
            self.visit(start)?;
        }
        if body == Type::Nil {
            return wrong("a predicate can't be nil", &looped.body.span);
        }
        let is_predicate = !matches!(name, LoopName::Map | LoopName::GroupBy | LoopName::Reduce);
        if is_predicate && !body.is_bool() && !body.is_any() {
            return wrong(format!("expected a bool for the predicate, found a {body}"), &looped.body.span);
        }
        let element = match &list {
            Type::List(element) => (**element).clone(),
            _ => Type::Any,
        };
        let of = match name {
            LoopName::All | LoopName::None | LoopName::Any | LoopName::One => Type::Bool,
            LoopName::Filter => Type::list(element),
            LoopName::Map => Type::list(body),
            LoopName::Count | LoopName::FindIndex | LoopName::FindLastIndex => Type::Int,
            LoopName::Find | LoopName::FindLast => element,
            LoopName::GroupBy => Type::AnyMap(Box::new(Type::list(Type::Any))),
            LoopName::Reduce => body,
        };
        node.of = of.clone();
        Ok(of)
    }
}

pub(crate) fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Nil => Type::Nil,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Float(_) => Type::Float,
        Literal::Text(_) => Type::Text,
    }
}

/// The type of what is one or the other.
fn either(one: Type, other: Type) -> Type {
    match (one, other) {
        (Type::Nil, other) => other,
        (one, Type::Nil) => one,
        (one, other) if one == other || other.is_any() => one,
        _ => Type::Any,
    }
}

fn unary(operator: Unary, of: &Type, span: &Range<usize>) -> Checked {
    match operator {
        Unary::Not if of.is_bool() || of.is_any() => Ok(Type::Bool),
        Unary::Negate | Unary::Plus if of.is_number() || of.is_any() => Ok(of.clone()),
        Unary::Not => wrong(format!("expected a bool, found a {of}"), span),
        Unary::Negate | Unary::Plus => wrong(format!("expected a number, found a {of}"), span),
    }
}

/// Both fit the same test, or one does and nothing is known of the other.
fn both(left: &Type, right: &Type, tests: &[fn(&Type) -> bool]) -> bool {
    let known = |of: &Type| tests.iter().any(|test| test(of));
    tests.iter().any(|test| test(left) && test(right))
        || (left.is_any() && (right.is_any() || known(right)))
        || (right.is_any() && known(left))
}

fn mismatch(operator: &str, left: &Type, right: &Type, span: &Range<usize>) -> Error {
    Error::new(format!("`{operator}` can't take a {left} and a {right}"), span.clone())
}

pub(crate) fn symbol(operator: Binary) -> &'static str {
    match operator {
        Binary::Or => "or",
        Binary::And => "and",
        Binary::Equal => "==",
        Binary::NotEqual => "!=",
        Binary::Less => "<",
        Binary::Greater => ">",
        Binary::LessOrEqual => "<=",
        Binary::GreaterOrEqual => ">=",
        Binary::In => "in",
        Binary::Contains => "contains",
        Binary::StartsWith => "startsWith",
        Binary::EndsWith => "endsWith",
        Binary::Range => "..",
        Binary::Add => "+",
        Binary::Subtract => "-",
        Binary::Multiply => "*",
        Binary::Divide => "/",
        Binary::Modulo => "%",
        Binary::Power => "**",
        Binary::Coalesce => "??",
    }
}

fn binary(operator: Binary, left: &Type, right: &Type, span: &Range<usize>) -> Checked {
    let is_unknown = left.is_any() || right.is_any();
    let numbers = left.is_number() && right.is_number();
    let found = match operator {
        Binary::Equal | Binary::NotEqual => left.is_comparable(right).then_some(Type::Bool),
        Binary::Or | Binary::And => both(left, right, &[Type::is_bool]).then_some(Type::Bool),
        Binary::Less | Binary::Greater | Binary::LessOrEqual | Binary::GreaterOrEqual => {
            both(left, right, &[Type::is_number, Type::is_text, Type::is_time]).then_some(Type::Bool)
        }
        Binary::Contains | Binary::StartsWith | Binary::EndsWith => {
            both(left, right, &[Type::is_text]).then_some(Type::Bool)
        }
        Binary::Add | Binary::Subtract | Binary::Multiply if numbers => Some(left.combined(right)),
        Binary::Subtract if left.is_time() && right.is_time() => Some(Type::Duration),
        Binary::Subtract if left.is_time() && right.is_duration() => Some(Type::Time),
        Binary::Subtract => {
            (is_unknown && both(left, right, &[Type::is_number, Type::is_time])).then_some(Type::Any)
        }
        Binary::Multiply => both(left, right, &[Type::is_number]).then_some(Type::Any),
        Binary::Divide | Binary::Power => both(left, right, &[Type::is_number]).then_some(Type::Float),
        Binary::Modulo if left.is_integer() && right.is_integer() => Some(left.combined(right)),
        Binary::Modulo => both(left, right, &[Type::is_integer]).then_some(Type::Any),
        Binary::Add if left.is_text() && right.is_text() => Some(Type::Text),
        Binary::Add if left.is_time() && right.is_duration() => Some(Type::Time),
        Binary::Add if left.is_duration() && right.is_time() => Some(Type::Time),
        Binary::Add => {
            let tests = [Type::is_number, Type::is_text, Type::is_time, Type::is_duration];
            (is_unknown && both(left, right, &tests)).then_some(Type::Any)
        }
        Binary::Range => both(left, right, &[Type::is_integer]).then(|| Type::list(Type::Int)),
        Binary::Coalesce => Some(match (left, right) {
            (Type::Nil, right) => right.clone(),
            (left, Type::Nil) => left.clone(),
            (left, right) if left == right => left.clone(),
            _ => Type::Any,
        }),
        Binary::In => Some(Type::Bool),
    };
    found.ok_or_else(|| mismatch(symbol(operator), left, right, span))
}

fn is_in(left: &Type, right: &Type, list: &Node, span: &Range<usize>) -> Checked {
    let fits = match right {
        Type::Time => left.is_text() || left.is_any(),
        Type::Map => matches!(left, Type::Nil | Type::Any | Type::Text),
        Type::List(element) => {
            let alike = |element: &Type| *left == Type::Nil || left.is_comparable(element);
            alike(element) && written_type(list).is_none_or(|element| alike(&element))
        }
        Type::AnyMap(_) | Type::Any => true,
        Type::Text => left.is_any(),
        _ => false,
    };
    if fits { Ok(Type::Bool) } else { Err(mismatch("in", left, right, span)) }
}

/// The type that all elements of a written list have.
fn written_type(list: &Node) -> Option<Type> {
    let Kind::Array(nodes) = &list.kind else { return None };
    let alike = nodes.windows(2).all(|pair| matches!(pair, [one, other] if one.of.same_kind(&other.of)));
    nodes.last().filter(|_| alike).map(|last| last.of.clone()).filter(|of| *of != Type::Nil)
}
