//! What Go answers.

use super::compile;

#[test]
fn matches_what_go_matches() {
    for (pattern, text, expected) in [
        (r"[a-b-c]+", "a-c", Some(0..3)),
        (r"[\d-z]+", "1-z", Some(0..3)),
        (r"[+--]+", "+,-", Some(0..3)),
        (r"(?i)\B|b", "a\u{85}b", Some(3..4)),
        (r"\Bé", "-é", Some(1..3)),
        (r"(?i-i:A)", "aA", Some(1..2)),
        (r"(?ii:A)", "aA", Some(0..1)),
        (r"(?P<1>a)(?P<n>b)(?P<n>c)", "abc", Some(0..3)),
        (r"\p{Cs}|a", "a", Some(0..1)),
        (r"\P{Cs}", "a", Some(0..1)),
        (r"\p{uppercase-letter}\p{l_l}\pn", "Ab1", Some(0..3)),
        (r"\p{gReEk}+\p{Thai}", "αβก", Some(0..7)),
        (r"[\p{^Lu}\P{^Nd}]+", "Aa1", Some(1..3)),
    ] {
        let found = compile(pattern).unwrap().find(text.as_bytes()).map(|found| found.range());
        assert_eq!(found, expected, "{pattern}");
    }
}

#[test]
fn refuses_what_go_refuses() {
    for pattern in [
        r"\p{Zyyy}",
        r"\p{Grek}",
        r"\p{IsGreek}",
        r"\p{White_Space}",
        r"\p{}",
        r"[z-a]",
        r"[a-\d]",
        "(?P<a-b>)",
        "(?P<>)",
    ] {
        assert!(compile(pattern).is_err(), "{pattern}");
    }
}
