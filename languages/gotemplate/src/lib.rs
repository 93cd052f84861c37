//! Go's `text/template` with sprig's functions: parsed once, rendered many times.

mod value;

pub use value::{IntKind, Object, Value};
