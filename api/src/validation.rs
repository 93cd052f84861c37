//! What the frame of an object must fulfil, whatever kinds it holds (spec/sensors.md 1.7, spec/event-sources.md 1.2).

mod event_bus;
pub(crate) mod pod;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zetes_schedule::{Descriptors, Schedule, zone};

use crate::diagnostic::{FieldPath, Finding};
use crate::extension::{ExpiryAction, TriggerExtension};
use crate::kinds::{SourceKind, TRIGGER_KINDS};
use crate::manifest::Object;
use crate::resource::{
    ConditionsReset, DataFilter, Dependency, EventSourceSpec, ExprFilter, Filters, Parameter, SensorSpec,
    TimeFilter, Trigger, TriggerTemplate,
};

/// Everything that is wrong with an object's frame. `kinds` are the kinds of event sources that there are.
pub fn validate(object: &Object, kinds: &[SourceKind]) -> Vec<Finding> {
    let spec = FieldPath::from("spec");
    match object {
        Object::EventSource(object) => event_source(&object.spec, &spec, kinds),
        Object::EventBus(object) => event_bus::findings(&object.spec, &spec),
        Object::Sensor(object) => sensor(&object.spec, &spec),
        Object::Secret(_) | Object::ConfigMap(_) => Vec::new(),
    }
}

fn missing(path: FieldPath, what: &str) -> Finding {
    Finding::error("missing-field", path, format!("expected {what}"))
}

fn bad(path: FieldPath, message: impl Into<String>) -> Finding {
    Finding::error("bad-value", path, message)
}

/// Checks the types in a value that its object keeps as JSON, then what was read.
fn typed<T: DeserializeOwned + JsonSchema>(
    value: &Value,
    path: &FieldPath,
    check: impl FnOnce(&T, &FieldPath) -> Vec<Finding>,
) -> Vec<Finding> {
    let (read, findings) = crate::manifest::decode::<T>(value);
    let mut findings: Vec<_> = findings.into_iter().map(|finding| finding.under(path)).collect();
    if let Some(read) = read {
        findings.extend(check(&read, path));
    }
    findings
}

fn event_source(spec: &EventSourceSpec, path: &FieldPath, kinds: &[SourceKind]) -> Vec<Finding> {
    const FRAME: [&str; 4] = ["eventBusName", "replicas", "template", "service"];
    let mut findings = Vec::new();
    let known: Vec<&str> = kinds.iter().map(|kind| kind.key).chain(FRAME).collect();
    for (kind, events) in &spec.kinds {
        if !known.contains(&kind.as_str()) {
            findings.push(crate::manifest::unknown_field(kind, &known, path.key(kind.as_str())));
        } else if !events.is_object() && !events.is_null() {
            let message = "expected a map from event names to their settings";
            findings.push(Finding::error("wrong-type", path.key(kind.as_str()), message));
        }
    }
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for (kind, name, _) in spec.events().filter(|(kind, ..)| known.contains(kind)) {
        if let Some(first) = names.insert(name.to_string(), kind) {
            let message = format!("more than one event `{name}`: `{first}` has one, too");
            let finding = Finding::error("duplicate-event", path.key(kind).key(name.as_str()), message);
            findings.push(finding.hint("event names are unique in an object, whatever their kind"));
        }
    }
    findings.extend(mixed_classes(spec, path, kinds));
    findings.extend(pod::template(spec.template.as_ref(), path));
    findings.extend(pod::service(spec.service.as_ref(), path));
    findings
}

fn mixed_classes(spec: &EventSourceSpec, path: &FieldPath, kinds: &[SourceKind]) -> Option<Finding> {
    let present: Vec<_> =
        kinds.iter().filter(|kind| spec.events().any(|(key, ..)| key == kind.key)).collect();
    let everywhere = present.iter().find(|kind| kind.active_active)?;
    let one_at_a_time = present.iter().find(|kind| !kind.active_active)?;
    let message = format!(
        "`{}` runs in every replica and `{}` in one at a time: they can't be in one object",
        everywhere.key, one_at_a_time.key
    );
    Some(
        Finding::error("mixed-kinds", path.key(one_at_a_time.key), message)
            .hint("give each its own EventSource"),
    )
}

