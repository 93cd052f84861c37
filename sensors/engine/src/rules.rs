//! One trigger of one Sensor, compiled: everything that can be wrong is found here, before the first event.

mod limits;
mod lint;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use zetes_api::{
    Backoff, Dependency, DependencyName, Event, FieldPath, Finding, Namespace, ObjectName, Sensor, Trigger,
    TriggerName, TriggerTemplate,
};

use crate::conditions::Conditions;
use crate::filter::{Check, Compat, Filter};
use crate::glob::Glob;
use crate::model::Interest;
use limits::Resets;

/// The annotation that switches behaviours of the reference back on.
const COMPAT: &str = "zetes.dev/compat";

/// What a crash may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// A delivery is settled after its round has ended, or after the round is stored: an action may happen twice (S1).
    AtLeastOnce,
    /// A delivery is settled before the action begins: an action may not happen at all.
    AtMostOnce,
}

/// What one trigger waits for, and how it acts. Made once from a manifest; equal manifests make equal rules.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(crate) namespace: Namespace,
    pub(crate) sensor: ObjectName,
    pub(crate) trigger: TriggerName,
    /// Those that the conditions mention, by name.
    dependencies: Vec<Rule>,
    conditions: Conditions,
    guarantee: Guarantee,
    retry: Option<Backoff>,
    /// Time between the beginnings of two attempts, at least (S28).
    spacing: Option<SignedDuration>,
    resets: Resets,
    compat: Compat,
}

/// Which events a dependency means and which of them it accepts.
#[derive(Clone, Debug)]
struct Rule {
    name: DependencyName,
    glob: Glob,
    filter: Filter,
}

impl Rules {
    /// Compiles the trigger at an index of `spec.triggers`, with the dependencies that its conditions mention.
    ///
    /// # Errors
    /// All findings at once, at least one of them an error. Paths are relative to the document: two triggers that
    /// mention the same dependency report its findings alike.
    pub fn compile(
        namespace: &Namespace,
        sensor: &Sensor,
        trigger_index: usize,
    ) -> Result<Self, Vec<Finding>> {
        let at = FieldPath::from("spec").key("triggers").index(trigger_index);
        let (trigger, template) = trigger_of(sensor, trigger_index, &at)?;
        let mut findings = Vec::new();
        let compat = compat_of(sensor);
        let conditions = conditions_of(sensor, template, &at, &mut findings);
        let dependencies =
            conditions.as_ref().map(|conditions| rules_of(sensor, conditions, compat, &mut findings));
        let spacing = limits::spacing(trigger.rate_limit.as_ref(), &at, &mut findings);
        let resets = Resets::compile(&template.conditions_reset, &at, &mut findings);
        match (conditions, dependencies) {
            (Some(conditions), Some(dependencies)) if !findings.iter().any(Finding::is_error) => Ok(Self {
                namespace: namespace.clone(),
                sensor: sensor.object_ref().name,
                trigger: template.name.clone(),
                dependencies,
                conditions,
                guarantee: guarantee_of(trigger),
                retry: trigger.retry_strategy.clone(),
                spacing,
                resets,
                compat,
            }),
            _ => Err(findings),
        }
    }

