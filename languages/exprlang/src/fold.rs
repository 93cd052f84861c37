//! The tree made smaller. Some of it can be seen: what is folded away is never evaluated.

use crate::node::{Binary, Elements, Kind, Literal, Loop, LoopName, Node, Unary};
use crate::types::Type;
use crate::{Error, check, operators};
use zetes_gotext::power;

/// A written range longer than this is counted when it runs.
const MAX_RANGE: i64 = 1_000_000;

/// # Errors
/// A division by zero that can be seen.
pub(crate) fn fold(node: &mut Node) -> Result<(), Error> {
    in_keys(node);
    constants(node)?;
    loops(node);
    Ok(())
}

fn children(node: &mut Node) -> Vec<&mut Node> {
    match &mut node.kind {
        Kind::Literal(_) | Kind::Literals(..) | Kind::Name(_) | Kind::Pointer(_) => Vec::new(),
        Kind::Unary(_, one) | Kind::Chain(one) | Kind::InKeys(one, _) => vec![one],
        Kind::Binary(_, one, other) | Kind::Matches(one, other, _) | Kind::Let(_, one, other) => {
            vec![one, other]
        }
        Kind::Member(member) => vec![&mut member.base, &mut member.property],
        Kind::Slice(slice) => {
            [Some(&mut slice.base), slice.from.as_mut(), slice.to.as_mut()].into_iter().flatten().collect()
        }
        Kind::Call(callee, arguments) => std::iter::once(&mut **callee).chain(arguments).collect(),
        Kind::Builtin(_, nodes) | Kind::Array(nodes) => nodes.iter_mut().collect(),
        Kind::Loop(looped) => {
            let Loop { list, body, start, then, .. } = &mut **looped;
            [Some(list), Some(body), start.as_mut(), then.as_mut()].into_iter().flatten().collect()
        }
        Kind::Conditional(parts) => parts.iter_mut().collect(),
        Kind::Map(pairs) => pairs.iter_mut().flat_map(|(key, value)| [key, value]).collect(),
    }
}

/// `a in ["x", "y"]` looks for a text, and `1 in [1, 2]` for an int.
fn in_keys(node: &mut Node) {
    children(node).into_iter().for_each(in_keys);
    let Kind::Binary(Binary::In, left, right) = &node.kind else { return };
    let Kind::Array(nodes) = &right.kind else { return };
    let is_int = is_int(&left.of);
    let keys: Option<Vec<Literal>> = nodes
        .iter()
        .map(|node| match &node.kind {
            Kind::Literal(key @ (Literal::Text(_) | Literal::Int(_))) => Some(key.clone()),
            _ => None,
        })
        .collect();
    let fits = |keys: &Vec<Literal>| {
        keys.iter().all(|key| matches!(key, Literal::Text(_)))
            || (is_int && keys.iter().all(|key| matches!(key, Literal::Int(_))))
    };
    if let Some(keys) = keys.filter(|keys| !keys.is_empty() && fits(keys)) {
        node.kind = Kind::InKeys(left.clone(), keys);
    }
}

/// Go's kind int.
fn is_int(of: &Type) -> bool {
    matches!(of, Type::Int | Type::Month | Type::Weekday)
}

/// `n in 1..5` needs none of the numbers between.
fn in_range(node: &Node) -> Option<Kind> {
    let Kind::Binary(Binary::In, left, right) = &node.kind else { return None };
    let Kind::Binary(Binary::Range, from, to) = &right.kind else { return None };
    let is_literal = |bound: &Node| matches!(bound.kind, Kind::Literal(Literal::Int(_)));
    if !is_int(&left.of) || !is_literal(from) || !is_literal(to) {
        return None;
    }
    let compared = |operator, bound: &Node| {
        let kind = Kind::Binary(operator, left.clone(), Box::new(bound.clone()));
        Box::new(Node::new(kind, node.span.clone()))
    };
    Some(Kind::Binary(Binary::And, compared(Binary::GreaterOrEqual, from), compared(Binary::LessOrEqual, to)))
}