fn sensor(spec: &SensorSpec, path: &FieldPath) -> Vec<Finding> {
    let mut findings = Vec::new();
    if spec.dependencies.is_empty() {
        findings.push(missing(path.key("dependencies"), "at least one dependency"));
    }
    if spec.triggers.is_empty() {
        findings.push(missing(path.key("triggers"), "at least one trigger"));
    }
    let mut names = BTreeSet::new();
    for (index, one) in spec.dependencies.iter().enumerate() {
        let path = path.key("dependencies").index(index);
        if !names.insert(one.name.clone()) && !one.name.as_str().is_empty() {
            let message =
                format!("dependency `{}` stands here more than once, the last one counts", one.name);
            findings.push(Finding::warning("duplicate-dependency", path.key("name"), message));
        }
        findings.extend(dependency(one, &path));
    }
    let mut triggers = BTreeSet::new();
    for (index, one) in spec.triggers.iter().enumerate() {
        let path = path.key("triggers").index(index);
        let name =
            one.template.as_ref().map(|template| template.name.to_string()).filter(|name| !name.is_empty());
        if let Some(name) = name
            && !triggers.insert(name.clone())
        {
            let message = format!("more than one trigger `{name}`");
            findings.push(Finding::error("duplicate-trigger", path.key("template").key("name"), message));
        }
        findings.extend(trigger(one, &path, spec));
    }
    findings.extend(pod::template(spec.template.as_ref(), path));
    findings
}

fn dependency(one: &Dependency, path: &FieldPath) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (field, text) in [
        ("name", one.name.as_str()),
        ("eventSourceName", &one.event_source_name),
        ("eventName", &one.event_name),
    ] {
        if text.is_empty() {
            findings.push(missing(path.key(field), &format!("`{field}`")));
        }
    }
    findings.extend(operator(one.filters_logical_operator.as_deref(), path.key("filtersLogicalOperator")));
    if let Some(one) = &one.filters {
        findings.extend(filters(one, &path.key("filters")));
    }
    findings
}

fn operator(text: Option<&str>, path: FieldPath) -> Option<Finding> {
    let text = text.filter(|text| !matches!(*text, "" | "and" | "or"))?;
    Some(bad(path, format!("expected `and` or `or`, found `{text}`")))
}

fn filters(one: &Filters, path: &FieldPath) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(operator(one.expr_logical_operator.as_deref(), path.key("exprLogicalOperator")));
    findings.extend(operator(one.data_logical_operator.as_deref(), path.key("dataLogicalOperator")));
    for (index, one) in one.exprs.iter().enumerate() {
        findings.extend(expr(one, &path.key("exprs").index(index)));
    }
    for (index, one) in one.data.iter().enumerate() {
        findings.extend(data(one, &path.key("data").index(index)));
    }
    if let Some(context) = &one.context {
        let looked_at = [&context.event_type, &context.subject, &context.source, &context.datacontenttype];
        if looked_at.iter().all(|member| member.as_deref().unwrap_or_default().is_empty()) {
            findings.push(missing(
                path.key("context"),
                "at least one of `type`, `subject`, `source`, `datacontenttype`",
            ));
        }
    }
    if let Some(one) = &one.time {
        findings.extend(time(one, &path.key("time")));
    }
    findings
}

/// A place in the data is named by a gjson path or by an RFC 9535 path.
fn value_path(gjson: &str, json_path: Option<&String>, path: &FieldPath) -> Option<Finding> {
    match (gjson.is_empty(), json_path) {
        (true, None) => Some(missing(path.key("path"), "`path`")),
        (false, Some(_)) => {
            Some(bad(path.key("jsonPath"), "expected one of `path` and `jsonPath`, found both"))
        }
        _ => None,
    }
}

fn expr(one: &ExprFilter, path: &FieldPath) -> Vec<Finding> {
    let mut findings = Vec::new();
    if one.expr.is_empty() {
        findings.push(missing(path.key("expr"), "an expression"));
    }
    if one.fields.is_empty() {
        findings.push(missing(path.key("fields"), "at least one field"));
    }
    for (index, field) in one.fields.iter().enumerate() {
        let path = path.key("fields").index(index);
        findings.extend(value_path(&field.path, field.json_path.as_ref(), &path));
        if field.name.is_empty() {
            findings.push(missing(path.key("name"), "`name`"));
        }
    }
    findings
}

fn data(one: &DataFilter, path: &FieldPath) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(value_path(&one.path, one.json_path.as_ref(), path));
    if one.value_type.is_empty() {
        findings.push(missing(path.key("type"), "`type`"));
    }
    if let Some(text) =
        one.comparator.as_deref().filter(|text| !matches!(*text, "" | "=" | "!=" | "<" | "<=" | ">" | ">="))
    {
        findings.push(bad(
            path.key("comparator"),
            format!("expected `=`, `!=`, `<`, `<=`, `>` or `>=`, found `{text}`"),
        ));
    }
    if one.value.is_empty() {
        findings.push(missing(path.key("value"), "at least one value"));
    }
    for (index, _) in one.value.iter().enumerate().filter(|(_, text)| text.is_empty()) {
        findings.push(
            bad(path.key("value").index(index), "expected a value, found an empty text")
                .hint("to match an empty text write \"^$\""),
        );
    }
    findings
}

