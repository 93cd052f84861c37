//! What a schema says about bytes, and nothing more.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, UuidSchema};

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Vec<String>),
    Array(Box<Shape>),
    Map(Box<Shape>),
    /// Each with its name, which its values carry; `null` carries none.
    Union(Vec<(String, Shape)>),
    Record(Vec<(String, Shape)>),
    /// A named type, by its place in [`Shapes`].
    Named(usize),
}

/// A schema's shapes. Named ones stand once, so that they may contain themselves.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    root: Option<Shape>,
    named: Vec<Shape>,
    places: BTreeMap<String, usize>,
}

impl Shapes {
    pub(super) fn of(schema: &Schema) -> Self {
        let mut shapes = Self::default();
        let root = shapes.shape(schema);
        shapes.root = Some(root);
        shapes
    }

    pub(super) fn root(&self) -> &Shape {
        self.root.as_ref().unwrap_or(&Shape::Null)
    }

    pub(super) fn named(&self, place: usize) -> &Shape {
        self.named.get(place).unwrap_or(&Shape::Null)
    }

    fn shape(&mut self, schema: &Schema) -> Shape {
        match schema {
            Schema::Null => Shape::Null,
            Schema::Boolean => Shape::Boolean,
            Schema::Int | Schema::Date | Schema::TimeMillis => Shape::Int,
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Shape::Long,
            Schema::Float => Shape::Float,
            Schema::Double => Shape::Double,
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Shape::Bytes,
            Schema::String | Schema::Uuid(UuidSchema::String) => Shape::Text,
            Schema::Array(array) => Shape::Array(Box::new(self.shape(&array.items))),
            Schema::Map(map) => Shape::Map(Box::new(self.shape(&map.types))),
            Schema::Union(union) => {
                let variants = union.variants().iter();
                Shape::Union(variants.map(|variant| (name(variant), self.shape(variant))).collect())
            }
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => Shape::Bytes,
                InnerDecimalSchema::Fixed(fixed) => {
                    self.define(fixed.name.fullname(None), Shape::Fixed(fixed.size))
                }
            },
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                self.define(fixed.name.fullname(None), Shape::Fixed(fixed.size))
            }
            Schema::Enum(symbols) => {
                self.define(symbols.name.fullname(None), Shape::Enum(symbols.symbols.clone()))
            }
            Schema::Record(record) => {
                // Its place is known before its fields are: one of them may be of this type.
                let place = self.place(record.name.fullname(None));
                let fields = record.fields.iter();
                let fields = fields.map(|field| (field.name.clone(), self.shape(&field.schema))).collect();
                self.fill(place, Shape::Record(fields))
            }
            Schema::Ref { name } => Shape::Named(self.place(name.fullname(None))),
        }
    }

    fn define(&mut self, name: String, shape: Shape) -> Shape {
        let place = self.place(name);
        self.fill(place, shape)
    }

    fn place(&mut self, name: String) -> usize {
        let named = &mut self.named;
        *self.places.entry(name).or_insert_with(|| {
            named.push(Shape::Null);
            named.len() - 1
        })
    }

    fn fill(&mut self, place: usize, shape: Shape) -> Shape {
        if let Some(named) = self.named.get_mut(place) {
            *named = shape;
        }
        Shape::Named(place)
    }
}

/// What a union's value says of its type: the full name, and for logical types that the reference knows, the two joined.
fn name(schema: &Schema) -> String {
    let known = match schema {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int => "int",
        Schema::Date => "int.date",
        Schema::TimeMillis => "int.time-millis",
        Schema::Long
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => "long",
        Schema::TimeMicros => "long.time-micros",
        Schema::TimestampMillis => "long.timestamp-millis",
        Schema::TimestampMicros => "long.timestamp-micros",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => "bytes",
        Schema::String | Schema::Uuid(UuidSchema::String) => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        Schema::Union(_) => "union",
        Schema::Decimal(decimal) => match decimal.inner {
            InnerDecimalSchema::Bytes => "bytes.decimal",
            InnerDecimalSchema::Fixed(_) => "fixed.decimal",
        },
        Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
            return fixed.name.fullname(None);
        }
        Schema::Enum(symbols) => return symbols.name.fullname(None),
        Schema::Record(record) => return record.name.fullname(None),
        Schema::Ref { name } => return name.fullname(None),
    };
    known.to_owned()
}
