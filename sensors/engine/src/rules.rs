//! One trigger of one Sensor, compiled: everything that can be wrong is found here, before the first event.

mod extension;
mod limits;
mod lint;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use zetes_api::{
    Backoff, Dependency, DependencyName, Event, FieldPath, Finding, Namespace, ObjectName, Role, Sensor,
    Trigger, TriggerName, TriggerTemplate,
};

use crate::conditions::Conditions;
use crate::filter::{Check, Compat, Filter, Rejection};
use crate::glob::Glob;
use crate::model::{Accepted, Interest, Match};
use crate::transform::Transform;
pub(crate) use extension::{Flow, Gate, Join};
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
    /// The second action's retries, where the trigger has a `dlqTrigger`.
    dlq_trigger: Option<Second>,
    version: String,
    /// The retries of what `onExpire` fires.
    on_expire: Option<Second>,
    join: Join,
    flow: Flow,
    /// Time between the beginnings of two attempts, at least (S28).
    spacing: Option<SignedDuration>,
    resets: Resets,
    compat: Compat,
}

/// A second action of the trigger.
#[derive(Clone, Debug)]
struct Second {
    retry: Option<Backoff>,
}

/// Which events a dependency means and which of them it accepts.
#[derive(Clone, Debug)]
struct Rule {
    name: DependencyName,
    /// A digest of the dependency and of the conditions as written: what waits is kept as long as it stays the same.
    definition: String,
    glob: Glob,
    transform: Option<Transform>,
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
        // Where the conditions are wrong, what is wrong with the dependencies is told all the same.
        let dependencies = rules_of(sensor, template, conditions.as_ref(), compat, &mut findings);
        let extension = trigger.zetes.clone().unwrap_or_default();
        let extended = conditions.as_ref().map(|conditions| {
            let at = at.key("zetes");
            let join = Join::compile(&extension, conditions, &at, &mut findings);
            (join, Flow::compile(&extension, conditions, &at, &mut findings))
        });
        let spacing = limits::spacing(trigger.rate_limit.as_ref(), &at, &mut findings);
        let resets = Resets::compile(&template.conditions_reset, &at, &mut findings);
        match (conditions, extended) {
            (Some(conditions), Some((join, flow))) if !findings.iter().any(Finding::is_error) => Ok(Self {
                namespace: namespace.clone(),
                sensor: sensor.object_ref().name,
                trigger: template.name.clone(),
                dependencies,
                conditions,
                guarantee: guarantee_of(trigger),
                version: version_of(sensor, trigger),
                retry: trigger.retry_strategy.clone(),
                dlq_trigger: trigger
                    .dlq_trigger
                    .as_ref()
                    .map(|second| Second { retry: second.retry_strategy.clone() }),
                on_expire: extension
                    .on_expire
                    .and_then(|expiry| expiry.trigger)
                    .map(|fired| Second { retry: fired.retry_strategy }),
                join,
                flow,
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

    /// Which events to ask the bus for; an event outside of them would be settled without a record. No two ask for the same.
    pub fn interests(&self) -> Vec<Interest> {
        let rule_of = |name: &&DependencyName| self.dependencies.iter().find(|rule| rule.name == **name);
        let rules = self.conditions.mentions().iter().filter_map(|name| rule_of(&name));
        let asked: BTreeMap<_, _> = rules.map(|rule| (rule.glob.asks_for(), rule.name.clone())).collect();
        asked
            .into_iter()
            .map(|((source, subject), dependency)| Interest { source, subject, dependency })
            .collect()
    }

    /// A digest of the trigger and of what it depends on: equal definitions have equal versions.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub fn guarantee(&self) -> Guarantee {
        self.guarantee
    }

    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Attempts at one round, at least 1.
    pub fn attempts(&self, role: Role) -> u32 {
        self.retry_of(role).map_or(1, Backoff::attempts)
    }

    fn retry_of(&self, role: Role) -> Option<&Backoff> {
        match role {
            Role::Main => self.retry.as_ref(),
            Role::DlqTrigger => self.dlq_trigger.as_ref()?.retry.as_ref(),
            Role::OnExpire => self.on_expire.as_ref()?.retry.as_ref(),
        }
    }

    /// Whether the trigger has this action.
    pub(crate) fn has_action(&self, role: Role) -> bool {
        match role {
            Role::Main => true,
            Role::DlqTrigger => self.dlq_trigger.is_some(),
            Role::OnExpire => self.on_expire.is_some(),
        }
    }

    pub(crate) fn has_dlq_trigger(&self) -> bool {
        self.dlq_trigger.is_some()
    }

    pub(crate) fn survives_a_crash(&self) -> bool {
        self.guarantee == Guarantee::AtLeastOnce
    }

    /// Whether an event could come again while it waits or is gathered.
    pub(crate) fn remembers_events(&self) -> bool {
        !self.conditions.is_immediate() || self.flow.gathers()
    }

    /// Whether one machine must see all of its events: something waits, is counted or is spaced. Otherwise several may share them.
    pub fn must_be_alone(&self) -> bool {
        self.remembers_events() || self.flow.has_lanes() || self.spacing.is_some()
    }

    pub(crate) fn join(&self) -> &Join {
        &self.join
    }

    pub(crate) fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(crate) fn correlation_of(&self, dependency: &DependencyName, event: &Event) -> Option<Arc<str>> {
        self.join.correlation_of(dependency, event)
    }

    /// Whether a look at an event may take long: scripts are to be run where they hold up nobody.
    pub fn runs_scripts(&self) -> bool {
        self.dependencies.iter().any(|rule| rule.transform.is_some() || rule.filter.runs_script())
    }

    /// What the dependencies that mean an event make of it: transformed, then filtered (spec/sensors.md 3). Equal events are
    /// judged alike; it is pure, and may take as long as the scripts of the Sensor may.
    pub fn judge(&self, event: &Arc<Event>) -> Vec<Match> {
        self.dependencies
            .iter()
            .filter(|rule| rule.means(event))
            .map(|rule| Match {
                dependency: rule.name.clone(),
                event: event.to_ref(),
                outcome: self.judge_one(rule, event),
            })
            .collect()
    }

    fn judge_one(&self, rule: &Rule, event: &Arc<Event>) -> Result<Accepted, Rejection> {
        let event = match &rule.transform {
            None => event.clone(),
            Some(transform) => transform.apply(event)?,
        };
        if let Check::Rejected(rejection) = rule.filter.check(&event) {
            return Err(rejection);
        }
        let correlation = self.join.correlation_of(&rule.name, &event).ok_or_else(|| Rejection {
            filter: "zetes.correlate".to_owned(),
            looked_at: self.join.looks_at(&rule.name),
            seen: None,
            wanted: "a value to join by, of at most 1024 bytes".to_owned(),
            reason: "path-missing",
        })?;
        Ok(Accepted { event, correlation })
    }

    /// How a dependency of this trigger is defined, as a digest; `None` for one that the conditions don't mention.
    pub(crate) fn definition(&self, dependency: &DependencyName) -> Option<&str> {
        self.rule(dependency).map(|rule| rule.definition.as_str())
    }

    /// The pause after a failed attempt (from 1); `random` is in `[0, 1)`.
    pub(crate) fn pause(&self, role: Role, attempt: u32, random: f64) -> SignedDuration {
        let pause = self.retry_of(role).map(|retry| retry.pause(attempt.saturating_sub(1), random));
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
    template: &TriggerTemplate,
    conditions: Option<&Conditions>,
    compat: Compat,
    findings: &mut Vec<Finding>,
) -> Vec<Rule> {
    let all: Vec<_> = sensor.spec.dependencies.iter().enumerate().collect();
    let last = |name: &DependencyName| all.iter().rev().find(|(_, dependency)| dependency.name == *name);
    let named: Vec<_> = match conditions {
        Some(conditions) => conditions.names().iter().filter_map(last).collect(),
        None => all.iter().collect(),
    };
    let conditions = template.conditions.as_deref().unwrap_or_default();
    named
        .into_iter()
        .filter_map(|(index, dependency)| rule_of(*index, dependency, conditions, compat, findings))
        .collect()
}

fn rule_of(
    index: usize,
    dependency: &Dependency,
    conditions: &str,
    compat: Compat,
    findings: &mut Vec<Finding>,
) -> Option<Rule> {
    let at = FieldPath::from("spec").key("dependencies").index(index);
    let (filter, found) = Filter::compile(dependency, compat);
    findings.extend(found.into_iter().map(|finding| finding.under(&at)));
    let transform = dependency
        .transform
        .as_ref()
        .and_then(|transform| Transform::compile(transform, &at.key("transform"), findings));
    let glob = Glob::new(&dependency.event_source_name, &dependency.event_name);
    let glob = glob.map_err(|error| {
        let field = if Glob::new(&dependency.event_source_name, "").is_err() {
            "eventSourceName"
        } else {
            "eventName"
        };
        findings.push(Finding::error("bad-glob", at.key(field), error.to_string()));
    });
    let definition = definition_of(dependency, conditions);
    Some(Rule { name: dependency.name.clone(), definition, glob: glob.ok()?, transform, filter })
}

fn definition_of(dependency: &Dependency, conditions: &str) -> String {
    let text = serde_json::to_string(dependency).unwrap_or_default();
    let digest = Sha256::new().chain_update(conditions).chain_update([0]).chain_update(text).finalize();
    hex::encode(digest.get(..8).unwrap_or_default())
}

fn version_of(sensor: &Sensor, trigger: &Trigger) -> String {
    let text = |value: serde_json::Result<String>| value.unwrap_or_default();
    let digest = Sha256::new()
        .chain_update(text(serde_json::to_string(trigger)))
        .chain_update(text(serde_json::to_string(&sensor.spec.dependencies)))
        .finalize();
    hex::encode(digest.get(..8).unwrap_or_default())
}
