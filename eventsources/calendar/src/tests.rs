//! Ticks and their data, against the reference's answers.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};
use zetes_schedule::go_time;

use crate::plan::Plan;
use crate::{Config, Data};

/// Rows of a vector file, or nothing (said loudly; a failure in CI) when the folder is not there.
fn rows(kind: &str) -> Vec<Value> {
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

fn check(kind: &str, answer: impl Fn(&Value) -> Value) {
    let rows = rows(kind);
    let expected = |row: &Value| row.get("zetes").unwrap_or(&row["expect"]).clone();
    let wrong: Vec<String> = rows
        .iter()
        .map(|row| (row, answer(row)))
        .filter(|(row, got)| *got != expected(row))
        .map(|(row, got)| {
            format!("{}: {}\n  expected {}\n  got      {got}", row["id"], row["input"], expected(row))
        })
        .collect();
    println!("{kind}: {} of {}", rows.len() - wrong.len(), rows.len());
    assert!(wrong.is_empty(), "{} rows differ\n{}", wrong.len(), wrong.join("\n"));
}

fn config(input: &Value) -> Config {
    let mut config: Config = serde_json::from_value(input.clone()).unwrap();
    if input["catchup"] == true {
        let max_duration = input["maxDuration"].as_str().map(str::to_owned);
        let catchup = Some(crate::CatchUp { enabled: true, max_duration });
        config.persistence = Some(crate::Persistence { catchup, config_map: None });
    }
    config
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn ticks_and_their_data_are_the_reference_s() {
    check("calendar", |row| {
        let input = &row["input"];
        let config = config(input);
        let Ok(plan) = Plan::new(&config) else { return json!({"error": true}) };
        let count = row["expect"]["ticks"].as_array().map_or(0, Vec::len);
        let mut at = time(&input["start"]);
        let mut ticks = Vec::new();
        while let Some(next) = plan.next_after(at).filter(|_| ticks.len() < count) {
            let event_time = go_time::format(&next.to_zoned(plan.zone().clone()));
            let data =
                serde_json::to_string(&Data { event_time, metadata: config.metadata.as_ref() }).unwrap();
            ticks.push(json!({"at": next.to_string(), "data": data}));
            at = next;
        }
        json!({"ticks": ticks})
    });
}

#[test]
fn missed_ticks_are_the_reference_s() {
    check("calendar-catchup", |row| {
        let input = &row["input"];
        let config = config(input);
        let Ok(plan) = Plan::new(&config) else { return json!({"error": true}) };
        let now = time(&input["start"]);
        let persisted =
            input["lastPersisted"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let last = persisted.and_then(|data| go_time::parse(data["eventTime"].as_str()?).ok());
        let from = plan.start(last, now);
        let ticks: Vec<Timestamp> =
            std::iter::successors(plan.next_after(from), |tick| plan.next_after(*tick)).take(5_000).collect();
        let missed: Vec<String> =
            ticks.iter().filter(|tick| **tick <= now).map(ToString::to_string).collect();
        let next = ticks.iter().find(|tick| **tick > now).map(ToString::to_string);
        json!({"from": from.to_string(), "missed": missed, "next": next})
    });
}
