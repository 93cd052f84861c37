//! JSON text as Go's `encoding/json` writes it.
//!
//! ```
//! use serde_json::json;
//! assert_eq!(zetes_gojson::to_string(&json!({"b": 1e21, "a": "<x>"})), r#"{"a":"\u003cx\u003e","b":1e+21}"#);
//! ```

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// Deeper values are written as `null`.
const MAX_DEPTH: usize = 512;

/// The value as text: compact, members sorted by name, `<>&` and the line separators escaped.
#[must_use]
pub fn to_string(value: &Value) -> String {
    written(value, Style { escapes_html: true, indent: "" })
}

/// As [`to_string`], with `<>&` as they are.
#[must_use]
pub fn to_string_unescaped(value: &Value) -> String {
    written(value, Style { escapes_html: false, indent: "" })
}

/// As [`to_string`], a member or element a line, two blanks deep.
#[must_use]
pub fn to_string_indented(value: &Value) -> String {
    written(value, Style { escapes_html: true, indent: "  " })
}

#[derive(Clone, Copy)]
struct Style {
    escapes_html: bool,
    indent: &'static str,
}

fn written(value: &Value, style: Style) -> String {
    let mut out = String::new();
    style.value(&mut out, value, 0);
    out
}

impl Style {
    fn value(self, out: &mut String, value: &Value, depth: usize) {
        match value {
            _ if depth > MAX_DEPTH => out.push_str("null"),
            Value::Null => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => write_number(out, number),
            Value::String(text) => self.text(out, text),
            Value::Array(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    self.separate(out, at, depth + 1);
                    self.value(out, element, depth + 1);
                }
                self.close(out, elements.is_empty(), depth, ']');
            }
            Value::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by_key(|(name, _)| *name);
                out.push('{');
                for (at, (name, member)) in sorted.into_iter().enumerate() {
                    self.separate(out, at, depth + 1);
                    self.text(out, name);
                    out.push_str(if self.indent.is_empty() { ":" } else { ": " });
                    self.value(out, member, depth + 1);
                }
                self.close(out, members.is_empty(), depth, '}');
            }
        }
    }

    fn separate(self, out: &mut String, at: usize, depth: usize) {
        if at > 0 {
            out.push(',');
        }
        self.line(out, depth);
    }

    fn close(self, out: &mut String, is_empty: bool, depth: usize, bracket: char) {
        if !is_empty {
            self.line(out, depth);
        }
        out.push(bracket);
    }

    fn line(self, out: &mut String, depth: usize) {
        if !self.indent.is_empty() {
            out.push('\n');
            out.push_str(&self.indent.repeat(depth));
        }
    }

    fn text(self, out: &mut String, text: &str) {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '<' | '>' | '&' if !self.escapes_html => out.push(character),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\u{0}'..='\u{1f}' => {
                    write(out, format_args!("\\u{:04x}", u32::from(character)));
                }
                _ => out.push(character),
            }
        }
        out.push('"');
    }
}

fn write_number(out: &mut String, number: &Number) {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) => out.push_str(&float_to_string(float)),
        None => write(out, number),
    }
}

/// A float as Go writes it: an integral one without a fraction.
#[must_use]
pub fn float_to_string(float: f64) -> String {
    let mut out = String::new();
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{float:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        write(&mut out, format_args!("{digits}e{sign}{exponent}"));
    } else {
        write(&mut out, float);
    }
    out
}

fn write(out: &mut String, what: impl std::fmt::Display) {
    write!(out, "{what}").expect("writing to a String can't fail");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let cases = [
            (json!(5), "5"),
            (json!(5.0), "5"),
            (json!(-0.5), "-0.5"),
            (json!(1e20), "100000000000000000000"),
            (json!(1e21), "1e+21"),
            (serde_json::from_str("0.10000000010000000085").unwrap(), "0.1000000001"),
            (json!(1.5e-7), "1.5e-7"),
            (json!(0.000_001), "0.000001"),
            (json!(12_345_678_901_234_567_000_f64), "12345678901234567000"),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
        ];
        for (value, expected) in cases {
            assert_eq!(to_string(&value), expected);
        }
    }

    #[test]
    fn members_are_sorted_and_texts_escaped() {
        let value = json!({"b": [null, true], "a": "<&>\u{2028}\u{1}\"\\\n", "": {}});
        assert_eq!(
            to_string(&value),
            r#"{"":{},"a":"\u003c\u0026\u003e\u2028\u0001\"\\\n","b":[null,true]}"#
        );
    }

    #[test]
    fn the_styles_differ_in_escapes_and_lines() {
        let value = json!({"a": ["<", {}], "b": []});
        assert_eq!(to_string_unescaped(&value), r#"{"a":["<",{}],"b":[]}"#);
        assert_eq!(
            to_string_indented(&value),
            "{\n  \"a\": [\n    \"\\u003c\",\n    {}\n  ],\n  \"b\": []\n}"
        );
    }
}
