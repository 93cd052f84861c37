//! The reference's answers, and what must hold for any program.

use proptest::prelude::*;
use serde_json::Value;
use zetes_vectors::Count;

use super::*;

#[test]
fn vectors_of_jq_transforms() {
    let jq = |input: &Value| input["jq"].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let rows = zetes_vectors::rows("transforms").into_iter().filter(|row| jq(&row.input).is_some());
    let mut count = Count::of("transforms, with jq");
    for row in rows {
        let data = row.input["data"].as_str().unwrap_or_default();
        let text = jq(&row.input).unwrap_or_default();
        let got = serde_json::from_str::<Value>(data).ok().filter(Value::is_object).and_then(|_| {
            let program = Program::compile(&text).map_err(|error| eprintln!("{text}: {error}")).ok()?;
            program.transform(data, &Run::default()).map_err(|error| eprintln!("{text}: {error}")).ok()
        });
        // Data that is no object never reaches a program.
        let is_passed_on = row.expect["data"].as_str() == Some(data);
        if got.as_deref() == row.expect["data"].as_str() || is_passed_on {
            count.equal();
        } else {
            count.differs(&row, &got);
        }
    }
    count.end();
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
    ] {
        assert_eq!(
            Program::compile(text).unwrap().transform("{}", &Run { now: 5.0, ..Run::default() }).as_deref(),
            Ok(expected),
            "{text}"
        );
    }
    for text in ["import \"a\" as a; {}", "include \"a\"; {}"] {
        assert!(Program::compile(text).is_err(), "{text}");
    }
    assert!(
        Program::compile("halt").unwrap().transform("{}", &Run::default()).is_err(),
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
fn what_takes_too_much_ends_with_an_error() {
    for text in [
        "[repeat(1)]",
        "last(repeat(1))",
        "last(range(infinite))",
        "reduce repeat(1) as $x (0; . + 1)",
        "until(false; .)",
        "[limit(1000000000; repeat(1))]",
        "try error catch last(repeat(.))",
        "def f: if true then f else . end; f",
        "def f: . | f; f",
        "def f: f; f",
        "label $x | def f: f; f",
        "def f(g): f(g); f(.)",
        "def f(g): f(g|g); f(.)",
        "def f(a; b; c; d; e; g): f(g; a; b; c; d; e); f(1; 2; 3; 4; 5; 6)",
        "0 | def f(g): if . > 900 then g else . + 1 | f(g|g) end; f(.)",
        "{a: (\"x\" * 1e9)}",
        "reduce range(64) as $x (\"x\"; . + .)",
        "reduce range(64) as $x ([1]; . + .)",
        ".a[900000000] = 1",
        "[range(1e15)] | sort",
    ] {
        let error = Program::compile(text).unwrap().transform("{}", &Run::default()).unwrap_err();
        assert!(
            error.message().contains("too many steps") || error.message().contains("out of bounds"),
            "{text}: {error}"
        );
    }
    for (text, reason) in [
        ("def f: [f]; f", "too deep"),
        ("def f: 1 + f; f", "too deep"),
        ("def f: try f; f", "too deep"),
        ("def f: (f | f); f", "too deep"),
        ("def f(g): [f(g)]; f(.)", "too deep"),
        ("def f(g): try f(g, g); f(.)", "too deep"),
        (r#"def f: "\(f)"; f"#, "too deep"),
        ("def f: try (1, f) catch f; last(f)", "too deep"),
        ("def f: {a: f}; f", "too deep"),
        ("reduce range(100000) as $x (0; [.])", "nests a value too deep"),
        ("last(recurse([.]))", "nests a value too deep"),
    ] {
        let error = Program::compile(text).unwrap().transform("{}", &Run::default()).unwrap_err();
        assert!(error.message().contains(reason), "{text}: {error}");
    }
}

#[test]
fn a_document_nested_deep_is_read_as_deep_as_a_program_looks() {
    let deep = format!("{{\"a\": {}{}, \"b\": 1}}", "[".repeat(100_000), "]".repeat(100_000));
    let transform = |text: &str| Program::compile(text).unwrap().transform(&deep, &Run::default());
    assert_eq!(transform("{b}").as_deref(), Ok(r#"{"b":1}"#));
    for text in ["{a}", "{a: [..]}", "{n: (.a | tojson)}", "{e: (.a == 1)}", "{n: [.. | length]}"] {
        match transform(text) {
            Ok(answer) => assert_eq!(answer, r#"{"e":false}"#, "{text}"),
            Err(error) => assert!(error.message().contains("too deep"), "{text}: {error}"),
        }
    }
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
        (r"{r: [{a: [1]} | paths(scalars)]}", r#"{"r":[["a",0]]}"#),
        (r"{r: ({a: 5} | JOIN(.; .a, 6; tostring))}", r#"{"r":[5,null]}"#),
        (r"{r: [fromstream([1, {a: [2]}] | tostream)]}", r#"{"r":[[1,{"a":[2]}]]}"#),
        (r#"{r: ("xax" | trimstr("x"))}"#, r#"{"r":"a"}"#),
        (r"def f: .a; def g(h): .b | h; {r: [path(f), path(g(.c))]}", r#"{"r":[["a"],["b","c"]]}"#),
        (r"def f: .a; def g(h): .b | h; f |= 1 | g(.c) |= 2", r#"{"a":1,"b":{"c":2}}"#),
        (r"def f(g): if . > 9 then g else . + 1 | f(g | . * 2) end; {r: (0 | f(.))}", r#"{"r":10240}"#),
    ];
    for (text, expected) in cases {
        let got = Program::compile(text).and_then(|program| program.transform("{}", &Run::default()));
        assert_eq!(got.as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_both_have_means_what_gojq_means() {
    let cases = [
        (r#"{r: ["", "a" | split(",")]}"#, r#"{"r":[[""],["a"]]}"#),
        (r#"{r: ["abc"[1], "abc"[-1], "abc"[3], ""[0]]}"#, r#"{"r":["b","c",null,null]}"#),
        (r#"{r: ("xax" | match("a"))}"#, r#"{"r":{"captures":[],"length":1,"offset":1,"string":"a"}}"#),
        (r#"{r: [("abc", "" | indices("")), ("abc" | index(""))]}"#, r#"{"r":[[],[],null]}"#),
        (r#"{r: ([null, true, "a", 1] | join("-"))}"#, r#"{"r":"-true-a-1"}"#),
        (r#"{r: ({a: "x", b: 2} | join("-"))}"#, r#"{"r":"x-2"}"#),
        (r"{r: ([[1, [2]], 3] | [flatten, flatten(1)])}", r#"{"r":[[1,2,3],[1,[2],3]]}"#),
        (r"{r: [0 | combinations]}", r#"{"r":[[]]}"#),
        (r"{r: [range(1; 2; 0)]}", r#"{"r":[]}"#),
        (r"{r: ([3, 1, 2] | bsearch(1))}", r#"{"r":-1}"#),
        (r#"{r: (null | has("a"))}"#, r#"{"r":false}"#),
        (r"{r: ([1, 2] | del(.), pick(.[1]))}", r#"{"r":null}"#),
        (r"{r: ([1, 2] | pick(.[1]))}", r#"{"r":[null,2]}"#),
        (r"{r: [null | path(.[1:])]}", r#"{"r":[[{"end":null,"start":1}]]}"#),
        (r"{r: (1.7 | todate)}", r#"{"r":"1970-01-01T00:00:01Z"}"#),
        (
            r#"{r: (0 | strftime("%c|%x|%r|%f"))}"#,
            r#"{"r":"Thu Jan  1 00:00:00 1970|01/01/70|12:00:00 AM|000000"}"#,
        ),
        (r#"{r: ("1970-01-01T00:00:01Z" | strptime("%Y-%m-%dT%H:%M:%S%z") | mktime)}"#, r#"{"r":1}"#),
        (r"def keys_unsorted: 1; {r: keys_unsorted}", r#"{"r":1}"#),
        (r#"{r: ("ab" * (0, 1.9, -1))}"#, r#"{"r":""}"#),
        (r#"{r: ["ab" * (0, 1.9, -1)]}"#, r#"{"r":["","ab",null]}"#),
        (
            r#"[{name: "a", value: 1}, {Key: "b", Value: null}, {key: "c", value: false}] | from_entries"#,
            r#"{"a":1,"b":null,"c":false}"#,
        ),
        (r#"{r: ["YWI", "YQ", "YQ==", "", "YW\nJj" | @base64d]}"#, r#"{"r":["ab","a","a","","abc"]}"#),
    ];
    for (text, expected) in cases {
        let got = Program::compile(text).and_then(|program| program.transform("{}", &Run::default()));
        assert_eq!(got.as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_gojq_refuses_is_refused() {
    for text in [
        "{r: keys_unsorted}",
        "{r: input_line_number}",
        "{r: debug}",
        "{r: leaf_paths}",
        "{r: toarray}",
        "{r: [inputs]}",
        "{r: nan}",
        "{r: [infinite]}",
        r#"{r: ("a" | abs)}"#,
        "{r: [limit(-1; 1)]}",
        r#"{r: [range("a")]}"#,
        "{r: ({} | @csv)}",
        r#"{r: getpath("a")}"#,
        r#"{r: ("2024-01-01T00:00:00.5Z" | fromdate)}"#,
    ] {
        let got = Program::compile(text).and_then(|program| program.transform("{}", &Run::default()));
        assert!(got.is_err(), "{text}: {got:?}");
    }
}
