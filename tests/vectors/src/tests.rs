use std::collections::BTreeSet;

/// Kinds that some test of the workspace compares. A file of another kind is a question nobody answers.
const KNOWN: [&str; 30] = [
    "backoff",
    "bus-message",
    "calendar",
    "calendar-catchup",
    "conditions",
    "cron",
    "cron-prev",
    "event-documents",
    "events",
    "eventsource-filter",
    "filters-combined",
    "filters-context",
    "filters-data",
    "filters-exprs",
    "filters-script",
    "filters-time",
    "gjson",
    "glob",
    "params-apply",
    "params-payload",
    "params-resolve",
    "params-template",
    "resource-names",
    "sequences",
    "sjson",
    "templates",
    "transforms",
    "validation",
    "validation-inline",
    "webhook-http",
];

#[test]
fn vectors_of_an_unknown_kind_are_refused() {
    let Ok(files) = std::fs::read_dir(super::folder()) else {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", super::folder().display());
        eprintln!("NOT RUN: {} is missing", super::folder().display());
        return;
    };
    let kinds: BTreeSet<String> = files
        .filter_map(|file| Some(file.ok()?.file_name().to_str()?.strip_suffix(".jsonl")?.to_owned()))
        .collect();
    let known: BTreeSet<String> = KNOWN.iter().map(|kind| (*kind).to_owned()).collect();
    let unknown: Vec<&String> = kinds.difference(&known).collect();
    assert!(unknown.is_empty(), "no test compares {unknown:?}: write one and name the kind here");
}
