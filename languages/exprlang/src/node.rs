//! The tree of an expression.

use std::ops::Range;

use regex::bytes::Regex;

use crate::types::Type;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
    /// What the checker found out.
    pub(crate) of: Type,
}

impl Node {
    pub(crate) fn new(kind: Kind, span: Range<usize>) -> Self {
        Self { kind, span, of: Type::Any }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Literal(Literal),
    /// A list of literals, as `[1, 2]` or `1..5`.
    Literals(Vec<Literal>, Elements),
    Name(String),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// `a matches b`; the pattern is compiled where it is written out.
    Matches(Box<Node>, Box<Node>, Option<Regex>),
    /// `a in ["x", "y"]`, or `1 in [1, 2]`: keys of one type, so that anything of another is an error.
    InKeys(Box<Node>, Vec<Literal>),
    /// Ends where an optional member is nil.
    Chain(Box<Node>),
    Member(Box<Member>),
    Slice(Box<Slice>),
    Call(Box<Node>, Vec<Node>),
    Builtin(String, Vec<Node>),
    Loop(Box<Loop>),
    /// `#`, `#index`, `#acc` and whatever else follows the `#`.
    Pointer(String),
    Let(String, Box<Node>, Box<Node>),
    Conditional(Box<[Node; 3]>),
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// What the elements of a list are declared to be. Lists of different declarations are never equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elements {
    Any,
    Ints,
    Texts,
    Pairs,
    /// Go's nil slice: an empty list that is nil, too.
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Negate,
    Plus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    In,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Coalesce,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) base: Node,
    pub(crate) property: Node,
    pub(crate) is_optional: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) base: Node,
    pub(crate) from: Option<Node>,
    pub(crate) to: Option<Node>,
}

/// A function with a predicate, over the elements of a list.
#[derive(Clone, Debug)]
pub(crate) struct Loop {
    pub(crate) name: LoopName,
    pub(crate) list: Node,
    pub(crate) body: Node,
    /// Where `reduce` begins.
    pub(crate) start: Option<Node>,
    /// What becomes of the elements that `filter`, `find` and `findLast` keep.
    pub(crate) then: Option<Node>,
    /// `filter(…)[0]`: nothing found is an error.
    pub(crate) must_find: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoopName {
    All,
    None,
    Any,
    One,
    Filter,
    Map,
    Count,
    Find,
    FindIndex,
    FindLast,
    FindLastIndex,
    GroupBy,
    Reduce,
}

impl LoopName {
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "none" => Self::None,
            "any" => Self::Any,
            "one" => Self::One,
            "filter" => Self::Filter,
            "map" => Self::Map,
            "count" => Self::Count,
            "find" => Self::Find,
            "findIndex" => Self::FindIndex,
            "findLast" => Self::FindLast,
            "findLastIndex" => Self::FindLastIndex,
            "groupBy" => Self::GroupBy,
            "reduce" => Self::Reduce,
            _ => return None,
        })
    }
}
