//! The reference's answers, a table for the language, and what must hold for any text.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use zetes_vectors::Count;

use crate::Template;

fn push() -> Option<Json> {
    let rows = zetes_vectors::rows("events");
    serde_json::from_str(rows.first()?.expect["push"]["raw"].as_str()?).ok()
}

/// When the reference was asked: to it, the date of a number is the current one.
fn asked() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// An empty text and `<no value>` are errors to the reference's callers.
fn answer(text: &str, data: &Json) -> Json {
    let rendered = Template::parse(text).and_then(|template| template.render(data, asked()));
    match rendered {
        Ok(text) if !text.is_empty() && text != "<no value>" => json!({"value": text}),
        _ => json!({"error": true}),
    }
}

/// `sensor-core` compares every row, those without a template, too, as parameters.
#[test]
fn vectors_of_templates() {
    let Some(data) = push() else { return };
    let mut count = Count::of("templates, the language alone");
    for row in zetes_vectors::rows("templates") {
        match row.input["template"].as_str().filter(|text| !text.is_empty()).map(|text| answer(text, &data)) {
            Some(got) if got != row.expect => count.differs(&row, &got),
            Some(_) => count.equal(),
            None => {}
        }
    }
    count.end();
}

fn render(text: &str) -> Result<String, String> {
    let data = json!({"n": 5, "f": 1.5, "big": 12_345_678, "s": "abc", "nul": null, "list": ["x", "y"], "obj": {"b": 1, "a": 2}});
    let template = Template::parse(text).map_err(|error| error.to_string())?;
    template.render(&data, Timestamp::UNIX_EPOCH).map_err(|error| error.to_string())
}

