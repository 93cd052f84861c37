//! The reference's answers, a table for the language, and what must hold for any text.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::Template;

fn push() -> Option<Json> {
    let rows = zetes_vectors::rows("events");
    serde_json::from_str(rows.first()?.expect["push"]["raw"].as_str()?).ok()
}

/// An empty text and `<no value>` are errors to the reference's callers.
fn answer(input: &Json, data: &Json) -> Json {
    let text = input["template"].as_str().unwrap_or_default();
    if text.is_empty() {
        // A parameter without a template takes the whole event: that is no template's doing.
        return Json::Null;
    }
    let rendered = Template::parse(text).and_then(|template| template.render(data, Timestamp::UNIX_EPOCH));
    match rendered {
        Err(error) if error.is_absent() => Json::Null,
        Ok(text) if !text.is_empty() && text != "<no value>" => json!({"value": text}),
        _ => json!({"error": true}),
    }
}

#[test]
fn vectors_of_templates() {
    let Some(data) = push() else { return };
    zetes_vectors::check("templates", |input| answer(input, &data));
}

fn render(text: &str) -> Result<String, String> {
    let data = json!({"n": 5, "f": 1.5, "big": 12_345_678, "s": "abc", "nul": null, "list": ["x", "y"], "obj": {"b": 1, "a": 2}});
    let template = Template::parse(text).map_err(|error| error.to_string())?;
    template.render(&data, Timestamp::UNIX_EPOCH).map_err(|error| error.to_string())
}

#[test]
fn the_language_is_go_s() {
    for (text, expected) in [
        ("a {{- 1 -}} b", "a1b"),
        ("{{/* c */}}x{{- /* d */ -}} y", "xy"),
        ("{{ .Input.big }} {{ .Input.f }}", "1.2345678e+07 1.5"),
        ("{{ range $i, $e := .Input.list }}{{ $i }}{{ $e }}{{ end }}", "0x1y"),
        ("{{ range .Input.obj }}{{ . }},{{ end }}", "2,1,"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ("{{ range .Input.none }}a{{ else }}b{{ end }}", "b"),
        ("{{ range .Input.list }}{{ . }}{{ break }}{{ end }}", "x"),
        ("{{ range $i, $e := .Input.list }}{{ if $i }}{{ continue }}{{ end }}{{ $e }}{{ end }}", "x"),
        ("{{ with .Input.s }}{{ . }}{{ else }}no{{ end }}", "abc"),
        ("{{ with .Input.none }}{{ . }}{{ else with .Input.s }}{{ . }}{{ end }}", "abc"),
        ("{{ if false }}a{{ else if true }}b{{ else }}c{{ end }}", "b"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ define \"t\" }}[{{ . }}]{{ end }}{{ template \"t\" .Input.s }}", "[abc]"),
        ("{{ block \"t\" .Input.n }}<{{ . }}>{{ end }}", "<5>"),
        (
            "{{ printf \"%05d|%-5s|%x|%q|%v|%.2f|%t\" 42 \"a\" \"hi\" \"q\" .Input.list 1.5 true }}",
            "00042|a    |6869|\"q\"|[x y]|1.50|true",
        ),
        ("{{ printf \"%d\" .Input.n }}", "%!d(float64=5)"),
        ("{{ printf \"%s %d\" \"a\" }}", "a %!d(MISSING)"),
        ("{{ printf \"a\" 1 }}", "a%!(EXTRA int=1)"),
        ("{{ printf \"%*d|%[2]d %[1]d\" 5 42 }}", "   42|42 5"),
        ("{{ 'a' }} {{ 0x10 }} {{ 1_000 }} {{ 1e3 }}", "97 16 1000 1000"),
        ("{{ \"a\\tb\\x41\\u00e9\" }} {{ `r\\n` }}", "a\tbAé r\\n"),
        ("{{ and 1 0 2 }} {{ or 0 \"\" \"x\" }} {{ not 0 }}", "0 x true"),
        ("{{ eq 1 2 1 }} {{ ne \"a\" \"b\" }} {{ lt 1 2 }} {{ ge 2.5 2.5 }}", "true true true true"),
        ("{{ index .Input.obj \"a\" }} {{ index .Input.list 1 }} {{ len .Input.s }}", "2 y 3"),
        ("{{ print 1 2 \"a\" \"b\" 3 }}|{{ println 1 \"a\" }}", "1 2ab3|1 a\n"),
        ("{{ html \"<a'\" }} {{ js \"'<\" }} {{ urlquery \"a b&\" }}", "&lt;a&#39; \\'\\u003C a+b%26"),
        ("{{ .Input.nul }}|{{ .Input.none.deeper }}|{{ .Input.obj }}", "<no value>|<no value>|map[a:2 b:1]"),
        ("{{ (index .Input.list 0) }}{{ (printf \"%s\" \"z\") }}", "xz"),
        ("{{ $.Input.s }}{{ with 1 }}{{ $.Input.n }}{{ end }}", "abc5"),
        ("{{ true }} {{ nil | printf \"%v\" }}", "error"),
    ] {
        let got = render(text).unwrap_or_else(|_| "error".to_owned());
        assert_eq!(got, expected, "{text}");
    }
}

#[test]
fn mistakes_have_their_place() {
    for (text, span) in [
        ("{{ nope }}", 3..7),
        ("{{ .a-b }}", 5..6),
        ("{{ $x }}", 3..5),
        ("{{ if true }}a", 3..5),
        ("a{{ end }}", 4..7),
        ("{{ (1 }}", 3..4),
        ("{{ \"a }}", 3..4),
        ("{{ }}", 3..5),
        ("{{ 1 | 2 }}", 7..8),
        ("{{ env \"HOME\" }}", 3..6),
    ] {
        let error = Template::parse(text).expect_err(text);
        assert_eq!(error.span(), span, "{text}: {error}");
    }
    for text in [
        "{{ .Input.s.x }}",
        "{{ index .Input.list 5 }}",
        "{{ eq 1 1.0 }}",
        "{{ eq .Input.n 5 }}",
        "{{ range .Input.s }}{{ end }}",
        "{{ len 5 }}",
        "{{ lt 1 \"a\" }}",
        "{{ template \"none\" }}",
    ] {
        assert!(render(text).is_err(), "{text}");
    }
}

#[test]
fn what_takes_too_much_ends() {
    for text in [
        "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
        "{{ range 1000000 }}{{ range 1000000 }}x{{ end }}{{ end }}",
        "{{ range 100000000 }}x{{ end }}",
    ] {
        assert!(render(text).is_err(), "{text}");
    }
    let deep = "{{ if true }}".repeat(10_000);
    assert!(render(&deep).is_err());
    assert!(render(&format!("{{{{ {} }}}}", "(".repeat(10_000))).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in r#"(\{\{|\}\}|-|[ a-d.$|:=()"`',0-9]|if|end|range|else|with|define|index|printf|\n){0,16}"#) {
        drop(render(&text));
    }
}
