//! The reference's answers, the limits, and what must hold for any script.

use proptest::prelude::*;
use serde_json::{Value, json};
use zetes_vectors::{Answer, Count};

use super::*;

fn filter(text: &str, data: &Value) -> Result<bool, Error> {
    Script::compile(text)?.filter(data, &Limits::default())
}

fn transform(text: &str, data: &Value) -> Result<String, Error> {
    Script::compile(text)?.transform(data, &Limits::default())
}

#[test]
fn vectors_of_lua_transforms() {
    let script = |input: &Value| {
        input["script"].as_str().filter(|_| input["jq"].as_str().is_none_or(str::is_empty)).map(str::to_owned)
    };
    let rows = zetes_vectors::rows("transforms").into_iter().filter(|row| script(&row.input).is_some());
    let mut count = Count::of("transforms, with Lua");
    for row in rows {
        let data = row.input["data"].as_str().unwrap_or_default();
        let text = script(&row.input).unwrap_or_default();
        let got = serde_json::from_str::<Value>(data)
            .map_err(|error| error.to_string())
            .and_then(|data| transform(&text, &data).map_err(|error| error.to_string()));
        if got.as_deref().ok() == row.expect["data"].as_str() {
            count.equal();
        } else {
            count.differs(&row, &got);
        }
    }
    count.end();
}

#[test]
fn vectors_of_lua_filters() {
    zetes_vectors::check_as(
        "filters-script",
        |input| {
            let text = input["filters"]["script"].as_str().unwrap_or_default();
            let event = &input["event"];
            let data = event["raw"]
                .as_str()
                .map_or_else(|| Some(event["data"].clone()), |raw| serde_json::from_str(raw).ok());
            if text.is_empty() || event.get("data").is_none() && event.get("raw").is_none() {
                return json!({"pass": true}).into();
            }
            match data.as_ref().map(|data| filter(text, data)) {
                Some(Ok(pass)) => json!({"pass": pass}).into(),
                Some(Err(error)) if error.is_goto() => {
                    Answer::Decided("goto is none of Lua 5.1: a script with it is refused at load")
                }
                _ => json!({"error": true}).into(),
            }
        },
        |expected, got| (expected["pass"] == true) == (got["pass"] == true),
    );
}

#[test]
fn nothing_outside_is_there() {
    for name in [
        "io",
        "package",
        "debug",
        "load",
        "loadstring",
        "dofile",
        "loadfile",
        "require",
        "setfenv",
        "getfenv",
        "newproxy",
        "collectgarbage",
        "os",
    ] {
        assert_eq!(filter(&format!("return {name} == nil"), &json!({})), Ok(true), "{name}");
    }
}

#[test]
fn every_call_sees_fresh_globals() {
    let script = Script::compile("seen = (seen or 0) + 1 return seen == 1").unwrap();
    for _ in 0..3 {
        assert_eq!(script.filter(&json!({}), &Limits::default()), Ok(true));
    }
    assert!(filter("string.format = nil return true", &json!({})).is_err(), "the libraries can't be changed");
    assert_eq!(filter("return ('x'):format() == 'x'", &json!({})), Ok(true));
    assert_eq!(filter("x = 5 return _G.x == 5 and _G.event.n == 1", &json!({"n": 1})), Ok(true));
}

#[test]
fn what_takes_too_much_ends_with_an_error() {
    for text in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "repeat until false",
        "local function f() return f() end return f()",
        "local function f() f() end f()",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = t end",
        "return #table.concat({string.rep('x', 1e7), string.rep('x', 1e7), string.rep('x', 1e7)}, string.rep('y', 1e7)) == 1",
        "return (string.rep('a', 5000)):find(string.rep('a-', 5000) .. 'b') ~= nil",
        "coroutine.wrap(function() while true do end end)()",
        "local co = coroutine.create(function() while true do end end) coroutine.resume(co) while true do end",
    ] {
        assert!(filter(text, &json!({})).is_err(), "{text}");
    }
}