#[test]
fn numbers_of_a_document_are_floats_in_json_too() {
    let data: Json = serde_json::from_str(r#"{"id": 1234567890123456789, "n": 5}"#).unwrap();
    let text = Template::parse("{{ .Input | toJson }}").unwrap().render(&data, Timestamp::UNIX_EPOCH);
    assert_eq!(text.as_deref(), Ok(r#"{"id":1234567890123456800,"n":5}"#));
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
        (
            "{{ printf \"%5.1d|%+s|%08.3f|%x|%#g\" \"abc\" 5 -1.5 4.5 .Input.f }}",
            "%!d(string=    a)|%!s(int=+5)|-001.500|0x1.2p+02|1.50000",
        ),
        (
            "{{ printf \"%#v|%5v|%d\" .Input.list nil .Input.list }}",
            "[]interface {}{\"x\", \"y\"}|<nil>|[%!d(string=x) %!d(string=y)]",
        ),
        ("{{ printf \"%s %[5]d %[1]2d\" .Input.nul .Input.n }}", "%!s(<nil>) %!d(BADINDEX) %!d(BADINDEX)"),
        ("{{ printf \"%c %T %U\" 'a' 'b' 0x1F422 }}", "a int U+1F422"),
        (
            "{{ html .Input.none }} {{ js .Input.nul \"\\u2028\\x7f\" }}",
            "&lt;no value&gt; \\u003Cno value\\u003E\\u2028\u{7f}",
        ),
        ("{{ .Input.none.x 1 }} {{ (.Input.nul).x }} {{ .Input.s | }}", "<no value> <no value> abc"),
        (
            "{{ range $x := .Input.none }}{{ else }}{{ $x }}{{ end }}{{ if false }}{{ $y = 1 }}{{ end }}",
            "<no value>",
        ),
        ("{{ \"\\xe2\\x82\" }}", "\u{fffd}\u{fffd}"),
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
        "{{ $x = 1 }}",
        "{{    }}",
        "{{ trunc (int64 3) .Input.s }}",
        "{{ plural .Input.n \"b\" 2 }}",
        "{{ get .Input.nul \"a\" }}",
        "{{ lt (toDate \"2006\" \"2020\") (toDate \"2006\" \"2021\") }}",
        "{{ urlParse \"http://a b/\" }}",
        "{{ urlParse \"http://a:b:1/\" }}",
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
        "{{ $x := list }}{{ range 100000 }}{{ $x = list $x }}{{ end }}{{ $x }}",
        "{{ $x := dict }}{{ range 100000 }}{{ $x = dict \"a\" $x }}{{ end }}",
        "{{ $x := list 1 }}{{ range 60 }}{{ $x = list $x $x }}{{ end }}{{ $x }}",
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

/// What sprig 3.3 printed for them under Go 1.26.
#[test]
fn the_functions_are_sprigs() {
    for (text, expected) in [
        (
            r#"{{ snakecase "HTTPServer2Go" }} {{ camelcase "__hello_world-x" }} {{ kebabcase "a1b2C3" }}"#,
            "http_server2_go __HelloWorldX a-1b2-c3",
        ),
        (
            r#"{{ title "foo bar_baz" }} {{ swapcase "aBc" }} {{ initials "First Try" }} {{ nospace " a b " }}"#,
            "Foo Bar_baz AbC FT ab",
        ),
        (
            r#"{{ abbrev 8 "hello world" }} {{ abbrevboth 5 10 "1234 5678 9123" }} {{ wrapWith 3 "|" "a bcdefg" }}"#,
            "hello... ...5678... a|bcd|efg",
        ),
        (
            r#"{{ substr 1 99 "hello" }} {{ trunc -2 "hello" }} {{ repeat 2 "ab" }} {{ plural "one" "many" 2 }}"#,
            "ello lo abab many",
        ),
        (
            r#"{{ add 1.9 "2" true }} {{ mul 2 3 }} {{ div 7 -2 }} {{ mod -7 3 }} {{ int "0x1F" }} {{ int "010" }}"#,
            "4 6 -3 -1 31 8",
        ),
        (
            r"{{ addf 0.1 0.2 }} {{ divf 1 3 }} {{ round 2.345 2 }} {{ seq 5 -2 1 }} {{ until 3 }}",
            "0.3 0.3333333333333333 2.35 5 3 1 [0 1 2]",
        ),
        (
            r"{{ list 1 2 3 4 5 | chunk 2 }} {{ slice (list 1 2 3) 1 2 }} {{ without (list 1 2) 2 }}",
            "[[1 2] [3 4] [5]] [2] [1]",
        ),
        (
            r#"{{ $d := dict "a" 1 }}{{ $_ := set $d "b" 2 }}{{ $d }} {{ dig "x" "y" "none" $d }} {{ get $d "z" }}|"#,
            "map[a:1 b:2] none |",
        ),
        (
            r#"{{ merge (dict "a" 1 "n" (dict "x" 1)) (dict "a" 2 "n" (dict "y" 2)) | toJson }}"#,
            r#"{"a":1,"n":{"x":1,"y":2}}"#,
        ),
        (
            r#"{{ regexReplaceAll "(a)(b)" "ab-ab" "${2}$1" }} {{ regexFindAll "[0-9]+" "1 22 3" 2 }} {{ regexSplit "," "a,b" -1 }}"#,
            "ba-ba [1 22] [a b]",
        ),
        (
            r#"{{ b64enc "hi" }} {{ b64dec "!!" }} {{ b32enc "hi" }} {{ sha1sum "" | trunc 8 }} {{ adler32sum "hi" }}"#,
            "aGk= illegal base64 data at input byte 0 NBUQ==== da39a3ee 20644050",
        ),
        (
            r#"{{ toDate "2006-01-02" "2026-03-29" | date "Jan 2" }} {{ dateInZone "15:04 MST" 0 "Asia/Tokyo" }}"#,
            "Mar 29 09:00 JST",
        ),
        (
            r#"{{ duration "3661" }} {{ durationRound "400h" }} {{ ago (toDate "2006" "1969") }}"#,
            "1h1m1s 16d 8760h0m0s",
        ),
        (
            r#"{{ semverCompare "^1.2" "1.9.0" }} {{ semverCompare "~1.2.3 || >3" "v1.3.0" }} {{ (semver "1.2.3").IncMinor }}"#,
            "true false 1.3.0",
        ),
        (
            r#"{{ (urlParse "http://u:p@h:80/a%20b?q#f").hostname }} {{ urlJoin (dict "scheme" "http" "host" "h" "path" "a b") }}"#,
            "h http://h/a%20b",
        ),
        (
            r#"{{ b64dec "QUI" }} {{ b64dec "QU=I" }} {{ b32dec "ME=" }} {{ b64dec "4oI=" }} {{ addf "1_000" 1 }}"#,
            "illegal base64 data at input byte 0 illegal base64 data at input byte 2 illegal base32 data at input byte 3 \u{fffd}\u{fffd} 1001",
        ),
        (
            r#"{{ $t := toDate "2006-01-02" "2020-01-31" }}{{ $t.Month }} {{ printf "%02d %s" $t.Month $t.Weekday }} {{ $t.AddDate 0 1 0 | htmlDate }}"#,
            "January 01 Friday 2020-03-02",
        ),
        (
            r#"{{ clean "/a/../b//c/" }} {{ ext "a.tar.gz" }} {{ base "/x/y" }} {{ toPrettyJson (list 1) }}"#,
            "/b/c .gz y [\n  1\n]",
        ),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn random_texts_have_the_length_and_the_alphabet_asked_for() {
    let is = |text: &str, length: usize, fits: fn(char) -> bool| {
        let made = render(text).unwrap();
        assert!(made.len() == length && made.chars().all(fits), "{text}: {made}");
        assert_ne!(made, render(text).unwrap(), "{text}");
    };
    is("{{ randAlpha 40 }}", 40, |c| c.is_ascii_alphabetic());
    is("{{ randNumeric 40 }}", 40, |c| c.is_ascii_digit());
    is("{{ randAlphaNum 40 }}", 40, |c| c.is_ascii_alphanumeric());
    is("{{ uuidv4 }}", 36, |c| c.is_ascii_hexdigit() || c == '-');
}

#[test]
fn what_looks_outside_or_makes_secrets_is_refused_by_name() {
    for name in ["env \"HOME\"", "getHostByName \"x\"", "genPrivateKey \"rsa\"", "randBytes 3"] {
        let error = Template::parse(&format!("{{{{ {name} }}}}")).unwrap_err();
        assert!(error.message().contains("refused"), "{error}");
    }
}
