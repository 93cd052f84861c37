//! The reference's answers, and what must hold for any program.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn vectors_of_jq_transforms() {
    let jq = |input: &Value| input["jq"].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let rows = zetes_vectors::rows("transforms").into_iter().filter(|row| jq(&row.input).is_some());
    let (mut all, mut wrong) = (0, Vec::new());
    for row in rows {
        all += 1;
        let data = row.input["data"].as_str().unwrap_or_default();
        let text = jq(&row.input).unwrap_or_default();
        let got = serde_json::from_str::<Value>(data).ok().filter(Value::is_object).and_then(|data| {
            let program = Program::compile(&text).map_err(|error| eprintln!("{text}: {error}")).ok()?;
            program.transform(&data, 0.0).map_err(|error| eprintln!("{text}: {error}")).ok()
        });
        // Data that is no object never reaches a program.
        let is_passed_on = row.expect["data"].as_str() == Some(data);
        if got.as_deref() != row.expect["data"].as_str() && !is_passed_on {
            wrong.push(format!("{}: {text}\n  expected {}\n  got      {got:?}", row.id, row.expect));
        }
    }
    println!("transforms with jq: {} of {all}", all - wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mistakes_are_underlined() {
    let cases = [
        ("{a: nope}", 4..8),
        ("{a: $nope}", 4..9),
        (".a | ", 5..5),
        ("{a: (1}", 6..7),
        (".a as $x | $y", 11..13),
        ("import \"x\" as x; {}", 8..9),
    ];
    for (text, expected) in cases {
        let error = Program::compile(text).unwrap_err();
        assert_eq!(error.span(), expected, "{text}: {error}");
    }
}

#[test]
fn nothing_outside_is_seen() {
    for (text, expected) in [
        ("{e: env}", r#"{"e":{}}"#),
        ("{e: $ENV}", r#"{"e":{}}"#),
        ("{e: $ENV.HOME}", r#"{"e":null}"#),
        ("{n: now}", r#"{"n":5}"#),
        ("{i: [inputs]}", r#"{"i":[]}"#),
    ] {
        assert_eq!(
            Program::compile(text).unwrap().transform(&json!({}), 5.0).as_deref(),
            Ok(expected),
            "{text}"
        );
    }
    for text in ["import \"a\" as a; {}", "include \"a\"; {}"] {
        assert!(Program::compile(text).is_err(), "{text}");
    }
    assert!(
        Program::compile("halt").unwrap().transform(&json!({}), 0.0).is_err(),
        "a program never ends the process"
    );
}

#[test]
fn what_is_nested_too_deep_is_refused_where_it_is() {
    for text in
        ["(".repeat(5_000), "[".repeat(5_000), "-".repeat(5_000), "if ".repeat(5_000), "\"\\(".repeat(5_000)]
    {
        let error = Program::compile(&text).unwrap_err();
        assert!(error.message().contains("nested too deep"), "{error}");
        assert!(error.span().start < 2_000);
    }
    let flat = format!("{{{}}}", vec!["a: 1"; 400].join(", "));
    assert!(Program::compile(&flat).is_ok());
}

#[test]
fn what_may_not_end_is_pointed_at() {
    assert_eq!(may_not_end("[repeat(.)]"), Some(1..7));
    assert_eq!(may_not_end("[range(infinite)]"), Some(7..15));
    assert_eq!(may_not_end(".repeated"), None);
}

proptest! {
    #[test]
    fn no_text_panics(text in r#"[.a-c\[\]{}()|,:;"$@0-9+ *-]{0,24}"#) {
        drop(Program::compile(&text));
    }
}

#[test]
fn what_gojq_has_and_jaq_has_not_is_added() {
    let cases = [
        (r#"{r: ([1, "a\"b", null, true] | @csv)}"#, r#"{"r":"1,\"a\"\"b\",,true"}"#),
        (r#"{r: (["a\tb\\", 2] | @tsv)}"#, r#"{"r":"a\\tb\\\\\t2"}"#),
        (r"{r: [1 | truncate_stream([[0], 1], [[1, 0], 2], [[1, 0]], [[1]])]}", r#"{"r":[[[0],2],[[0]]]}"#),
        (r"{r: (2 | IN(1, 2))}", r#"{"r":true}"#),
        (r"[{k: 1}] | INDEX(.k)", r#"{"1":{"k":1}}"#),
        (r#"{r: ([1, "x"] | format("csv"))}"#, r#"{"r":"1,\"x\""}"#),
        (r"{r: [{a: [1]} | leaf_paths]}", r#"{"r":[["a",0]]}"#),
        (r#"{r: ("xax" | trimstr("x"))}"#, r#"{"r":"a"}"#),
    ];
    for (text, expected) in cases {
        let got = Program::compile(text).and_then(|program| program.transform(&json!({}), 0.0));
        assert_eq!(got.as_deref(), Ok(expected), "{text}");
    }
}