fn constants(node: &mut Node) -> Result<(), Error> {
    for child in children(node) {
        constants(child)?;
    }
    let literal = match &node.kind {
        Kind::Unary(operator, one) => match (operator, &one.kind) {
            (Unary::Negate, Kind::Literal(Literal::Int(number))) => Some(Literal::Int(number.wrapping_neg())),
            (Unary::Negate, Kind::Literal(Literal::Float(number))) => Some(Literal::Float(-number)),
            (Unary::Plus, Kind::Literal(number @ (Literal::Int(_) | Literal::Float(_)))) => {
                Some(number.clone())
            }
            (Unary::Not, Kind::Literal(Literal::Bool(value))) => Some(Literal::Bool(!value)),
            _ => None,
        },
        Kind::Binary(operator @ (Binary::And | Binary::Or), one, other) => {
            let decides = *operator == Binary::Or;
            let value = |node: &Node| match node.kind {
                Kind::Literal(Literal::Bool(value)) => Some(value),
                _ => None,
            };
            let kept = match (value(one), value(other)) {
                (Some(value), _) if value != decides => Some(other),
                (_, Some(value)) if value != decides => Some(one),
                (None, None) => return Ok(()),
                _ => None,
            };
            match kept.map(|kept| (**kept).clone()) {
                Some(kept) => {
                    *node = kept;
                    return Ok(());
                }
                None => Some(Literal::Bool(decides)),
            }
        }
        Kind::Binary(operator, one, other) => match (&one.kind, &other.kind) {
            (Kind::Literal(one), Kind::Literal(other)) => computed(*operator, one, other, node)?,
            _ => None,
        },
        Kind::Array(nodes) => {
            let literals: Option<Vec<Literal>> = nodes
                .iter()
                .map(|node| match &node.kind {
                    Kind::Literal(Literal::Nil) => None,
                    Kind::Literal(literal) => Some(literal.clone()),
                    _ => None,
                })
                .collect();
            if let Some(literals) = literals.filter(|literals| !literals.is_empty()) {
                node.kind = Kind::Literals(literals, Elements::Any);
            }
            return Ok(());
        }
        Kind::Loop(outer) if outer.name == LoopName::Filter => {
            // A filter of a filter is one.
            if let Kind::Loop(inner) = &outer.list.kind
                && inner.name == LoopName::Filter
            {
                let kind =
                    Kind::Binary(Binary::And, Box::new(inner.body.clone()), Box::new(outer.body.clone()));
                let body = Node::new(kind, outer.body.span.clone());
                node.kind =
                    Kind::Loop(Box::new(Loop { body, list: inner.list.clone(), ..(**outer).clone() }));
            }
            return Ok(());
        }
        _ => None,
    };
    if let Some(literal) = literal {
        node.of = check::literal_type(&literal);
        node.kind = Kind::Literal(literal);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
fn computed(operator: Binary, one: &Literal, other: &Literal, node: &Node) -> Result<Option<Literal>, Error> {
    let float = |literal: &Literal| match literal {
        Literal::Int(number) => Some(*number as f64),
        Literal::Float(number) => Some(*number),
        _ => None,
    };
    Ok(match (operator, one, other) {
        (Binary::Add, Literal::Int(one), Literal::Int(other)) => Some(Literal::Int(one.wrapping_add(*other))),
        (Binary::Subtract, Literal::Int(one), Literal::Int(other)) => {
            Some(Literal::Int(one.wrapping_sub(*other)))
        }
        (Binary::Multiply, Literal::Int(one), Literal::Int(other)) => {
            Some(Literal::Int(one.wrapping_mul(*other)))
        }
        (Binary::Add, Literal::Text(one), Literal::Text(other)) => {
            Some(Literal::Text(format!("{one}{other}")))
        }
        (Binary::Modulo, Literal::Int(_), Literal::Int(0)) => {
            return Err(Error::new("division by zero", node.span.clone()));
        }
        (Binary::Modulo, Literal::Int(one), Literal::Int(other)) => {
            Some(Literal::Int(one.wrapping_rem(*other)))
        }
        (Binary::Equal, Literal::Int(one), Literal::Int(other)) => Some(Literal::Bool(one == other)),
        (Binary::Equal, Literal::Text(one), Literal::Text(other)) => Some(Literal::Bool(one == other)),
        (Binary::Equal, Literal::Bool(one), Literal::Bool(other)) => Some(Literal::Bool(one == other)),
        _ => {
            let Some((one, other)) = float(one).zip(float(other)) else { return Ok(None) };
            match operator {
                Binary::Add => Some(Literal::Float(one + other)),
                Binary::Subtract => Some(Literal::Float(one - other)),
                Binary::Multiply => Some(Literal::Float(one * other)),
                Binary::Divide => Some(Literal::Float(one / other)),
                Binary::Power => Some(Literal::Float(power(one, other))),
                _ => None,
            }
        }
    })
}

/// `filter` within `map`, `len`, `first`, `last`, `[0]` and `[-1]` stops where the answer is known; written ranges are made once.
fn loops(node: &mut Node) {
    if let Some(kind) = in_range(node) {
        node.kind = kind;
    }
    children(node).into_iter().for_each(loops);
    let span = node.span.clone();
    let of = node.of.clone();
    let filtered = |node: &Node| match &node.kind {
        Kind::Loop(looped) if looped.name == LoopName::Filter => Some((**looped).clone()),
        _ => None,
    };
    let integer = |node: &Node| match node.kind {
        Kind::Literal(Literal::Int(number)) => Some(number),
        _ => None,
    };
    let kind = match &node.kind {
        Kind::Binary(Binary::Range, from, to) => match (integer(from), integer(to)) {
            (Some(from), Some(to)) if operators::range_length(from, to) <= MAX_RANGE => {
                let length = operators::range_length(from, to);
                let numbers = (0..length).map(|at| Literal::Int(from + at)).collect();
                Some(Kind::Literals(numbers, Elements::Ints))
            }
            _ => None,
        },
        Kind::Loop(mapped) if mapped.name == LoopName::Map => filtered(&mapped.list)
            .filter(|filter| filter.then.is_none())
            .map(|filter| Kind::Loop(Box::new(Loop { then: Some(mapped.body.clone()), ..filter }))),
        Kind::Builtin(name, arguments) => match (name.as_str(), arguments.as_slice()) {
            ("len", [one]) => filtered(one).map(|filter| (filter, LoopName::Count)),
            ("first", [one]) => filtered(one).map(|filter| (filter, LoopName::Find)),
            ("last", [one]) => filtered(one).map(|filter| (filter, LoopName::FindLast)),
            _ => None,
        }
        .map(|(filter, name)| Kind::Loop(Box::new(Loop { name, ..filter }))),
        Kind::Member(member) if !member.is_optional => {
            let name = match integer(&member.property) {
                Some(0) => Some(LoopName::Find),
                Some(-1) => Some(LoopName::FindLast),
                _ => None,
            };
            let found = name.zip(filtered(&member.base));
            found.map(|(name, filter)| Kind::Loop(Box::new(Loop { name, must_find: true, ..filter })))
        }
        _ => None,
    };
    if let Some(kind) = kind {
        *node = Node { kind, span, of };
    }
}
