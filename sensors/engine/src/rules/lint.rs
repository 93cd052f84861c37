//! Remarks on a Sensor that would run, but perhaps not as meant.

use std::collections::BTreeSet;

use zetes_api::{DependencyName, FieldPath, Finding, Sensor};

use crate::conditions::Conditions;
use crate::filter;

pub(super) fn lint(sensor: &Sensor) -> Vec<Finding> {
    let mut findings = Vec::new();
    let at = FieldPath::from("spec").key("dependencies");
    for (index, dependency) in sensor.spec.dependencies.iter().enumerate() {
        let found = dependency.filters.iter().flat_map(filter::lint);
        findings.extend(found.map(|finding| finding.under(&at.index(index))));
    }
    findings.extend(unused(sensor));
    findings.extend(shadowed(sensor));
    findings
}

/// Dependencies that no trigger waits for: their events are never asked for.
fn unused(sensor: &Sensor) -> Vec<Finding> {
    let Some(used) = used_names(sensor) else { return Vec::new() };
    let at = FieldPath::from("spec").key("dependencies");
    let dependencies = sensor.spec.dependencies.iter().enumerate();
    dependencies
        .filter(|(_, dependency)| !used.contains(&dependency.name))
        .map(|(index, dependency)| {
            let message = format!("no trigger's conditions mention `{}`", dependency.name);
            Finding::warning("unused-dependency", at.index(index).key("name"), message)
        })
        .collect()
}

/// What all triggers together wait for; `None` if that can't be told.
fn used_names(sensor: &Sensor) -> Option<BTreeSet<DependencyName>> {
    let known: Vec<_> = sensor.spec.dependencies.iter().map(|dependency| dependency.name.clone()).collect();
    let mut used = BTreeSet::new();
    for trigger in &sensor.spec.triggers {
        let text = trigger.template.as_ref()?.conditions.as_deref().filter(|text| !text.is_empty())?;
        used.extend(Conditions::parse(text, &known).ok()?.names().iter().cloned());
    }
    Some(used)
}

/// Of several dependencies with one name only the last one counts (spec/sensors.md 1.2).
fn shadowed(sensor: &Sensor) -> Vec<Finding> {
    let at = FieldPath::from("spec").key("dependencies");
    let names: Vec<_> = sensor.spec.dependencies.iter().map(|dependency| &dependency.name).collect();
    let is_shadowed =
        |index: usize, name: &DependencyName| names.iter().skip(index + 1).any(|later| *later == name);
    names
        .iter()
        .enumerate()
        .filter(|(index, name)| is_shadowed(*index, name))
        .map(|(index, name)| {
            let message = format!("another dependency named `{name}` follows, and only the last one counts");
            Finding::warning("duplicate-name", at.index(index).key("name"), message)
        })
        .collect()
}
