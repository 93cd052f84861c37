use eventsource_core::Factory;
use serde_json::{Value, json};

use super::*;
use crate::File;

fn wanted(config: Value) -> Wanted {
    Wanted::new(&serde_json::from_value(config).unwrap()).unwrap()
}

/// The data of a change, `null` where it is no event.
fn data(config: &Value, operation: Operation, name: &str) -> Value {
    serde_json::to_value(wanted(config.clone()).data(&Change::new(operation, name))).unwrap()
}

#[test]
fn a_name_is_matched_with_and_without_the_last_slash_of_the_directory() {
    for (directory, path, pattern, name, expected) in [
        ("/d/", "x.txt", "", "x.txt", "/d/x.txt"),
        ("/d", "x.txt", "", "x.txt", "/d/x.txt"),
        ("/d//", "x.txt", "", "x.txt", "/d/x.txt"),
        ("/d", "x.txt", "", "y.txt", ""),
        ("/d", "x.txt", "", "x.txt2", ""),
        ("/d/", "", "^x", "x.txt", "/d/x.txt"),
        ("/d", "", "^x", "x.txt", "/d/x.txt"),
        ("/d", "", "^/x", "x.txt", "/d/x.txt"),
        ("/d/", "", "^/x", "x.txt", ""),
        ("/d", "", "txt", "x.txt", "/d/x.txt"),
        ("/d", "", r"\.csv$", "x.txt", ""),
        ("/d", "", ".*", "", "/d"),
        ("/", "x", "", "x", "/x"),
    ] {
        let watched = json!({"directory": directory, "path": path, "pathRegexp": pattern});
        let config = json!({"eventType": "CREATE", "watchPathConfig": watched});
        let expected = if expected.is_empty() {
            Value::Null
        } else {
            json!({"name": expected, "op": 1, "metadata": null})
        };
        assert_eq!(data(&config, Operation::Create, name), expected, "{config} {name}");
    }
}

#[test]
fn polling_knows_base_names() {
    let config = |pattern: &str| json!({"eventType": "WRITE", "polling": true, "watchPathConfig": {"directory": "/a/d", "pathRegexp": pattern}});
    assert_eq!(data(&config("^x"), Operation::Write, "x"), json!({"name": "x", "op": 2, "metadata": null}));
    assert_eq!(data(&config("^/x"), Operation::Write, "x"), Value::Null);
    assert_eq!(data(&config(".*"), Operation::Write, ""), json!({"name": "d", "op": 2, "metadata": null}));
}

#[test]
fn each_operation_has_its_word_and_its_number() {
    let all = [
        ("CREATE", Operation::Create, 1),
        ("WRITE", Operation::Write, 2),
        ("REMOVE", Operation::Remove, 4),
        ("RENAME", Operation::Rename, 8),
        ("CHMOD", Operation::Chmod, 16),
    ];
    for (word, operation, number) in all {
        let config = |words: &str| json!({"eventType": words, "watchPathConfig": {"directory": "/d", "path": "x"}, "metadata": {"team": "shop"}});
        let expected = json!({"name": "/d/x", "op": number, "metadata": {"team": "shop"}});
        assert_eq!(data(&config(word), operation, "x"), expected);
        assert_eq!(data(&config("CREATE|WRITE|REMOVE|RENAME|CHMOD"), operation, "x"), expected);
        for (other, ..) in all.iter().filter(|(other, ..)| *other != word) {
            assert_eq!(data(&config(other), operation, "x"), Value::Null, "{other} {word}");
        }
        assert_eq!(data(&config(&word.to_lowercase()), operation, "x"), Value::Null);
    }
}

#[test]
fn a_name_that_is_no_text_keeps_its_place() {
    use std::os::unix::ffi::OsStringExt as _;
    let config = json!({"eventType": "CREATE", "watchPathConfig": {"directory": "/d", "pathRegexp": ".*"}});
    let change = Change::new(Operation::Create, OsString::from_vec(b"a\xffb".to_vec()));
    assert_eq!(wanted(config).data(&change).unwrap().name, "/d/a\u{fffd}b");
}

#[test]
fn what_is_missing_or_receives_nothing_is_told() {
    let told = |config: Value| -> Vec<String> {
        let findings = Factory::of::<File>().check(&config);
        findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
    };
    let watched = json!({"directory": "/d", "path": "x"});
    assert_eq!(told(json!({"eventType": "CREATE|WRITE", "watchPathConfig": watched})), [""; 0]);
    assert_eq!(
        told(json!({"eventType": "create", "watchPathConfig": watched})),
        ["Warning receives-nothing eventType"]
    );
    assert_eq!(
        told(json!({})),
        [
            "Error missing-field eventType",
            "Error missing-field watchPathConfig.directory",
            "Error missing-field watchPathConfig.path"
        ]
    );
    let below = json!({"eventType": "WRITE", "watchPathConfig": {"directory": "/d", "path": "below/x"}});
    assert_eq!(told(below), ["Warning receives-nothing watchPathConfig.path"]);
}
