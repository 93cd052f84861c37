//! The reference's answers, and what must hold for any input.

use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::Value as Json;

use crate::{Kind, Path, delete, set_raw, set_string};

/// Rows of a vector file, or nothing (said loudly; a failure in CI) when the folder is not there.
fn rows(kind: &str) -> Vec<Json> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let file = root.join("vectors").join(format!("{kind}.jsonl"));
    let Ok(text) = std::fs::read_to_string(&file) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing: put the vectors beside the checkout",
            file.display()
        );
        eprintln!("NOT RUN: {} is missing", file.display());
        return Vec::new();
    };
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn expected(row: &Json) -> &Json {
    row.get("zetes").unwrap_or(&row["expect"])
}

fn text<'r>(value: &'r Json, key: &str) -> &'r str {
    value[key].as_str().unwrap_or_default()
}

fn answer(row: &Json) -> Json {
    let input = &row["input"];
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
fn paths_find_what_the_reference_finds() {
    let rows = rows("gjson");
    let wrong: Vec<String> = rows
        .iter()
        .map(|row| (row, answer(row)))
        .filter(|(row, got)| !agrees(expected(row), got))
        .map(|(row, got)| {
            format!("{}: {}\n  expected {}\n  got      {got}", row["id"], row["input"]["path"], expected(row))
        })
        .collect();
    println!("gjson: {} of {}", rows.len() - wrong.len(), rows.len());
    assert!(wrong.is_empty(), "{} rows differ\n{}", wrong.len(), wrong.join("\n"));
}

fn set(row: &Json) -> Json {
    let input = &row["input"];
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
fn the_setter_changes_what_the_reference_changes() {
    let rows = rows("sjson");
    let wrong: Vec<String> = rows
        .iter()
        .map(|row| (row, set(row)))
        .filter(|(row, got)| got != expected(row))
        .map(|(row, got)| {
            format!("{}: {}\n  expected {}\n  got      {got}", row["id"], row["input"], expected(row))
        })
        .collect();
    println!("sjson: {} of {}", rows.len() - wrong.len(), rows.len());
    assert!(wrong.is_empty(), "{} rows differ\n{}", wrong.len(), wrong.join("\n"));
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
        let json = set_string(r#"{"x":[1,2]}"#, &format!("{key}.{other}"), &text);
        if let Ok(json) = json {
            let value = Path::compile(&format!("{key}.{other}")).get(&json).map(|value| value.string().into_owned());
            prop_assert_eq!(value, Some(text));
        }
    }
}
