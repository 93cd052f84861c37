//! How Go writes values (`%v`), changes the case of texts, and raises numbers to powers.
//!
//! ```
//! use serde_json::json;
//! assert_eq!(zetes_gotext::print(&json!({"b": [1.5, null], "a": 1e6})), "map[a:1e+06 b:[1.5 <nil>]]");
//! assert_eq!(zetes_gotext::upper("straße"), "STRAßE");
//! ```
//!
//! Source: the documentation of Go's packages `fmt` and `strings`, checked against Go 1.26.

mod power;

pub use power::power;
use serde_json::Value;

/// A document as `%v` prints it; members are sorted by name.
#[must_use]
pub fn print(json: &Value) -> String {
    match json {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => print_float(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => text.clone(),
        Value::Array(elements) => bracketed("[", elements.iter().map(print)),
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            bracketed("map[", sorted.into_iter().map(|(name, value)| format!("{name}:{}", print(value))))
        }
    }
}

/// Parts between brackets, with blanks between them.
#[must_use]
pub fn bracketed(open: &str, parts: impl Iterator<Item = String>) -> String {
    format!("{open}{}]", parts.collect::<Vec<_>>().join(" "))
}

/// The shortest digits that read back, with an exponent below 1e-4 and from 1e6.
#[must_use]
pub fn print_float(number: f64) -> String {
    if let Some(text) = special(number) {
        return text;
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number != 0.0 && !(-4..6).contains(&exponent) {
        return with_exponent(digits, exponent);
    }
    number.to_string()
}

/// Digits with an exponent of at least two digits.
#[must_use]
pub fn with_exponent(digits: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// The text of what is no number of its own: `NaN`, `+Inf`, `-Inf`.
#[must_use]
pub fn special(number: f64) -> Option<String> {
    if number.is_nan() {
        return Some("NaN".to_owned());
    }
    number.is_infinite().then(|| if number > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() })
}

/// In upper case.
#[must_use]
pub fn upper(text: &str) -> String {
    text.chars().map(to_upper).collect()
}

/// In lower case.
#[must_use]
pub fn lower(text: &str) -> String {
    text.chars().map(to_lower).collect()
}

/// One character for one: what has no single upper case stays.
#[must_use]
pub fn to_upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    if mapped.len() == 1 { mapped.next().unwrap_or(c) } else { c }
}

/// One character for one.
#[must_use]
pub fn to_lower(c: char) -> char {
    let mut mapped = c.to_lowercase();
    if mapped.len() == 1 || c == 'İ' { mapped.next().unwrap_or(c) } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_printed_as_go_prints_them() {
        let cases = [
            (5.0, "5"),
            (-0.5, "-0.5"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1e100, "1e+100"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (number, expected) in cases {
            assert_eq!(print_float(number), expected);
        }
    }

    #[test]
    fn cases_map_one_character_for_one() {
        assert_eq!((upper("żółß"), lower("ŻÓŁİΣ")), ("ŻÓŁß".to_owned(), "żółiσ".to_owned()));
    }
}
