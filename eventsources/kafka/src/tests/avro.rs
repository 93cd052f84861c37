use crate::avro::{Avro, AvroError};

fn json(schema: &str, value: &[u8]) -> Result<String, AvroError> {
    let avro = Avro::compile(schema).unwrap_or_else(|error| panic!("{schema}: {error}"));
    avro.json(value).map(|json| json.get().to_owned())
}

#[test]
fn values_are_written_as_the_reference_writes_them() {
    let rows: &[(&str, &[u8], &str)] = &[
        (r#""null""#, b"", "null"),
        (r#""boolean""#, b"\x01", "true"),
        (r#""int""#, b"\x01", "-1"),
        (r#""int""#, b"\xff\xff\xff\xff\x0f", "-2147483648"),
        (r#""long""#, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "-9223372036854775808"),
        (r#""long""#, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "9223372036854775807"),
        (r#""float""#, b"\x00\x00\xc0\x3f", "1.5"),
        (r#""double""#, b"\x9a\x99\x99\x99\x99\x99\xb9\x3f", "0.1"),
        (r#""double""#, b"\x00\x00\x00\x00\x00\x00\xf0\x7f", "null"),
        (r#""string""#, b"\x06a\"\n", r#""a\"\n""#),
        (r#""string""#, b"\x02\xff", "\"\u{fffd}\""),
        (r#""bytes""#, b"\x06\x00A\xff", "\"\\u0000A\u{ff}\""),
        (r#"{"type": "fixed", "name": "two", "size": 2}"#, b"\xe9!", "\"\u{e9}!\""),
        (r#"{"type": "enum", "name": "suit", "symbols": ["HEARTS", "SPADES"]}"#, b"\x02", r#""SPADES""#),
        (r#"{"type": "array", "items": "int"}"#, b"\x04\x02\x04\x02\x06\x00", "[1,2,3]"),
        // A negative count stands before the size of its block.
        (r#"{"type": "array", "items": "int"}"#, b"\x03\x04\x02\x04\x00", "[1,2]"),
        (r#"{"type": "array", "items": "int"}"#, b"\x00", "[]"),
        (r#"{"type": "map", "values": "string"}"#, b"\x04\x02a\x02x\x02b\x02y\x00", r#"{"a":"x","b":"y"}"#),
        (r#"["null", "string"]"#, b"\x00", "null"),
        (r#"["null", "string"]"#, b"\x02\x02x", r#"{"string":"x"}"#),
        (r#"["null", {"type": "array", "items": "int"}]"#, b"\x02\x00", r#"{"array":[]}"#),
        // What follows is left alone.
        (r#""int""#, b"\x02rest", "1"),
    ];
    for (schema, value, expected) in rows {
        assert_eq!(json(schema, value).as_deref(), Ok(*expected), "{schema} {value:?}");
    }
}

#[test]
fn logical_types_are_what_they_are_made_of_and_unions_name_them() {
    let rows: &[(&str, &[u8], &str)] = &[
        (r#"{"type": "int", "logicalType": "date"}"#, b"\x02", "1"),
        (r#"{"type": "long", "logicalType": "timestamp-millis"}"#, b"\x02", "1"),
        (
            r#"{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}"#,
            b"\x04\x04\xd2",
            "\"\\u0004\u{d2}\"",
        ),
        (r#"{"type": "string", "logicalType": "uuid"}"#, b"\x04no", r#""no""#),
        (
            r#"["null", {"type": "long", "logicalType": "timestamp-millis"}]"#,
            b"\x02\x02",
            r#"{"long.timestamp-millis":1}"#,
        ),
        (
            r#"["null", {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}]"#,
            b"\x02\x02\x05",
            r#"{"bytes.decimal":"\u0005"}"#,
        ),
        (
            r#"["null", {"type": "long", "logicalType": "local-timestamp-millis"}]"#,
            b"\x02\x02",
            r#"{"long":1}"#,
        ),
    ];
    for (schema, value, expected) in rows {
        assert_eq!(json(schema, value).as_deref(), Ok(*expected), "{schema} {value:?}");
    }
}

#[test]
fn named_types_have_their_full_names_and_may_contain_themselves() {
    let list = r#"{"type": "record", "name": "List", "namespace": "shop", "fields": [
        {"name": "value", "type": "int"},
        {"name": "next", "type": ["null", "List"]}]}"#;
    assert_eq!(
        json(list, b"\x02\x02\x04\x00").as_deref(),
        Ok(r#"{"value":1,"next":{"shop.List":{"value":2,"next":null}}}"#)
    );
    let deep: Vec<u8> = [2, 2].repeat(100_000);
    assert_eq!(json(list, &deep), Err(AvroError::Deep));
}

#[test]
fn what_is_no_value_says_why() {
    let rows: &[(&str, &[u8], AvroError)] = &[
        (r#""int""#, b"", AvroError::Short),
        (r#""int""#, b"\x80", AvroError::Short),
        (r#""int""#, b"\x80\x80\x80\x80\x10", AvroError::Number),
        (r#""long""#, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", AvroError::Number),
        (r#""string""#, b"\x01", AvroError::Length),
        (r#""string""#, b"\x0aabc", AvroError::Short),
        (r#""boolean""#, b"\x02", AvroError::Boolean(2)),
        (r#"["null", "int"]"#, b"\x04", AvroError::Branch(2)),
        (r#"["null", "int"]"#, b"\x01", AvroError::Branch(-1)),
        (r#"{"type": "enum", "name": "one", "symbols": ["A"]}"#, b"\x02", AvroError::Symbol(1)),
        // Ten bytes that stand for more than memory holds.
        (
            r#"{"type": "array", "items": "null"}"#,
            b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            AvroError::Long,
        ),
    ];
    for (schema, value, expected) in rows {
        assert_eq!(json(schema, value), Err(*expected), "{schema} {value:?}");
    }
}

#[test]
fn a_schema_that_is_none_is_told() {
    for schema in ["{", r#"{"type": "unknown"}"#, r#"{"type": "record", "name": "a"}"#] {
        assert!(Avro::compile(schema).is_err(), "{schema}");
    }
}
