//! What must hold for any program and any document: no panic, an answer in bounded time and memory, and an error's place inside
//! the text. `cargo xtask fuzz` drives these with libFuzzer; the test replays the corpus (`fuzz/corpus/<language>`), which CI runs.
//!
//! An input is a program, a line `---`, and a document.

use std::ops::Range;

use jiff::Timestamp;
use serde_json::Value;

#[cfg(test)]
mod tests;

/// What must hold for an input.
pub type Property = fn(&[u8]);

/// Each language by its folder.
pub const LANGUAGES: [(&str, Property); 12] = [
    ("exprlang", exprlang),
    ("gjson", gjson),
    ("gojson", gojson),
    ("gotemplate", gotemplate),
    ("gotext", gotext),
    ("gotime", gotime),
    ("govaluate", govaluate),
    ("jq", jq),
    ("jsonpath", jsonpath),
    ("lua", lua),
    ("re2", re2),
    ("schedule", schedule),
];

/// Program and document; `None` where the input is no text.
fn parts(input: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(input).ok()?;
    Some(text.split_once("\n---\n").unwrap_or((text, r#"{"a": [1, "x", null], "b": {"c": 2.5}}"#)))
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn assert_inside(span: &Range<usize>, text: &str) {
    assert!(
        span.start <= span.end
            && span.end <= text.len()
            && text.is_char_boundary(span.start)
            && text.is_char_boundary(span.end),
        "an error at {span:?} is outside of the {} bytes, or inside of a character",
        text.len()
    );
}

fn exprlang(input: &[u8]) {
    use zetes_exprlang::{Environment, Expression};
    let Some((program, json)) = parts(input) else { return };
    let data = document(json);
    let mut environment = Environment::default();
    for (name, value) in data.as_object().into_iter().flatten() {
        environment.set(name.clone(), zetes_exprlang::Value::from_json(value));
    }
    let result = Expression::compile(program)
        .and_then(|expression| expression.evaluate(&environment, Timestamp::UNIX_EPOCH));
    match result {
        Ok(value) => drop(value.print()),
        Err(error) => assert_inside(&error.span(), program),
    }
}

fn gjson(input: &[u8]) {
    let Some((program, json)) = parts(input) else { return };
    if let Some(found) = zetes_gjson::Path::compile(program).get(json) {
        drop(found.string());
    }
    for remark in zetes_gjson::lint(program) {
        assert_inside(&remark.span, program);
    }
    if serde_json::from_str::<Value>(json).is_ok() && program.len() < 1_000 {
        drop(zetes_gjson::delete(json, program));
        drop(zetes_gjson::set_string(json, program, "\u{1}\"x"));
    }
}

/// What is written reads back as what it was.
fn gojson(input: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(input) else { return };
    for text in [zetes_gojson::to_string(&document), zetes_gojson::to_string_indented(&document)] {
        let again: Value = serde_json::from_str(&text).expect("JSON");
        assert!(is_alike(&document, &again), "{document} became {again}");
    }
}

/// Numbers are floats to Go: 1.0 and 1 are one number.
fn is_alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(ones), Value::Array(others)) => {
            ones.len() == others.len() && ones.iter().zip(others).all(|(one, other)| is_alike(one, other))
        }
        (Value::Object(ones), Value::Object(others)) => {
            ones.len() == others.len()
                && ones.iter().all(|(name, one)| others.get(name).is_some_and(|other| is_alike(one, other)))
        }
        (one, other) => one == other,
    }
}

/// A change of case keeps the number of characters, and a second one changes nothing.
fn gotext(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for mapped in [zetes_gotext::upper, zetes_gotext::lower] {
        let once = mapped(text);
        assert_eq!(once.chars().count(), text.chars().count(), "{text:?}");
        assert_eq!(mapped(&once), once, "{text:?}");
    }
    drop(zetes_gotext::print(&document(text)));
    if let Ok(number) = text.parse::<f64>() {
        let printed = zetes_gotext::print_float(number);
        let again: f64 = printed.parse().expect("a number");
        assert!(again.total_cmp(&number).is_eq() || number.is_nan(), "{number} was printed as {printed}");
    }
}

/// A duration that was written reads back as the same.
fn gotime(input: &[u8]) {
    let Some((layout, text)) = parts(input) else { return };
    if let Ok(at) = zetes_gotime::parse(layout, text, &jiff::tz::TimeZone::UTC) {
        drop(zetes_gotime::format(layout, &at));
    }
    if let Ok(duration) = zetes_gotime::duration::parse(layout) {
        assert_eq!(zetes_gotime::duration::parse(&zetes_gotime::duration::format(duration)), Ok(duration));
    }
}

fn gotemplate(input: &[u8]) {
    use zetes_gotemplate::Template;
    let Some((program, json)) = parts(input) else { return };
    let data = document(json);
    let result = Template::parse(program).and_then(|template| template.render(&data, Timestamp::UNIX_EPOCH));
    if let Err(error) = result {
        assert_inside(&error.span(), program);
    }
}

fn govaluate(input: &[u8]) {
    use zetes_govaluate::{Expression, Value as Known};
    let Some((program, json)) = parts(input) else { return };
    let data = document(json);
    let lookup = |name: &str| match data.get(name)? {
        Value::Bool(value) => Some(Known::Bool(*value)),
        Value::Number(number) => number.as_f64().map(Known::Number),
        Value::String(text) => Some(Known::String(text.as_str().into())),
        _ => None,
    };
    match Expression::compile(program) {
        Ok(expression) => drop(expression.evaluate(&lookup)),
        Err(error) => assert_inside(&error.span(), program),
    }
}

fn jq(input: &[u8]) {
    let Some((program, json)) = parts(input) else { return };
    let run = zetes_jq::Run { now: 0.0, steps: 20_000 };
    let json = if serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok() { json } else { "null" };
    match zetes_jq::Program::compile(program) {
        Ok(program) => drop(program.transform(json, &run)),
        Err(error) => assert_inside(&error.span(), program),
    }
}

fn jsonpath(input: &[u8]) {
    let Some((program, json)) = parts(input) else { return };
    match zetes_jsonpath::JsonPath::compile(program) {
        Ok(path) => drop(path.find(&document(json))),
        Err(error) => assert_inside(&error.span(), program),
    }
}

fn lua(input: &[u8]) {
    use zetes_lua::{Limits, Script};
    let Some((program, json)) = parts(input) else { return };
    let limits = Limits { steps: 20_000, memory: 16 << 20, ..Limits::default() };
    match Script::compile(program) {
        Ok(script) => {
            drop(script.filter(&document(json), &limits));
            drop(script.transform(&document(json), &limits));
        }
        Err(error) => assert_inside(&error.span(), program),
    }
}

fn re2(input: &[u8]) {
    let Some((program, text)) = parts(input) else { return };
    match zetes_re2::compile(program) {
        Ok(pattern) => drop(pattern.is_match(text.as_bytes())),
        Err(error) => assert_inside(&error.span(program), program),
    }
}

fn schedule(input: &[u8]) {
    use zetes_schedule::{Descriptors, Schedule};
    let Some((program, zone)) = parts(input) else { return };
    let zone = zetes_schedule::zone(zone.trim()).unwrap_or(jiff::tz::TimeZone::UTC);
    match Schedule::parse(program, Descriptors::Accepted) {
        Ok(schedule) => {
            let now = Timestamp::UNIX_EPOCH;
            if let Some(next) = schedule.next_after(now, &zone) {
                assert!(next > now, "the next firing is in the past");
            }
            let last = schedule.last_before(now, &zone);
            assert!(last.is_none_or(|last| last < now), "the last firing is in the future");
        }
        Err(error) => {
            if let Some(span) = error.span() {
                assert_inside(&span, program);
            }
        }
    }
}