    /// What is allowed and probably not meant, in the whole Sensor. Paths are relative to the document.
    pub fn lint(sensor: &Sensor) -> Vec<Finding> {
        lint::lint(sensor)
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub fn sensor(&self) -> &ObjectName {
        &self.sensor
    }

    pub fn trigger(&self) -> &TriggerName {
        &self.trigger
    }

    /// Which events to ask the bus for; an event outside of them would be settled without a record. No two are equal.
    pub fn interests(&self) -> Vec<Interest> {
        let interests: BTreeSet<_> = self.dependencies.iter().map(|rule| rule.glob.interest()).collect();
        interests.into_iter().collect()
    }

    pub fn guarantee(&self) -> Guarantee {
        self.guarantee
    }

    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Attempts at one round, at least 1.
    pub fn attempts(&self) -> u32 {
        self.retry.as_ref().map_or(1, Backoff::attempts)
    }

    /// Whether an event is one of those that a dependency of this trigger means, whatever its filters say.
    pub fn means(&self, dependency: &DependencyName, event: &Event) -> bool {
        self.rule(dependency).is_some_and(|rule| rule.means(event))
    }

    /// What the filters of a dependency say about an event; a dependency that these rules don't know passes.
    pub fn check(&self, dependency: &DependencyName, event: &Event) -> Check {
        self.rule(dependency).map_or(Check::Passed, |rule| rule.filter.check(event))
    }

    /// The dependencies that mean an event, by name.
    pub fn matching(&self, event: &Event) -> Vec<DependencyName> {
        self.dependencies.iter().filter(|rule| rule.means(event)).map(|rule| rule.name.clone()).collect()
    }

    /// The pause after a failed attempt (from 1); `random` is in `[0, 1)`.
    pub(crate) fn pause(&self, attempt: u32, random: f64) -> SignedDuration {
        let pause = self.retry.as_ref().map(|retry| retry.pause(attempt.saturating_sub(1), random));
        pause.and_then(|pause| SignedDuration::try_from(pause).ok()).unwrap_or_default()
    }

    pub(crate) fn spacing(&self) -> Option<SignedDuration> {
        self.spacing
    }

    pub(crate) fn clears_all(&self) -> bool {
        self.compat.clear_all
    }

    /// The next reset after a time.
    pub(crate) fn next_reset(&self, after: Timestamp) -> Option<Timestamp> {
        self.resets.next_after(after)
    }

    /// The latest reset at or before a time.
    pub(crate) fn last_reset(&self, now: Timestamp) -> Option<Timestamp> {
        self.resets.last_until(now)
    }

    fn rule(&self, name: &DependencyName) -> Option<&Rule> {
        self.dependencies.iter().find(|rule| rule.name == *name)
    }
}

impl Rule {
    fn means(&self, event: &Event) -> bool {
        self.glob.matches(event.source.as_str(), event.subject.as_str())
    }
}

fn trigger_of<'a>(
    sensor: &'a Sensor,
    index: usize,
    at: &FieldPath,
) -> Result<(&'a Trigger, &'a TriggerTemplate), Vec<Finding>> {
    let missing =
        |what: &str| vec![Finding::error("missing-field", at.clone(), format!("expected a {what}"))];
    let trigger = sensor.spec.triggers.get(index).ok_or_else(|| missing("trigger"))?;
    let template = trigger.template.as_ref().ok_or_else(|| missing("trigger with a template"))?;
    Ok((trigger, template))
}

fn guarantee_of(trigger: &Trigger) -> Guarantee {
    if trigger.at_least_once == Some(false) { Guarantee::AtMostOnce } else { Guarantee::AtLeastOnce }
}

fn compat_of(sensor: &Sensor) -> Compat {
    let names = sensor.metadata.annotations.get(COMPAT).map(String::as_str).unwrap_or_default();
    let has = |wanted: &str| names.split(',').any(|name| name.trim() == wanted);
    Compat { ne_any: has("ne-any"), clear_all: has("clear-all") }
}

fn conditions_of(
    sensor: &Sensor,
    template: &TriggerTemplate,
    at: &FieldPath,
    findings: &mut Vec<Finding>,
) -> Option<Conditions> {
    let known: Vec<_> = sensor.spec.dependencies.iter().map(|dependency| dependency.name.clone()).collect();
    let Some(text) = template.conditions.as_deref().filter(|text| !text.is_empty()) else {
        if known.is_empty() {
            let path = FieldPath::from("spec").key("dependencies");
            findings.push(Finding::error("missing-field", path, "expected at least one dependency"));
            return None;
        }
        return Some(Conditions::all_of(&known));
    };
    let path = at.key("template").key("conditions");
    Conditions::parse(text, &known).map_err(|error| findings.push(error.to_finding(&path))).ok()
}

/// The dependencies that the conditions mention. Of several with one name the last one counts (spec/sensors.md 1.2).
fn rules_of(
    sensor: &Sensor,
    conditions: &Conditions,
    compat: Compat,
    findings: &mut Vec<Finding>,
) -> Vec<Rule> {
    let all: Vec<_> = sensor.spec.dependencies.iter().enumerate().collect();
    let last = |name: &DependencyName| all.iter().rev().find(|(_, dependency)| dependency.name == *name);
    let named = conditions.names().iter().filter_map(last);
    named.filter_map(|(index, dependency)| rule_of(*index, dependency, compat, findings)).collect()
}

fn rule_of(
    index: usize,
    dependency: &Dependency,
    compat: Compat,
    findings: &mut Vec<Finding>,
) -> Option<Rule> {
    let at = FieldPath::from("spec").key("dependencies").index(index);
    let (filter, found) = Filter::compile(dependency, compat);
    findings.extend(found.into_iter().map(|finding| finding.under(&at)));
    let glob = Glob::new(&dependency.event_source_name, &dependency.event_name);
    let glob = glob.map_err(|error| {
        let field = if Glob::new(&dependency.event_source_name, "").is_err() {
            "eventSourceName"
        } else {
            "eventName"
        };
        findings.push(Finding::error("bad-glob", at.key(field), error.to_string()));
    });
    Some(Rule { name: dependency.name.clone(), glob: glob.ok()?, filter })
}
