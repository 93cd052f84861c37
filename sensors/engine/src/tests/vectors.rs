//! Filters, conditions and globs against the reference's answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};
use zetes_api::{Dependency, DependencyName, Event, FieldPath};

use crate::filter::{Compat, Filter};
use crate::{Check, Conditions, Glob};

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

/// Compares every row that has an answer; `None` is a row whose kinds of filters are not in this build.
fn check(kind: &str, answer: impl Fn(&Value) -> Option<Value>) {
    let expected = |row: &Value| row.get("zetes").unwrap_or(&row["expect"]).clone();
    let (mut wrong, mut compared, mut left_out) = (Vec::new(), 0, 0);
    for row in rows(kind) {
        let Some(got) = answer(&row["input"]) else {
            left_out += 1;
            continue;
        };
        compared += 1;
        if got != expected(&row) {
            wrong.push(format!(
                "{}: {}\n  expected {}\n  got      {got}",
                row["id"],
                row["input"],
                expected(&row)
            ));
        }
    }
    println!("{kind}: {} of {compared}, {left_out} left out", compared - wrong.len());
    assert!(wrong.is_empty(), "{} rows differ\n{}", wrong.len(), wrong.join("\n"));
}

fn event(value: &Value) -> Event {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let data = match (value["raw"].as_str(), value.get("data")) {
        (Some(raw), _) => Some(raw.to_owned()),
        (None, Some(data)) => Some(data.to_string()),
        (None, None) => None,
    };
    Event {
        id: text("id").into(),
        source: text("source").into(),
        subject: text("subject").into(),
        event_type: text("type"),
        time: value["time"].as_str().and_then(|time| time.parse().ok()),
        datacontenttype: value["datacontenttype"].as_str().map(str::to_owned),
        extensions: BTreeMap::new(),
        data: data.map(Into::into),
    }
}

/// An error of the reference rejects, too: either way the event does not pass.
fn passes(input: &Value) -> Option<Value> {
    let dependency = json!({
        "name": "d", "eventSourceName": "s", "eventName": "e",
        "filters": input["filters"], "filtersLogicalOperator": input["filtersLogicalOperator"],
    });
    let Ok(dependency) = serde_json::from_value::<Dependency>(dependency) else {
        return Some(json!({"error": true}));
    };
    let (filter, findings) = Filter::compile(&dependency, Compat::default());
    if findings.iter().any(|finding| finding.code == "not-in-this-build") {
        return None;
    }
    if findings.iter().any(zetes_api::Finding::is_error) {
        return Some(json!({"error": true}));
    }
    Some(json!({"pass": filter.check(&event(&input["event"])) == Check::Passed}))
}

/// As [`check`], but a refusal and an error count as not passing.
fn check_filters(kind: &str) {
    let (mut wrong, mut compared, mut left_out) = (Vec::new(), 0, 0);
    for row in rows(kind) {
        let Some(got) = passes(&row["input"]) else {
            left_out += 1;
            continue;
        };
        compared += 1;
        let expected = row.get("zetes").unwrap_or(&row["expect"]);
        if (got["pass"] == true) != (expected["pass"] == true) {
            wrong.push(format!(
                "{}: {} {}\n  expected {expected}\n  got      {got}",
                row["id"], row["input"]["filters"], row["input"]["filtersLogicalOperator"]
            ));
        }
    }
    println!("{kind}: {} of {compared}, {left_out} left out", compared - wrong.len());
    assert!(wrong.is_empty(), "{} rows differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn data_filters_pass_what_the_reference_passes() {
    check_filters("filters-data");
}

#[test]
fn context_filters_pass_what_the_reference_passes() {
    check_filters("filters-context");
}

#[test]
fn time_filters_pass_what_the_reference_passes() {
    check_filters("filters-time");
}

#[test]
fn filters_combine_as_in_the_reference() {
    check_filters("filters-combined");
}

#[test]
fn globs_match_what_the_reference_matches() {
    check("glob", |input| {
        let text = |key: &str| input[key].as_str().unwrap_or_default();
        Some(match Glob::new(text("eventSourceName"), text("eventName")) {
            Err(_) => json!({"error": true}),
            Ok(glob) => json!({"match": glob.matches(text("source"), text("subject"))}),
        })
    });
}

/// Every set of the names that fires, smallest first.
fn fires(conditions: &Conditions) -> Vec<BTreeSet<DependencyName>> {
    let names: Vec<_> = conditions.names().iter().cloned().collect();
    let sets = (0_u32..1 << names.len()).map(|bits| {
        names
            .iter()
            .enumerate()
            .filter(|(at, _)| bits & (1 << at) != 0)
            .map(|(_, name)| name.clone())
            .collect::<BTreeSet<_>>()
    });
    sets.filter(|set| conditions.holds(set)).collect()
}

#[test]
fn conditions_mean_what_they_mean_in_the_reference() {
    let mut wrong = Vec::new();
    let rows = rows("conditions");
    for row in &rows {
        let known: Vec<DependencyName> =
            serde_json::from_value(row["input"]["dependencies"].clone()).unwrap();
        let text = row["input"]["conditions"].as_str().unwrap_or_default();
        let parsed = if text.trim().is_empty() {
            Ok(Conditions::all_of(&known))
        } else {
            Conditions::parse(text, &known)
        };
        let expected = row.get("zetes").unwrap_or(&row["expect"]);
        let agrees = match &parsed {
            Err(_) => expected["error"] == true,
            Ok(_) if expected["error"] == true => false,
            Ok(conditions) => {
                let sets: Vec<BTreeSet<DependencyName>> =
                    serde_json::from_value(expected["fires"].clone()).unwrap_or_default();
                let got: BTreeSet<_> = fires(conditions).into_iter().collect();
                got == sets.into_iter().collect() && json!(conditions.is_immediate()) == expected["immediate"]
            }
        };
        if !agrees {
            wrong.push(format!(
                "{}: {}\n  expected {expected}\n  got      {:?}",
                row["id"],
                row["input"],
                parsed.map(|conditions| fires(&conditions))
            ));
        }
    }
    println!("conditions: {} of {}", rows.len() - wrong.len(), rows.len());
    assert!(wrong.is_empty(), "{} rows differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_misspelt_name_is_told_with_its_place_and_the_right_one() {
    let error = Conditions::parse("biuld && approval", &["build".into(), "approval".into()]).unwrap_err();
    assert_eq!(error.span(), 0..5);
    assert_eq!(error.hint().as_deref(), Some("did you mean `build`?"));
    assert_eq!(error.to_finding(&FieldPath::from("conditions")).code, "unknown-dependency");
}
