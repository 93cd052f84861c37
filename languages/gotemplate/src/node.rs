//! A template as a tree.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::function::Function;

pub(crate) type List = Vec<Node>;
/// Named templates; the last definition that is not empty counts.
pub(crate) type Defined = BTreeMap<String, List>;

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { name: String, pipe: Option<Pipe>, span: Range<usize> },
    Break,
    Continue,
}

#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) list: List,
    pub(crate) otherwise: List,
}

/// Commands, each fed to the next; what it gives may go to variables.
#[derive(Clone, Debug)]
pub(crate) struct Pipe {
    pub(crate) variables: Vec<String>,
    /// `=` and not `:=`.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
    pub(crate) span: Range<usize>,
}

/// What is called, and its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Command(pub(crate) Vec<Operand>);

#[derive(Clone, Debug)]
pub(crate) struct Operand {
    pub(crate) what: What,
    pub(crate) span: Range<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    String(String),
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`
    Variable(String, Vec<String>),
    /// `(…).a.b`
    Chain(Box<Operand>, Vec<String>),
    Pipe(Box<Pipe>),
    Function(Named),
}

/// A number as it was written: which types it fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

/// A function by its name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) function: Function,
}
