//! Reads bytes by their shape and writes the JSON.

use std::fmt::Write as _;

use super::AvroError;
use super::shape::{Shape, Shapes};

/// Deeper values than people write, and few enough for a thread's stack.
pub(super) const DEEPEST: usize = 256;
/// A few bytes can stand for as many `null`s as they like.
pub(super) const LONGEST: usize = 64 << 20;

pub(super) struct Writer<'a> {
    shapes: &'a Shapes,
    rest: &'a [u8],
    out: String,
    depth: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(shapes: &'a Shapes, bytes: &'a [u8]) -> Self {
        Self { shapes, rest: bytes, out: String::with_capacity(bytes.len() * 2), depth: 0 }
    }

    pub(super) fn end(self) -> String {
        self.out
    }

    pub(super) fn value(&mut self, shape: &'a Shape) -> Result<(), AvroError> {
        if self.depth == DEEPEST {
            return Err(AvroError::Deep);
        }
        if self.out.len() > LONGEST {
            return Err(AvroError::Long);
        }
        self.depth += 1;
        self.one(shape)?;
        self.depth -= 1;
        Ok(())
    }

    fn one(&mut self, shape: &'a Shape) -> Result<(), AvroError> {
        match shape {
            Shape::Null => self.out.push_str("null"),
            Shape::Boolean => match self.take(1)? {
                [0] => self.out.push_str("false"),
                [1] => self.out.push_str("true"),
                other => return Err(AvroError::Boolean(other.first().copied().unwrap_or_default())),
            },
            Shape::Int => {
                let number = i32::try_from(self.long()?).map_err(|_| AvroError::Number)?;
                self.number(number);
            }
            Shape::Long => {
                let number = self.long()?;
                self.number(number);
            }
            Shape::Float => {
                let number = f32::from_le_bytes(self.array()?);
                self.float(number.is_finite(), number);
            }
            Shape::Double => {
                let number = f64::from_le_bytes(self.array()?);
                self.float(number.is_finite(), number);
            }
            Shape::Bytes => {
                let bytes = self.measured()?;
                self.bytes(bytes);
            }
            Shape::Fixed(size) => {
                let bytes = self.take(*size)?;
                self.bytes(bytes);
            }
            Shape::Text => self.text()?,
            Shape::Enum(symbols) => {
                let number = self.long()?;
                let symbol = usize::try_from(number).ok().and_then(|number| symbols.get(number));
                self.quoted(symbol.ok_or(AvroError::Symbol(number))?);
            }
            Shape::Array(items) => self.blocks(('[', ']'), |writer| writer.value(items))?,
            Shape::Map(values) => self.blocks(('{', '}'), |writer| {
                writer.text()?;
                writer.out.push(':');
                writer.value(values)
            })?,
            Shape::Union(branches) => self.union(branches)?,
            Shape::Record(fields) => self.record(fields)?,
            // It is no level of its own.
            Shape::Named(place) => self.one(self.shapes.named(*place))?,
        }
        Ok(())
    }

    fn union(&mut self, branches: &'a [(String, Shape)]) -> Result<(), AvroError> {
        let number = self.long()?;
        let branch = usize::try_from(number).ok().and_then(|number| branches.get(number));
        let (name, shape) = branch.ok_or(AvroError::Branch(number))?;
        if matches!(shape, Shape::Null) {
            self.out.push_str("null");
            return Ok(());
        }
        self.out.push('{');
        self.quoted(name);
        self.out.push(':');
        self.value(shape)?;
        self.out.push('}');
        Ok(())
    }

    fn record(&mut self, fields: &'a [(String, Shape)]) -> Result<(), AvroError> {
        self.out.push('{');
        for (number, (name, shape)) in fields.iter().enumerate() {
            if number > 0 {
                self.out.push(',');
            }
            self.quoted(name);
            self.out.push(':');
            self.value(shape)?;
        }
        self.out.push('}');
        Ok(())
    }

    /// Blocks of items, each with their count; a negative one is followed by the block's size in bytes.
    fn blocks(
        &mut self,
        (open, close): (char, char),
        mut item: impl FnMut(&mut Self) -> Result<(), AvroError>,
    ) -> Result<(), AvroError> {
        self.out.push(open);
        let mut is_first = true;
        loop {
            let count = self.long()?;
            if count == 0 {
                break;
            }
            if count < 0 {
                self.long()?;
            }
            for _item in 0..count.unsigned_abs() {
                if !std::mem::take(&mut is_first) {
                    self.out.push(',');
                }
                item(self)?;
            }
        }
        self.out.push(close);
        Ok(())
    }

    fn number(&mut self, number: impl std::fmt::Display) {
        // Writing into a text does not fail.
        let _written = write!(self.out, "{number}").is_ok();
    }

    fn float(&mut self, is_finite: bool, number: impl serde::Serialize) {
        let text = is_finite.then(|| serde_json::to_string(&number).unwrap_or_default());
        self.out.push_str(text.as_deref().unwrap_or("null"));
    }

    fn text(&mut self) -> Result<(), AvroError> {
        let bytes = self.measured()?;
        self.quoted(&String::from_utf8_lossy(bytes));
        Ok(())
    }

    /// One character for each byte.
    fn bytes(&mut self, bytes: &[u8]) {
        let text: String = bytes.iter().copied().map(char::from).collect();
        self.quoted(&text);
    }

    fn quoted(&mut self, text: &str) {
        self.out.push_str(&serde_json::Value::from(text).to_string());
    }

    /// Bytes with their length before them.
    fn measured(&mut self) -> Result<&'a [u8], AvroError> {
        let length = usize::try_from(self.long()?).map_err(|_| AvroError::Length)?;
        self.take(length)
    }

    fn long(&mut self) -> Result<i64, AvroError> {
        let mut zigzag = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(AvroError::Number);
            }
            zigzag |= part << shift;
            if byte & 0x80 == 0 {
                return Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
            }
        }
        Err(AvroError::Number)
    }

    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], AvroError> {
        self.take(SIZE)?.try_into().map_err(|_| AvroError::Short)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], AvroError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(AvroError::Short)?;
        self.rest = rest;
        Ok(taken)
    }
}
