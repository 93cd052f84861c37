//! Which buses pass the contract suite, and with how many cases: a bus that left one out would show here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::tools::Tools;

/// Its tests are the cases.
const MEMORY: &str = "bus-core::memory";

/// Prints the buses with their cases, as the test runner lists them.
pub(crate) fn count(root: &Path, tools: &Tools) -> Result<()> {
    let mut nextest = tools.cargo("nextest");
    nextest.args(["list", "--workspace", "--profile", "ci", "--message-format", "json"]).current_dir(root);
    let output = nextest.stderr(std::process::Stdio::inherit()).output().context("cargo nextest list")?;
    ensure!(output.status.success(), "cargo nextest list failed");
    let buses = buses(&serde_json::from_slice(&output.stdout)?)?;
    let most = buses.values().copied().max().unwrap_or_default();
    for (bus, cases) in &buses {
        eprintln!("    {cases} cases of the contract on {bus}");
        ensure!(*cases == most, "{bus}: {cases} cases, expected {most}; use `contract_suite!` as it is");
    }
    ensure!(buses.len() > 1, "only {MEMORY} passes the contract");
    Ok(())
}

/// Cases by bus: the test's folder in its program.
fn buses(list: &Value) -> Result<BTreeMap<String, usize>> {
    let suites = list.get("rust-suites").and_then(Value::as_object).context("no rust-suites")?;
    let names = |suite: &Value| -> Vec<String> {
        let cases = suite.get("testcases").and_then(Value::as_object);
        cases.map(|cases| cases.keys().cloned().collect()).unwrap_or_default()
    };
    let cases: BTreeSet<String> = names(suites.get(MEMORY).context(MEMORY)?).into_iter().collect();
    let mut buses = BTreeMap::new();
    for (program, suite) in suites {
        for name in names(suite) {
            let (folder, case) = name.rsplit_once("::").unwrap_or(("", &name));
            if cases.contains(case) {
                *buses.entry(format!("{program} {folder}").trim_end().to_owned()).or_default() += 1;
            }
        }
    }
    Ok(buses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_where_the_cases_stand() {
        let case = || Value::Object(serde_json::Map::new());
        let list = serde_json::json!({"rust-suites": {
            MEMORY: {"testcases": {"a": case(), "b": case()}},
            "bus-x": {"testcases": {"contract::old::a": case(), "contract::old::b": case(), "other::c": case()}},
        }});
        let expected = BTreeMap::from([(MEMORY.to_owned(), 2), ("bus-x contract::old".to_owned(), 2)]);
        assert_eq!(buses(&list).unwrap(), expected);
    }
}
