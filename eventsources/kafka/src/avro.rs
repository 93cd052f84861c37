//! Avro's binary form in Avro's JSON form, as the reference writes it.
//!
//! A union is `null` or `{"type": value}`, bytes are text whose characters stand for one byte each, logical types are what they are
//! made of. Numbers that JSON does not have (NaN, infinities) are `null`. A schema is compiled once; what a record can make of it is
//! bounded in depth and in size.

mod shape;
mod writer;

use serde_json::value::RawValue;
use shape::Shapes;
use writer::Writer;

/// Why bytes are no value of their schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AvroError {
    #[error("the record ends in the middle of a value")]
    Short,
    #[error("a number is longer than its type")]
    Number,
    #[error("there is no branch {0} in its union")]
    Branch(i64),
    #[error("there is no symbol {0} in its enum")]
    Symbol(i64),
    #[error("a boolean is {0}")]
    Boolean(u8),
    #[error("a length is negative")]
    Length,
    #[error("values are nested more than {} deep", writer::DEEPEST)]
    Deep,
    #[error("its JSON is longer than {} MiB", writer::LONGEST >> 20)]
    Long,
}

/// A schema, compiled.
#[derive(Debug)]
pub(crate) struct Avro(Shapes);

impl Avro {
    /// # Errors
    /// In words: it is no schema.
    pub(crate) fn compile(schema: &str) -> Result<Self, String> {
        let schema = apache_avro::Schema::parse_str(schema).map_err(|error| error.to_string())?;
        Ok(Self(Shapes::of(&schema)))
    }

    /// The JSON of a value. Bytes after it are left alone, as the reference does.
    pub(crate) fn json(&self, value: &[u8]) -> Result<Box<RawValue>, AvroError> {
        let mut writer = Writer::new(&self.0, value);
        writer.value(self.0.root())?;
        RawValue::from_string(writer.end()).map_err(|_| AvroError::Short)
    }
}
