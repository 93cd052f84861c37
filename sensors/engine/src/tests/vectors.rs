//! Filters, conditions and globs against the reference's answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use zetes_api::{Dependency, DependencyName, Event, FieldPath};
use zetes_vectors::Answer;

use crate::filter::{Compat, Filter};
use crate::{Check, Conditions, Glob};

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
        document: zetes_api::Document::default(),
    }
}

/// An error of the reference rejects, too: either way the event does not pass.
fn passes(input: &Value) -> Answer {
    let dependency = json!({
        "name": "d", "eventSourceName": "s", "eventName": "e",
        "filters": input["filters"], "filtersLogicalOperator": input["filtersLogicalOperator"],
    });
    let Ok(dependency) = serde_json::from_value::<Dependency>(dependency) else {
        return json!({"error": true}).into();
    };
    // What validation refuses is asked here all the same: the reference finds such mistakes per event.
    let (filter, findings) = Filter::compile(&dependency, Compat::default());
    if findings.iter().any(|finding| finding.hint.as_ref().is_some_and(|hint| hint.contains("`goto`"))) {
        return Answer::Decided("goto is none of Lua 5.1: a script with it is refused at load");
    }
    json!({"pass": filter.check(&event(&input["event"])) == Check::Passed}).into()
}

fn check_filters(kind: &str) {
    zetes_vectors::check_as(kind, passes, |expected, got| {
        (got["pass"] == true) == (expected["pass"] == true)
    });
}

#[test]
fn vectors_of_data_filters() {
    check_filters("filters-data");
}

#[test]
fn vectors_of_expression_filters() {
    check_filters("filters-exprs");
}

#[test]
fn vectors_of_script_filters() {
    check_filters("filters-script");
}

#[test]
fn vectors_of_context_filters() {
    check_filters("filters-context");
}

#[test]
fn vectors_of_time_filters() {
    check_filters("filters-time");
}

#[test]
fn vectors_of_combined_filters() {
    check_filters("filters-combined");
}

#[test]
fn vectors_of_globs() {
    zetes_vectors::check("glob", |input| {
        let text = |key: &str| input[key].as_str().unwrap_or_default();
        match Glob::new(text("eventSourceName"), text("eventName")) {
            Err(_) => json!({"error": true}),
            Ok(glob) => json!({"match": glob.matches(text("source"), text("subject"))}),
        }
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
fn vectors_of_conditions() {
    let answer = |input: &Value| {
        let known: Vec<DependencyName> = serde_json::from_value(input["dependencies"].clone()).unwrap();
        let text = input["conditions"].as_str().unwrap_or_default();
        let parsed = if text.trim().is_empty() {
            Ok(Conditions::all_of(&known))
        } else {
            Conditions::parse(text, &known)
        };
        match parsed {
            Err(_) => json!({"error": true}),
            Ok(conditions) => json!({"fires": fires(&conditions), "immediate": conditions.is_immediate()}),
        }
    };
    let sets = |value: &Value| -> BTreeSet<BTreeSet<String>> {
        serde_json::from_value(value["fires"].clone()).unwrap_or_default()
    };
    zetes_vectors::check_as("conditions", answer, |expected, got| {
        expected["error"] == got["error"]
            && expected["immediate"] == got["immediate"]
            && sets(expected) == sets(got)
    });
}

#[test]
fn a_misspelt_name_is_told_with_its_place_and_the_right_one() {
    let error = Conditions::parse("biuld && approval", &["build".into(), "approval".into()]).unwrap_err();
    assert_eq!(error.span(), 0..5);
    assert_eq!(error.hint().as_deref(), Some("did you mean `build`?"));
    assert_eq!(error.to_finding(&FieldPath::from("conditions")).code, "unknown-dependency");
}