fn time(one: &TimeFilter, path: &FieldPath) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = zone(one.timezone.as_deref().unwrap_or_default()) {
        findings.push(bad(path.key("timezone"), error.to_string()));
    }
    let times = [("start", &one.start), ("stop", &one.stop)].map(|(key, text)| (key, text, clock_time(text)));
    for (key, text, parsed) in &times {
        if parsed.is_none() {
            findings.push(bad(path.key(*key), format!("expected a time such as `08:30:00`, found `{text}`")));
        }
    }
    if let [(_, _, Some(start)), (_, _, Some(stop))] = times
        && start == stop
    {
        findings.push(bad(path.key("stop"), "expected another time than `start`"));
    }
    findings
}

/// `HH:MM:SS` as nanoseconds of the day; the hour may have one digit, the seconds a fraction.
fn clock_time(text: &str) -> Option<i64> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, seconds) = rest.split_once(':')?;
    let (second, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, "0"));
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>, max: i64| {
        let fits = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| fits && *number <= max)
    };
    let whole =
        (number(hour, 1..=2, 23)? * 60 + number(minute, 2..=2, 59)?) * 60 + number(second, 2..=2, 59)?;
    let nanoseconds = format!("{fraction:0<9}").get(..9).and_then(|text| number(text, 9..=9, 999_999_999))?;
    Some(whole * 1_000_000_000 + nanoseconds)
}

fn trigger(one: &Trigger, path: &FieldPath, spec: &SensorSpec) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &one.template {
        None => findings.push(missing(path.key("template"), "`template`")),
        Some(template) => {
            findings.extend(template_findings(template, &path.key("template")));
            findings.extend(policy(one, template, &path.key("policy")));
        }
    }
    let parameters = parameter_findings(&one.parameters, false);
    findings.extend(parameters.into_iter().map(|finding| finding.under(&path.key("parameters"))));
    findings.extend(unknown_dependencies(&one.parameters, &path.key("parameters"), spec));
    if let Some(limit) = &one.rate_limit {
        findings.extend(rate_limit(limit, &path.key("rateLimit")));
    }
    if let Some(dead_letter) = &one.dlq_trigger {
        for (at, path) in [(one, path.clone()), (dead_letter.as_ref(), path.key("dlqTrigger"))] {
            if at.at_least_once == Some(false) {
                let message = "`atLeastOnce: false` beside `dlqTrigger`: an action that is not kept can't be dead-lettered";
                findings.push(bad(path.key("atLeastOnce"), message).hint("leave `atLeastOnce` out"));
            }
        }
        findings.extend(trigger(dead_letter, &path.key("dlqTrigger"), spec));
    }
    if let Some(extension) = &one.zetes {
        findings.extend(on_expire(extension, &path.key("zetes").key("onExpire"), spec));
    }
    findings
}

fn on_expire(extension: &TriggerExtension, path: &FieldPath, spec: &SensorSpec) -> Vec<Finding> {
    let Some(expiry) = &extension.on_expire else { return Vec::new() };
    match (&expiry.trigger, expiry.action) {
        (Some(fired), ExpiryAction::Fire) => trigger(fired, &path.key("trigger"), spec),
        (None, ExpiryAction::Fire) => vec![missing(path.key("trigger"), "the trigger to fire")],
        (Some(_), _) => vec![
            bad(path.key("trigger"), "a trigger is given, but nothing fires it").hint("write `action: fire`"),
        ],
        (None, _) => Vec::new(),
    }
}

fn rate_limit(limit: &crate::resource::RateLimit, path: &FieldPath) -> Vec<Finding> {
    let mut findings = Vec::new();
    if limit.requests_per_unit <= 0 {
        findings.push(bad(
            path.key("requestsPerUnit"),
            format!("expected a number over 0, found {}", limit.requests_per_unit),
        ));
    }
    let unit = limit.unit.as_deref().unwrap_or_default();
    if !matches!(unit.to_ascii_lowercase().as_str(), "" | "second" | "minute" | "hour") {
        findings
            .push(bad(path.key("unit"), format!("expected `Second`, `Minute` or `Hour`, found `{unit}`")));
    }
    findings
}

