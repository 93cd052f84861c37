//! gjson paths and the sjson setter, on JSON text.
//!
//! A [`Path`] is compiled once and evaluated on many documents. Evaluation scans the text and copies nothing that the
//! path does not build. There are no syntax errors: a malformed path names nothing.
//!
//! ```
//! let path = zetes_gjson::Path::compile("commits.#.id");
//! let value = path.get(r#"{"commits": [{"id": "a"}, {"id": "b"}]}"#).unwrap();
//! assert_eq!(value.raw(), r#"["a","b"]"#);
//! ```
//!
//! No input makes it panic, and work is bounded: paths nest 64 deep, a path builds at most 64 MiB, and the modifiers that
//! rebuild documents look 512 levels deep. It never checks that a document is JSON; `@valid` does.

mod lint;
mod modifier;
mod path;
mod pretty;
mod query;
mod scan;
mod set;
mod value;

pub use lint::{Remark, lint, lint_destination};
pub use path::Path;
pub use set::{SetError, delete, set_raw, set_string};
pub use value::{Kind, Value, quote};

#[cfg(test)]
mod tests;