#[test]
fn dear_steps_end_by_the_clock() {
    let limits = Limits { time: Duration::from_millis(50), ..Limits::default() };
    for text in [
        "local t = {} for i = 1, 1e5 do t[i] = -i end while true do table.sort(t) end",
        "local t = {} for i = 1, 1e5 do t[i] = i end while true do pcall(table.concat, t) end",
        "local s = string.rep('x', 1e7) while true do local _ = s:find('y', 1, true) end",
    ] {
        let error = Script::compile(text).unwrap().filter(&json!({}), &limits).unwrap_err();
        assert!(error.message().contains("took too long"), "{text}: {error}");
    }
}

#[test]
fn mistakes_have_their_line() {
    for (text, line, word) in [
        ("local x =\nreturn )", 2, "return"),
        ("return true\nx", 2, "x"),
        ("if true then", 1, "end"),
        ("\n\nreturn event.", 3, ""),
    ] {
        let error = Script::compile(text).unwrap_err();
        assert_eq!(error.line(), Some(line), "{text}: {error}");
        assert!(error.message().contains(word), "{text}: {error}");
    }
    let error = filter("local a = 1\nerror('no way')", &json!({})).unwrap_err();
    assert_eq!((error.line(), error.message()), (Some(2), "no way"));
}

#[test]
fn only_what_a_script_can_see_is_converted_and_it_sees_all_of_that() {
    let data = json!({"body": {"n": 5, "s": "x", "list": [1, null, [2]]}, "other": 1});
    for text in [
        "return event.body.n == 5",
        "local body = event.body return body.n == 5 and body.s == 'x' and #body.list == 2",
        "return event.body.list[2][1] == 2",
        "return event . body . n == 5",
        "return event['body'].n == 5",
        "local e = event return e.other == 1 and e.body.n == 5",
        "for k in pairs(event) do if k == 'other' then return true end end",
        "return event.body.missing == nil and event.missing == nil",
        "return event.body.s:upper() == 'X'",
        "return event.body.n..event.body.s == '5x'",
        "local t = {event = {n = 1}} return t.event.n == 1",
    ] {
        assert_eq!(filter(text, &data), Ok(true), "{text}");
    }
}

#[test]
fn what_scripts_of_the_field_use_is_there() {
    for text in [
        "return unpack({1, 2}) == 1",
        "return table.getn({1, 2}) == 2",
        "return math.mod(5, 3) == 2",
        "return string.gfind('ab', 'a')() == 'a'",
        "return ('a,b'):match('(%a),') == 'a'",
        "return tostring(1) == '1' and tostring(0.1) == '0.1' and tostring(2^53) == '9007199254740992'",
        "return select('#', 1, 2, 3) == 3",
        "return ('żółw'):upper() == 'ŻÓŁW' and ('ŻÓŁW'):lower() == 'żółw' and string.upper('a1') == 'A1'",
        "return 1, 2, true",
    ] {
        assert_eq!(filter(text, &json!({})), Ok(true), "{text}");
    }
}

#[test]
fn values_come_out_as_the_reference_writes_them() {
    let cases = [
        ("return {0 * -1, 2^53, 2^63}", "[-0,9007199254740992,9223372036854776000]"),
        ("return setmetatable({a = 1}, {__is_array = true})", "[]"),
        ("return {a = setmetatable({}, {__is_array = 1})}", r#"{"a":{}}"#),
        ("return {string.format('%s %s %d', nil, true, 5)}", r#"["nil true 5"]"#),
        (
            "return {(select(2, pcall(error, 'x', 0))), (select(2, pcall(function() error('x') end)))}",
            r#"["x","\u003cstring\u003e:1: x"]"#,
        ),
        ("return {math.mod(-1, 3)}", "[2]"),
    ];
    for (text, expected) in cases {
        assert_eq!(transform(text, &json!({})).as_deref(), Ok(expected), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in r"[a-e .=()\[\]{}'0-9\n+*-]{0,32}") {
        if let Ok(script) = Script::compile(&text) {
            drop(script.filter(&json!({"a": [1]}), &Limits { steps: 1_000, ..Limits::default() }));
        }
    }
}
