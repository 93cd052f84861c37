//! What is known of a value before there is one.

use std::fmt;

/// The static type of a node. Data is `Any`; what the expression itself makes has a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Nil,
    Any,
    Bool,
    Int,
    Int64,
    Float,
    Text,
    Time,
    Duration,
    Month,
    Weekday,
    List(Box<Type>),
    /// A map with texts for keys.
    Map,
    /// A map with anything for keys, and the type of its values.
    AnyMap(Box<Type>),
    /// A method of a typed value, by name.
    Method(Box<Type>, &'static str),
    Function,
}

/// Go's kinds, which decide what may be compared.
#[derive(PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Int64,
    Float,
    Text,
    Struct,
    List,
    Map,
    Function,
    Interface,
}

impl Type {
    pub(crate) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Nil => return None,
            Self::Any => Kind::Interface,
            Self::Bool => Kind::Bool,
            Self::Int | Self::Month | Self::Weekday => Kind::Int,
            Self::Int64 | Self::Duration => Kind::Int64,
            Self::Float => Kind::Float,
            Self::Text => Kind::Text,
            Self::Time => Kind::Struct,
            Self::List(_) => Kind::List,
            Self::Map | Self::AnyMap(_) => Kind::Map,
            Self::Method(..) | Self::Function => Kind::Function,
        })
    }

    pub(crate) fn same_kind(&self, other: &Self) -> bool {
        self.kind().is_some() && self.kind() == other.kind()
    }

    pub(crate) fn is_any(&self) -> bool {
        *self == Self::Any
    }

    pub(crate) fn is_bool(&self) -> bool {
        *self == Self::Bool
    }

    pub(crate) fn is_text(&self) -> bool {
        *self == Self::Text
    }

    pub(crate) fn is_time(&self) -> bool {
        *self == Self::Time
    }

    pub(crate) fn is_duration(&self) -> bool {
        *self == Self::Duration
    }

    pub(crate) fn is_integer(&self) -> bool {
        matches!(self.kind(), Some(Kind::Int | Kind::Int64))
    }

    pub(crate) fn is_number(&self) -> bool {
        self.is_integer() || *self == Self::Float
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self, Self::Map | Self::AnyMap(_))
    }

    pub(crate) fn is_comparable(&self, other: &Self) -> bool {
        *self == Self::Nil
            || *other == Self::Nil
            || self.is_any()
            || other.is_any()
            || self.same_kind(other)
            || (self.is_number() && other.is_number())
    }

    /// The type of a sum of both.
    pub(crate) fn combined(&self, other: &Self) -> Self {
        if self.same_kind(other) {
            self.clone()
        } else if *self == Self::Float || *other == Self::Float {
            Self::Float
        } else {
            Self::Int
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nil => "nil",
            Self::Any => "any",
            Self::Bool => "bool",
            Self::Int | Self::Int64 => "int",
            Self::Float => "float",
            Self::Text => "string",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Month => "month",
            Self::Weekday => "weekday",
            Self::List(_) => "array",
            Self::Map | Self::AnyMap(_) => "map",
            Self::Method(..) | Self::Function => "function",
        })
    }
}
