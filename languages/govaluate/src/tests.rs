//! The reference's answers, the language by a table, and what must hold for any text.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// One filter of the reference: `None` is an error.
fn passes(filter: &Json, data: &str) -> Option<bool> {
    let expression = Expression::compile(filter["expr"].as_str()?).ok()?;
    let mut variables = Vec::new();
    for field in filter["fields"].as_array()? {
        let found = zetes_gjson::Path::compile(field["path"].as_str()?).get(data)?;
        variables.push((field["name"].as_str()?, serde_json::from_str::<Json>(found.raw()).ok()?));
    }
    let lookup = |name: &str| {
        let found = variables.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| Value::from_json(value.clone()))
    };
    Some(expression.evaluate(&lookup).ok()? == Value::Bool(true))
}

#[test]
fn vectors_of_expressions() {
    let answer = |input: &Json| {
        let event = &input["event"];
        let data = event["raw"].as_str().map_or_else(|| event["data"].to_string(), str::to_owned);
        let filters: Vec<_> = input["filters"]["exprs"].as_array().cloned().unwrap_or_default();
        let answers = filters.iter().map(|filter| passes(filter, &data));
        let pass = if input["filters"]["exprLogicalOperator"] == "or" {
            answers.clone().any(|answer| answer == Some(true))
        } else {
            answers.clone().all(|answer| answer == Some(true))
        };
        json!({"pass": pass})
    };
    let has_data = |input: &Json| input["event"].get("data").is_some() || input["event"].get("raw").is_some();
    zetes_vectors::check_as(
        "filters-exprs",
        |input| if has_data(input) { answer(input) } else { json!({"pass": true}) },
        |expected, got| (expected["pass"] == true) == (got["pass"] == true),
    );
}

fn value(text: &str) -> Result<String, Error> {
    let variables = json!({"n": 5, "s": "abc", "t": true, "nul": null, "arr": [1, 2, "x"], "obj": {"k": 1}});
    let lookup = |name: &str| variables.get(name).cloned().map(Value::from_json);
    Expression::compile(text)?.evaluate(&lookup).map(|value| value.print())
}

#[test]
fn values_are_the_reference_s() {
    for (text, expected) in [
        ("2 ** 3 ** 2", "64"),
        ("-2 ** 2", "4"),
        ("5 + \"x\"", "5x"),
        ("1 + 2 + \"a\"", "3a"),
        ("1 / 0", "+Inf"),
        ("5 % 3", "2"),
        ("0x1F", "31"),
        (".5 + 5.", "5.5"),
        ("1 << 4 | 1", "17"),
        ("~5", "-6"),
        ("'a' < 'b'", "true"),
        ("n == 5 && s == 'abc'", "true"),
        ("n in (4, 5)", "true"),
        ("'x' in arr", "true"),
        ("s =~ '^a' && s !~ 'z'", "true"),
        ("true || missing", "true"),
        ("false && missing", "false"),
        ("t ? 'a' : 'b'", "a"),
        ("!t ? 'a' : 'b'", "b"),
        ("nul ?? 'x'", "x"),
        ("t ? 1", "1"),
        ("1 > 2 == false", "true"),
        ("[s] + 'd'", "abcd"),
        ("()", "<nil>"),
        ("(1, 2, 'a')", "[1 2 a]"),
        ("'2020-01-02' > '2020-01-01'", "true"),
        ("'2020-01-02' == 1577923200", "true"),
        ("arr == arr && obj != arr", "true"),
        ("'a' + 1e", "error"),
        ("'a' + 1000000", "a1e+06"),
        ("'a' + 0.00001", "a1e-05"),
        ("-1 << 1", "1.8446744073709552e+19"),
        ("nul == nul", "true"),
        ("n - -3", "8"),
        ("1.1 ** 12", "3.1384283767210026"),
        ("64 >> 18446744073709551616", "0"),
        ("'9999-12-31' + 0", "2.534022144e+11"),
        ("'Mon Jan 02 15:04:05 -0700 2006' + 0", "1.136239445e+09"),
        ("(n == 5) t && missing", "true"),
        ("n) + (1", "5"),
        ("(n == )", "false"),
        ("n =\\= 5", "true"),
        ("1\\e3 + 0x 10", "1016"),
        ("true || a.0", "true"),
        ("false && a.B(1) || true", "false"),
    ] {
        let got = value(text).unwrap_or_else(|_| "error".to_owned());
        assert_eq!(got, expected, "{text}");
    }
}

#[test]
fn what_the_reference_refuses_is_refused_with_its_place() {
    for (text, span) in [
        ("", 0..0),
        ("a ==", 2..4),
        ("a&&!b", 1..4),
        ("a==-5", 1..4),
        ("b --3", 2..4),
        ("foo(1)", 3..4),
        ("a = 1", 2..3),
        ("a and b", 2..5),
        ("1.2.3", 0..5),
        ("'it", 0..3),
        ("(1", 0..1),
        ("1)", 1..2),
        ("_a", 0..1),
        ("a.b", 0..3),
        ("s =~ '('", 5..8),
        ("1e3", 1..3),
        ("n\\", 0..2),
        ("a.", 0..2),
        ("s =~ '(' + ')'", 5..8),
        ("a ; b", 2..3),
    ] {
        let error = Expression::compile(text).expect_err(text);
        assert_eq!(error.span(), span, "{text}: {error}");
    }
    for text in [
        "missing",
        "s > 1",
        "5 && t",
        "s + n > 1",
        "!n",
        "-s",
        "n in ('x')",
        "n =~ 'a'",
        "a.B",
        "arr in (1, arr)",
        "t ? 'a' : t ? 'b' : 'c'",
    ] {
        assert!(value(text).is_err(), "{text}");
    }
}

#[test]
fn deep_and_long_expressions_end() {
    assert!(Expression::compile(&"(".repeat(10_000)).is_err());
    assert_eq!(value(&vec!["1"; 5_000].join(" + ")).as_deref(), Ok("5000"));
    assert!(Expression::compile(&vec!["1"; 100_000].join(" + ")).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in r#"[a-d0-9 ()\[\]+*/%&|^!=<>~?:,.'"\\-]{0,24}"#) {
        drop(value(&text));
    }
}
