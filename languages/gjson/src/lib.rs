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

/// The members of the object that is the whole text, in its order: name, with its quotes, and value, as written. `None` when
/// the text is no object; text that is not JSON ends the members where it stops being it.
///
/// ```
/// let members = zetes_gjson::members(r#"{"a": 1, "b": [2]}"#).unwrap();
/// assert_eq!(members.map(|(name, value)| (name.string().into_owned(), value)).last(), Some(("b".to_owned(), "[2]")));
/// ```
pub fn members(json: &str) -> Option<impl Iterator<Item = (Value<'_>, &str)>> {
    let members = scan::members(json)?;
    Some(members.map(move |(name, value)| (Value::new(name.of(json)), value.of(json))))
}

/// The elements of the array that is the whole text, as written. `None` when the text is no array.
pub fn elements(json: &str) -> Option<impl Iterator<Item = &str>> {
    let elements = scan::elements(json)?;
    Some(elements.map(move |element| element.of(json)))
}

#[cfg(test)]
mod tests;
