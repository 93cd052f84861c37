//! The reference's answers, and what must hold for any input.

use proptest::prelude::*;
use serde_json::Value as Json;

use crate::{Kind, Path, SetError, delete, quote, set_raw, set_string};

fn text<'r>(value: &'r Json, key: &str) -> &'r str {
    value[key].as_str().unwrap_or_default()
}

fn answer(input: &Json) -> Json {
    let path = Path::compile(text(input, "path"));
    let Some(value) = path.get(text(input, "json")) else { return serde_json::json!({"exists": false}) };
    let kind = match value.kind() {
        Kind::Null => "Null",
        Kind::False => "False",
        Kind::True => "True",
        Kind::Number => "Number",
        Kind::String => "String",
        Kind::Json => "JSON",
    };
    serde_json::json!({"exists": true, "type": kind, "raw": value.raw(), "string": value.string()})
}

fn agrees(expected: &Json, got: &Json) -> bool {
    if expected["exists"] == false {
        return got["exists"] == false;
    }
    ["exists", "raw", "string", "type"]
        .iter()
        .all(|key| expected.get(key).is_none_or(|value| *value == got[*key]))
}

#[test]
fn vectors_of_paths() {
    zetes_vectors::check_as("gjson", answer, agrees);
}

fn set(input: &Json) -> Json {
    let (json, path, value) = (text(input, "json"), text(input, "path"), text(input, "value"));
    let result = match text(input, "op") {
        "set-string" => set_string(json, path, value),
        "set-raw" => set_raw(json, path, value),
        "delete" => delete(json, path),
        other => panic!("unknown op {other}"),
    };
    result.map_or_else(|_| serde_json::json!({"error": true}), |json| serde_json::json!({"json": json}))
}

#[test]
fn vectors_of_the_setter() {
    zetes_vectors::check("sjson", set);
}

fn find(json: &str, path: &str) -> Option<String> {
    Path::compile(path).get(json).map(|value| value.raw().to_owned())
}

fn check(json: &str, path: &str, found: impl Into<Option<&'static str>>) {
    assert_eq!(find(json, path).as_deref(), found.into(), "{path} in {json}");
}

const FRIENDS: &str = r#"{"f":[{"a":"x","b":[1,2]},{"a":"y","b":[3]},{"c":5}],"s":"[7,8]","o":{"k":1}}"#;