fn template_findings(template: &TriggerTemplate, path: &FieldPath) -> Vec<Finding> {
    const FRAME: [&str; 3] = ["name", "conditions", "conditionsReset"];
    let mut findings = Vec::new();
    if template.name.as_str().is_empty() {
        findings.push(missing(path.key("name"), "a name"));
    }
    let known: Vec<&str> = TRIGGER_KINDS.iter().copied().chain(FRAME).collect();
    let actions: Vec<&str> = template
        .actions
        .iter()
        .filter(|(_, action)| !action.is_null())
        .map(|(key, _)| key.as_str())
        .collect();
    for key in actions.iter().filter(|key| !known.contains(key)) {
        findings.push(crate::manifest::unknown_field(key, &known, path.key(*key)));
    }
    let present: Vec<&str> = TRIGGER_KINDS.iter().copied().filter(|kind| actions.contains(kind)).collect();
    match present.as_slice() {
        [] => findings.push(
            Finding::warning("no-action", path.clone(), "no action: every firing will fail")
                .hint("add `log: {}`, for example"),
        ),
        [_] => {}
        [first, others @ ..] => findings.extend(others.iter().map(|kind| {
            Finding::warning("unused-action", path.key(*kind), format!("only `{first}` is carried out"))
        })),
    }
    for (index, reset) in template.conditions_reset.iter().enumerate() {
        findings.extend(conditions_reset(reset, &path.key("conditionsReset").index(index)));
    }
    findings
}

fn conditions_reset(reset: &ConditionsReset, path: &FieldPath) -> Vec<Finding> {
    let Some(by_time) = &reset.by_time else { return vec![missing(path.key("byTime"), "`byTime`")] };
    let path = path.key("byTime");
    let mut findings = Vec::new();
    if let Err(error) = Schedule::parse(&by_time.cron, Descriptors::Refused) {
        let finding = bad(path.key("cron"), error.to_string());
        findings.push(match error.span() {
            Some(span) => finding.span(span),
            None => finding,
        });
    }
    if let Err(error) = zone(by_time.timezone.as_deref().unwrap_or_default()) {
        findings.push(bad(path.key("timezone"), error.to_string()));
    }
    findings
}

fn policy(one: &Trigger, template: &TriggerTemplate, path: &FieldPath) -> Vec<Finding> {
    let (Some(policy), Some((kind, _))) = (&one.policy, template.action()) else { return Vec::new() };
    let unused = |key: &str| {
        Finding::warning("unused-policy", path.key(key), format!("`{kind}` does not look at `policy.{key}`"))
    };
    let mut findings = Vec::new();
    match (&policy.k8s, kind) {
        (Some(k8s), "k8s" | "argoWorkflow") => match &k8s.labels {
            None => findings.push(missing(path.key("k8s").key("labels"), "`labels`")),
            Some(labels) if labels.is_empty() => {
                let message = "without labels nothing is waited for";
                let path = path.key("k8s").key("labels");
                findings.push(Finding::warning("unused-policy", path, message));
            }
            Some(_) => {}
        },
        (None, _) => {}
        (Some(_), _) => findings.push(unused("k8s")),
    }
    match (&policy.status, kind) {
        (Some(status), "http" | "awsLambda") if status.allow.is_empty() => {
            findings.push(missing(path.key("status").key("allow"), "`allow`"));
        }
        (Some(_), "http" | "awsLambda") | (None, _) => {}
        (Some(_), _) => findings.push(unused("status")),
    }
    findings
}

/// What is wrong with a list of parameters (spec/sensors.md 1.7, 4); paths begin with the index. Trigger kinds call it for
/// their own lists.
pub fn parameter_findings(parameters: &[Parameter], dest_may_be_empty: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, parameter) in parameters.iter().enumerate() {
        let path = FieldPath::root().index(index);
        match &parameter.src {
            None => findings.push(missing(path.key("src"), "`src`")),
            Some(src) if src.dependency_name.as_str().is_empty() => {
                findings.push(missing(path.key("src").key("dependencyName"), "`dependencyName`"));
            }
            Some(_) => {}
        }
        if parameter.dest.is_empty() && !dest_may_be_empty {
            findings.push(missing(path.key("dest"), "`dest`"));
        }
        if let Some(text) = parameter
            .operation
            .as_deref()
            .filter(|text| !matches!(*text, "" | "append" | "overwrite" | "prepend"))
        {
            findings.push(bad(
                path.key("operation"),
                format!("expected `overwrite`, `append` or `prepend`, found `{text}`"),
            ));
        }
    }
    findings
}

fn unknown_dependencies(parameters: &[Parameter], path: &FieldPath, spec: &SensorSpec) -> Vec<Finding> {
    let known: Vec<&str> = spec.dependencies.iter().map(|one| one.name.as_str()).collect();
    let mut findings = Vec::new();
    for (index, parameter) in parameters.iter().enumerate() {
        let Some(src) = &parameter.src else { continue };
        let name = src.dependency_name.as_str();
        if name.is_empty() || known.contains(&name) {
            continue;
        }
        let path = path.index(index).key("src").key("dependencyName");
        let finding =
            Finding::warning("unknown-dependency", path, format!("the Sensor has no dependency `{name}`"));
        findings.push(match crate::manifest::nearest(name, &known) {
            Some(nearest) => finding.hint(format!("did you mean `{nearest}`?")),
            None => finding,
        });
    }
    findings
}
