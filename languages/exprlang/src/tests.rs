//! A table for the language, and what must hold for any text. The reference's answers are compared where the names are made
//! (eventsources/core).

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::{Environment, Expression, Value};

fn data() -> Json {
    json!({
        "n": 5, "f": 1.5, "s": "text", "nul": null, "big": [9_007_199_254_740_993_i64], "list": ["a", "b"], "nums": [3, 1, 2],
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
    environment.set_function("same", |arguments| arguments.first().cloned().ok_or_else(String::new));
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
        // What a map of groups doesn't have is a list that is nil.
        ("any(groupBy(objs, .k).z, true)", "false"),
        ("groupBy(objs, .k).z == nil", "true"),
        ("groupBy(objs, .k).z == []", "false"),
        ("groupBy(objs, .k).z ?? 'none'", "none"),
        ("len(groupBy(objs, .k).z) + len(split(s, 't', 0))", "0"),
        ("groupBy([], #) ?? 'none'", "none"),
        ("string(groupBy(8..11, #))", "map[8:[8] 9:[9] 10:[10] 11:[11]]"),
        // Arguments of functions of the caller, and keys of the unknown, are not checked.
        ("same(1 == '1')", "false"),
        ("get(list, 1 == '1') ?? 'none'", "none"),
        // Numbers.
        ("int(1e300)", "-9223372036854775808"),
        ("len(0..9223372036854775807)", "0"),
        ("1.1 ** 10", "2.593742460100002"),
        ("2 ** 1.5", "2.82842712474619"),
        ("float('1_0')", "10"),
        ("sum([duration('1s'), 1])", "1000000001"),
        ("median([1e308, 1e308])", "+Inf"),
        ("toJSON(big)", "[\n  9007199254740992\n]"),
        (r"'\UFFFFFFFF\ud800'", "\u{fffd}\u{fffd}"),
        // Loops.
        ("first(filter(filter([1, 'a'], # == 1), # == 1))", "1"),
        ("first(filter(filter([1, 'a'], # > 0), # == 1))", "1"),
        ("map([[3, 1]], reduce(#, #acc + #, #))", "[7]"),
        ("sortBy([fromPairs([['v', 2]]), fromPairs([['v', 1]])], 'v')[0].v", "1"),
        ("findIndex([1], # > 1) in [0, 1]", "true"),
        ("date('2024-02-29T12:30:45Z').Round(duration('7m')).Minute()", "28"),
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
        ("float(' 1')", "0..11 ` 1` is no float"),
        ("float('1e999')", "0..14 `1e999` is no float"),
        ("sum(map(s, #))", "0..14 `sum` can't take (array)"),
        ("groupBy(deep, 1)", "8..12 the members of a map have no order"),
        ("groupBy([[1]], #)", "15..16 a key can't be a array"),
        ("groupBy(list, #)[list]", "0..22 a map has no member"),
        ("(true ? 1 : n) == (false ? 1 : n)", "19..32 expected a int, found a float"),
        ("date('2024-02-29').Month() in [1, 2]", "0..26 a time.Month is no key here"),
        ("get($env, 'n') < 9", "0..18 `<` can't take a nil and a int"),
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