#[test]
fn what_builds_something_goes_on_where_nothing_was_found() {
    check(FRIENDS, "nope.@tostr", r#""""#);
    check(FRIENDS, "f.9|{a}", "{}");
    check(FRIENDS, "o.#.@keys", "[]");
    check(FRIENDS, "nope|nope.@tostr", None);
    check(FRIENDS, "o.k.nope.@tostr", None);
}

#[test]
fn a_pipe_behind_the_members_of_no_match_is_not_looked_at() {
    check(FRIENDS, r#"f.#(a=="q")#.a|#"#, "[]");
    check(FRIENDS, r#"f.#(a=="q")#|#"#, "0");
    check(FRIENDS, "f.#(a)#.q|#", "0");
}

#[test]
fn a_pipe_looks_into_a_text_that_holds_brackets() {
    check(FRIENDS, "s|1", "8");
    check(FRIENDS, "s.1", None);
}

#[test]
fn the_first_colon_ends_the_name_of_a_member() {
    check(FRIENDS, r#"{"n":f.0.b.@reverse:1}"#, r#"{"n":[2,1]}"#);
    check(FRIENDS, r#"{k:o.@pretty:{"width":1}.k}"#, r#"{"k":1}"#);
    check(FRIENDS, "{k::o}", "{}");
}

#[test]
fn a_pattern_tries_the_next_member_where_one_leads_nowhere() {
    const NESTED: &str = r#"{"a":{"b":{"c":1}},"l":[[1,2],[3]],"s":"x"}"#;
    check(NESTED, "?.0", "[1,2]");
    check(NESTED, "*.1.0", "3");
    check(NESTED, "*.*.c", "1");
    check(NESTED, "*.#", "2");
    check(NESTED, "*.x.@tostr", r#""""#);
    check(NESTED, "z*.x.@tostr", None);
    assert_eq!(set_raw(NESTED, "?.1", "0").unwrap(), r#"{"a":{"b":{"c":1}},"l":[[1,2],0],"s":"x"}"#);
}

#[test]
fn a_member_may_be_named_as_the_elements_are() {
    check(r##"{"#":10}"##, "#", "10");
    check(r##"{"#":{"a":[1]}}"##, "#.a.#", "1");
    check(r#"{"a":10}"#, "#", None);
}

#[test]
fn a_pipe_behind_a_count_within_elements_is_part_of_their_path() {
    check(FRIENDS, "f.#.b.#|0", "[]");
    check(FRIENDS, "f.#.b.#", "[2,1]");
    check(FRIENDS, "f.#.b|#", "2");
}

#[test]
fn an_escaped_digit_is_no_index() {
    check("[1,2]", r"\1", None);
    check(r#"{"1":2}"#, r"\1", "2");
}

#[test]
fn bytes_that_are_no_json_are_passed_over() {
    check(r#"x{"a"  1,-"b":tru}"#, "a", "1");
    check("[1,}:x2]", "#", "2");
    check(r#"[1,{"a":"2]"#, "#", None);
}

#[test]
fn what_was_found_borrows_the_document() {
    let document = FRIENDS.to_owned();
    for path in ["f.1.b", "f.#(a==y).b.0", "*.0.a", "o|k"] {
        let path = Path::compile(path);
        let value = path.get(&document).unwrap();
        assert!(document.as_bytes().as_ptr_range().contains(&value.raw().as_ptr()), "{path} copied");
    }
}

fn form(json: &str) -> (String, f64) {
    let value = Path::compile("0").get(json).unwrap();
    (value.string().into_owned(), value.number())
}

#[test]
fn underscores_stand_between_digits() {
    assert_eq!(form(r#"["1_000.5"]"#), ("1_000.5".to_owned(), 1000.5));
    assert_eq!(form("[1_000]"), ("1000".to_owned(), 1000.0));
    for text in [r#"["1__0"]"#, r#"["_1"]"#, r#"["1_"]"#, r#"["1_.5"]"#, r#"["0x_10"]"#] {
        assert_eq!(form(text).1.to_bits(), 0.0_f64.to_bits(), "{text}");
    }
}

#[test]
fn only_digits_behind_one_sign_stay_as_written() {
    assert_eq!(form("[-012345678901234567890]").0, "-012345678901234567890");
    assert_eq!(form("[1-2]").0, "0");
}

#[test]
fn half_a_character_is_replaced() {
    assert_eq!(form(r#"["\ud83d\udc22!"]"#).0, "🐢!");
    assert_eq!(form(r#"["\ud83d\u0041!"]"#).0, "\u{fffd}!");
    assert_eq!(form(r#"["\udc22!"]"#).0, "\u{fffd}!");
    assert_eq!(form(r#"["a\u12"]"#).0, "a");
}

fn sets(json: &str, path: &str, raw: &str, expected: &str) {
    assert_eq!(set_raw(json, path, raw).as_deref(), Ok(expected), "{path} in {json}");
}

#[test]
fn a_new_last_member_leaves_blanks_inside_and_takes_those_around_the_document() {
    sets(r#" {"a" : { "x" : 1 } } "#, "z", "9", r#"{"a" : { "x" : 1 } ,"z":9}"#);
    sets(r#" {"a" : { "x" : 1 } } "#, "a.z", "9", r#" {"a" : { "x" : 1 ,"z":9} } "#);
    sets("{ }", "z", "9", r#"{ "z":9}"#);
}

#[test]
fn an_element_past_the_end_closes_the_array_up() {
    sets(r#"{"b" : [ 1 , 2 ] }"#, "b.3", "9", r#"{"b" : [1,2,null,9] }"#);
    sets(r#"{"b" : [ 1 , 2 ] }"#, "b.-1", "9", r#"{"b" : [ 1 , 2 ,9] }"#);
}

#[test]
fn what_replaces_a_value_takes_minus_one_as_a_key() {
    sets(r#"{"n":null}"#, "n.-1", "9", r#"{"n":{"-1":9}}"#);
    sets(r#"{"n":null}"#, "m.-1", "9", r#"{"n":null,"m":[9]}"#);
    sets(r#"{"n":null}"#, "n.1", "9", r#"{"n":[null,9]}"#);
}

#[test]
fn a_forced_key_still_finds_an_element_but_makes_none() {
    sets("[1,2]", ":1", "9", "[1,9]");
    assert_eq!(set_raw("[1,2]", ":2", "9"), Err(SetError::NotAnIndex));
}

#[test]
fn markup_is_escaped_only_beside_something_that_must_be() {
    assert_eq!(set_string("{}", "url", "a?b=1&c=<d>").as_deref(), Ok(r#"{"url":"a?b=1&c=<d>"}"#));
    assert_eq!(set_string("{}", "é", "\"&").as_deref(), Ok(r#"{"é":"\"\u0026"}"#));
    assert_eq!(quote("<&>"), r#""\u003c\u0026\u003e""#);
}

#[test]
fn removing_takes_one_comma() {
    let json = r#"{"a" : 1 , "b" : [ 1 , 2 , 3 ] }"#;
    for (path, left) in [
        ("a", r#"{ "b" : [ 1 , 2 , 3 ] }"#),
        ("b", r#"{"a" : 1  }"#),
        ("b.0", r#"{"a" : 1 , "b" : [  2 , 3 ] }"#),
        ("b.1", r#"{"a" : 1 , "b" : [ 1  , 3 ] }"#),
        ("b.-1", r#"{"a" : 1 , "b" : [ 1 , 2  ] }"#),
        ("b.7", json),
    ] {
        assert_eq!(delete(json, path).as_deref(), Ok(left), "{path}");
    }
}

#[test]
fn a_pipe_or_a_modifier_in_the_destination_changes_nothing() {
    for path in ["o|k", "o.@this", "@this.o.k", "f.#|0"] {
        sets(FRIENDS, path, "9", FRIENDS);
    }
    sets(r#"[{"v":1},{"v":2}]"#, "#(v|@this>1)#.v", "9", r#"[{"v":1},{"v":9}]"#);
}

#[test]
fn reaching_too_far_is_refused() {
    for path in ["9999999", "60000.60000", &"a.".repeat(300)] {
        assert_eq!(set_raw("", path, "1"), Err(SetError::TooFar), "{path}");
    }
}

#[test]
fn deep_documents_and_deep_paths_end() {
    let document = "[".repeat(2_000) + &"]".repeat(2_000);
    let nested = "#.".repeat(10_000) + "a";
    let multi = "[".repeat(10_000) + &"]".repeat(10_000);
    let query = "#(".repeat(10_000) + &")".repeat(10_000);
    for path in ["@flatten:{\"deep\":true}", "@dig:0", "@pretty", "@valid", "0.0.0", &nested, &multi, &query]
    {
        drop(find(&document, path));
    }
    let document = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(find(&document, "@valid").map(|found| found.len()), Some(200_000));
}

#[test]
fn a_path_that_doubles_the_document_finds_nothing() {
    let path = vec!["[@this,@this]"; 64].join("|");
    assert!(find("{}", &path).is_none());
}

#[test]
fn one_dig_inside_of_another_finds_nothing() {
    check(r#"{"a":{"b":1}}"#, "@dig:b", "[1]");
    check(r#"{"a":{"b":1}}"#, "@dig:a.@dig:b", "[[],[]]");
}

proptest! {
    #[test]
    fn no_document_and_no_path_makes_it_panic(json in ".{0,60}", path in ".{0,30}") {
        let found = Path::compile(&path).get(&json).map(|value| (value.number(), value.boolean(), value.string().into_owned()));
        drop((found, set_string(&json, &path, "x"), set_raw(&json, &path, "1"), delete(&json, &path)));
    }

    #[test]
    fn no_made_up_grammar_makes_it_panic(json in r#"[\[\]{}",:a1\\ntf.-]{0,40}"#, path in r#"[#@.|()\[\]{}"=!~%<>:a1*?\\,-]{0,30}"#) {
        let found = Path::compile(&path).get(&json).map(|value| value.string().into_owned());
        drop((found, set_raw(&json, &path, "1"), delete(&json, &path)));
    }

    #[test]
    fn what_was_set_is_found(key in "[a-z]{1,8}", other in "[a-z]{1,8}", text in ".{0,20}") {
        let path = format!("{key}.{other}");
        let json = set_string(r#"{"x":[1,2]}"#, &path, &text);
        if key == "x" {
            prop_assert_eq!(json, Err(SetError::NotAnIndex));
        } else {
            let json = json.unwrap();
            let value = Path::compile(&path).get(&json).map(|value| value.string().into_owned());
            prop_assert_eq!(value, Some(text));
            prop_assert_eq!(delete(&json, &key).unwrap(), r#"{"x":[1,2]}"#);
        }
    }

    #[test]
    fn text_outside_of_the_changed_place_stays(index in 0_usize..3, raw in "[0-9]{1,5}") {
        let parts = ["{ \"l\" : [ ", " , ", " ,\t", " ] , \"z\" : \"é\" }\n"];
        let with = |value: [&str; 3]| parts[0].to_owned() + value[0] + parts[1] + value[1] + parts[2] + value[2] + parts[3];
        let mut changed = ["true", "\"x\"", "{}"];
        let document = with(changed);
        changed[index] = &raw;
        prop_assert_eq!(set_raw(&document, &format!("l.{index}"), &raw).unwrap(), with(changed));
    }
}
