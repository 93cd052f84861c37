//! A table for the language, and what must hold for any text. The reference's answers are compared where the names are made
//! (eventsources/core).

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::{Environment, Expression, Value};

fn data() -> Json {
    json!({
        "n": 5, "f": 1.5, "s": "text", "nul": null, "list": ["a", "b"], "nums": [3, 1, 2],
        "objs": [{"k": "x", "v": 1}, {"k": "y", "v": 2}], "deep": {"a": {"b": 7}}
    })
}

fn evaluated(text: &str, data: &Json) -> Result<String, String> {
    let mut environment = Environment::default();
    for (name, value) in data.as_object().into_iter().flatten() {
        environment.set(name.clone(), Value::from_json(value));
    }
    environment.set_function("twice", |arguments| match arguments {
        [Value::Float(number)] => Ok(Value::Float(number * 2.0)),
        _ => Err("expected a number".to_owned()),
    });
    let expression = Expression::compile(text).map_err(|error| format!("{:?} {error}", error.span()))?;
    let value = expression.evaluate(&environment, Timestamp::UNIX_EPOCH);
    value.map(|value| value.print()).map_err(|error| format!("{:?} {error}", error.span()))
}

#[test]
fn expressions_have_the_values_of_the_library() {
    for (text, expected) in [
        ("1 + 2 * 3 ** 2", "19"),
        ("-2 ** 2", "-4"),
        ("7 / 2", "3.5"),
        ("not true or true", "true"),
        ("n in [5.0] and 'a' in list", "true"),
        ("nothing ?? s", "text"),
        ("deep?.a.b", "7"),
        ("nothing?.a.b", "<nil>"),
        ("list[-1] + s[1:3]", "bex"),
        ("1..3", "[1 2 3]"),
        ("{a: 1, 'b': [2]}", "map[a:1 b:[2]]"),
        ("let x = n * 2; x > 9 ? 'big' : 'small'", "big"),
        ("nums | filter(# > 1) | map({# * #index}) | sum()", "4"),
        ("reduce(nums, #acc + #)", "6"),
        ("sortBy(objs, 'v', 'desc')[0].k", "y"),
        ("groupBy(objs, .k)['x'][0].v", "1"),
        ("find(objs, {.v > 1}).k", "y"),
        ("s not contains 'x' and s matches '^t.xt$'", "false"),
        ("date('2026-01-02').Weekday()", "Friday"),
        ("date('2026-01-02') + duration('36h')", "2026-01-03 12:00:00 +0000 UTC"),
        ("toJSON({b: '<'})", "{\n  \"b\": \"\\u003c\"\n}"),
        ("string(1e6) + type(nums)", "1e+06array"),
        ("twice(n)", "10"),
        ("false and nothing.at.all", "false"),
        ("s // a remark", "text"),
    ] {
        assert_eq!(evaluated(text, &data()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn mistakes_have_their_place() {
    for (text, expected) in [
        ("n = 5", "2..3 unexpected `=`"),
        ("1 == '1'", "0..8 `==` can't take a int and a string"),
        ("s matches '('", "10..13 "),
        ("upper(n, 1)", "0..11 `upper` can't take (any, int)"),
        ("any(list, 5)", "10..11 expected a bool for the predicate, found a int"),
        ("n + nothing.deep", "4..16 a nil has no member `deep`"),
        ("# > 1", "0..1 `#` stands for an element, in a predicate only"),
        ("'open", "0..5 the text has no end"),
        ("5 % 0", "0..5 division by zero"),
        ("list[9]", "0..7 the index is out of range"),
        ("a ?? b == c", "7..9 `==` and `??` can't be mixed: wrap one of them in parentheses"),
    ] {
        let found = evaluated(text, &data()).unwrap_err();
        assert!(found.starts_with(expected), "{text}: {found}");
    }
}

#[test]
fn what_would_not_end_is_ended() {
    for text in [
        "map(1..1000, map(1..1000, map(1..1000, #)))",
        "reduce(1..100, #acc + #acc, 'aaaa')",
        "repeat('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 999999)",
        "1..99999999999",
    ] {
        assert!(evaluated(text, &data()).is_err(), "{text}");
    }
    let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(evaluated(&deep, &data()).unwrap_err().contains("nested too deep"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-c0-9 .#?:,|()\\[\\]{}'\"+*/%<>=!&-]{0,40}|(map|any|reduce|let x =|in|not|n|list|nums|s)([ (.\\[{,#)\\]}0-9a-z]{0,12})") {
        drop(evaluated(&text, &data()));
    }
}
