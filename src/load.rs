//! Files to objects: everything that is right can run, everything that is wrong is told with its place.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zetes_api::manifest::{self, Located, Object, Options};
use zetes_api::{
    Diagnostic, EventSource, FieldPath, Finding, Namespace, ObjectRef, Sensor, Severity, Trigger,
};
use zetes_runtime::{Secrets, SecretsBuilder};

use crate::cli::Usage;
use crate::registry::Registry;

/// Files larger than this are refused: no manifest is.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// What was read, checked against everything this build knows.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) objects: Vec<Located>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Documents of kinds that are not ours.
    pub(crate) other_kinds: usize,
}

impl Loaded {
    pub(crate) fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// Objects that can't run as they are. What this build does not have yet stops only the part that needs it.
    pub(crate) fn failing(&self) -> Vec<ObjectRef> {
        let fails = |one: &&Diagnostic| one.severity == Severity::Error && one.code != "not-in-this-build";
        self.diagnostics.iter().filter(fails).filter_map(|one| one.object.clone()).collect()
    }

    /// Adds the Secret and ConfigMap documents to the places where values are looked for.
    pub(crate) fn secrets(&self, mut builder: SecretsBuilder) -> anyhow::Result<Secrets> {
        for located in &self.objects {
            match &located.object {
                Object::Secret(secret) => builder.secret(secret.object_ref().namespace, secret)?,
                Object::ConfigMap(config_map) => {
                    builder.config_map(config_map.object_ref().namespace, config_map);
                }
                _ => {}
            }
        }
        Ok(builder.build())
    }
}

/// Reads files, folders (recursively, hidden files skipped) and `-` for standard input, then checks every object.
///
/// # Errors
/// A path that is not there or can't be read ([`Usage`]).
pub(crate) fn load(paths: &[PathBuf], namespace: &Namespace, registry: &Registry) -> anyhow::Result<Loaded> {
    let options = Options { default_namespace: namespace.clone() };
    let mut loaded = Loaded::default();
    for path in paths {
        for (file, text) in texts(path)? {
            let manifests = manifest::read(manifest::Source { file: &file, text: &text }, &options);
            loaded.objects.extend(manifests.objects);
            loaded.diagnostics.extend(manifests.diagnostics);
            loaded.other_kinds += manifests.other_kinds;
        }
    }
    loaded.diagnostics.extend(manifest::check_duplicates(&loaded.objects));
    check(&mut loaded, registry);
    Ok(loaded)
}

fn texts(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().take(MAX_FILE_BYTES).read_to_string(&mut text)?;
        return Ok(vec![("<stdin>".to_owned(), text)]);
    }
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let mut files = Vec::new();
    if metadata.is_dir() {
        collect(path, 0, &mut files)?;
    } else {
        files.push(path.to_owned());
    }
    files.sort();
    files.into_iter().map(|file| Ok((file.display().to_string(), text(&file)?))).collect()
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if depth > 32 {
        return Err(Usage(format!("{}: folders are nested more than 32 deep", folder.display())).into());
    }
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            collect(&path, depth + 1, files)?;
        } else if is_manifest(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether the file's name says that it holds manifests.
pub(crate) fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json")
}

/// Whether the file stands in a hidden folder, the data directory for example, below one of these: such are not read.
pub(crate) fn is_hidden(path: &Path, below: &[PathBuf]) -> bool {
    let inside = below.iter().find_map(|folder| path.strip_prefix(folder).ok());
    let is_hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    inside.is_some_and(|inside| inside.iter().any(is_hidden))
}

fn text(file: &Path) -> anyhow::Result<String> {
    let metadata = std::fs::metadata(file).map_err(|error| unreadable(file, &error))?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(Usage(format!(
            "{}: {} bytes; a manifest file has at most 16 MiB",
            file.display(),
            metadata.len()
        ))
        .into());
    }
    let bytes = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
    String::from_utf8(bytes).map_err(|_| Usage(format!("{}: not UTF-8 text", file.display())).into())
}

fn unreadable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    Usage(format!("{}: {error}", path.display())).into()
}

/// Everything that needs more than one object's frame: the kinds' own configurations, conditions and filters, and what
/// objects say about each other.
fn check(loaded: &mut Loaded, registry: &Registry) {
    let mut findings = Vec::new();
    for located in &loaded.objects {
        let own = match &located.object {
            Object::EventSource(object) => event_source_findings(object, registry),
            Object::Sensor(object) => sensor_findings(object, registry),
            Object::EventBus(object) => crate::buses::findings(object),
            _ => Vec::new(),
        };
        let frame = manifest::validate(&located.object, &registry.source_kinds());
        findings.push(dedup(frame.into_iter().chain(own)));
    }
    for (at, finding) in
        reference_findings(&loaded.objects).into_iter().chain(route_findings(&loaded.objects, registry))
    {
        if let Some(list) = findings.get_mut(at) {
            list.push(finding);
        }
    }
    for (located, findings) in loaded.objects.iter().zip(findings) {
        let object = located.object.object_ref();
        // A member of a wrong type has been told; that it then counts as absent is nothing to tell.
        let told: Vec<_> = loaded
            .diagnostics
            .iter()
            .filter(|one| one.object.as_ref() == Some(&object))
            .map(|one| one.path.clone())
            .collect();
        let new = findings.iter().filter(|finding| !told.contains(&finding.path));
        let new: Vec<_> = new.map(|finding| located.origin.diagnostic(&object, finding)).collect();
        loaded.diagnostics.extend(new);
    }
    loaded.diagnostics.sort_by_key(|diagnostic| {
        diagnostic.place.as_ref().map(|place| (place.file.clone(), place.line, place.column))
    });
}

/// Two rooms may notice the same thing; it is said once.
fn dedup(findings: impl Iterator<Item = Finding>) -> Vec<Finding> {
    let mut seen = std::collections::BTreeSet::new();
    findings.filter(|finding| seen.insert((finding.path.clone(), finding.code))).collect()
}

fn event_source_findings(object: &EventSource, registry: &Registry) -> Vec<Finding> {
    let spec = FieldPath::from("spec");
    let mut findings = Vec::new();
    for (kind, event, config) in object.spec.events() {
        let path = spec.key(kind).key(event.as_str());
        if let Some(factory) = registry.source(kind) {
            findings.extend(factory.check(config).into_iter().map(|finding| finding.under(&path)));
        } else if let Some(plan) = registry.planned_source(kind) {
            findings.extend(plan.check(config).into_iter().map(|finding| finding.under(&path)));
            findings.push(not_built("event source", kind, path));
        }
    }
    findings
}

fn sensor_findings(object: &Sensor, registry: &Registry) -> Vec<Finding> {
    let triggers = FieldPath::from("spec.triggers");
    let namespace = object.object_ref().namespace;
    let mut findings = Vec::new();
    for (at, trigger) in object.spec.triggers.iter().enumerate() {
        findings.extend(sensor_core::rule_findings(&namespace, object, at));
        findings.extend(action_findings(trigger, &triggers.index(at), registry));
    }
    findings
}

/// What is wrong with the actions of a trigger: its own, and those of `dlqTrigger` and `zetes.onExpire`.
fn action_findings(trigger: &Trigger, at: &FieldPath, registry: &Registry) -> Vec<Finding> {
    let mut findings = Vec::new();
    let parameters = sensor_core::parameters::findings(&trigger.parameters, false);
    findings.extend(parameters.into_iter().map(|finding| finding.under(&at.key("parameters"))));
    let actions = trigger.template.iter().flat_map(|template| &template.actions);
    for (kind, config) in actions.filter(|(_, config)| !config.is_null()) {
        let path = at.key("template").key(kind);
        if let Some(factory) = registry.trigger(kind) {
            findings.extend(factory.check(config).into_iter().map(|finding| finding.under(&path)));
        } else if let Some(plan) = registry.planned_trigger(kind) {
            findings.extend(plan.check(config).into_iter().map(|finding| finding.under(&path)));
            findings.push(not_built("trigger", kind, path));
        }
    }
    if let Some(second) = &trigger.dlq_trigger {
        findings.extend(action_findings(second, &at.key("dlqTrigger"), registry));
    }
    let expiry = trigger.zetes.as_ref().and_then(|extension| extension.on_expire.as_ref());
    if let Some(second) = expiry.and_then(|expiry| expiry.trigger.as_ref()) {
        let at = at.key("zetes").key("onExpire").key("trigger");
        findings.extend(action_findings(second, &at, registry));
    }
    findings
}

fn not_built(what: &str, kind: &str, path: FieldPath) -> Finding {
    Finding::error("not-in-this-build", path, format!("{what} kind `{kind}` is not in this build yet"))
        .hint("the rest of the object runs without it")
}

/// A dependency that names an EventSource which is here, but an event that it does not have.
fn reference_findings(objects: &[Located]) -> Vec<(usize, Finding)> {
    let mut events: BTreeMap<ObjectRef, Vec<String>> = BTreeMap::new();
    for located in objects {
        if let Object::EventSource(object) = &located.object {
            let names = object.spec.events().map(|(_, name, _)| name.to_string());
            events.entry(object.object_ref()).or_default().extend(names);
        }
    }
    let mut findings = Vec::new();
    for (at, located) in objects.iter().enumerate() {
        let Object::Sensor(sensor) = &located.object else { continue };
        for (index, dependency) in sensor.spec.dependencies.iter().enumerate() {
            let source = ObjectRef {
                kind: zetes_api::ObjectKind::EventSource,
                namespace: sensor.object_ref().namespace,
                name: dependency.event_source_name.as_str().into(),
            };
            let Some(names) = events.get(&source) else { continue };
            if names.contains(&dependency.event_name) || dependency.event_name.contains(['*', '?', '[', '{'])
            {
                continue;
            }
            let path = FieldPath::from("spec.dependencies").index(index).key("eventName");
            let message =
                format!("{source} has no event `{}`, it has {}", dependency.event_name, quoted(names));
            findings.push((at, Finding::warning("unknown-event", path, message)));
        }
    }
    findings
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}

/// Two events on one port and path, in one object or in two (S27).
fn route_findings(objects: &[Located], registry: &Registry) -> Vec<(usize, Finding)> {
    let mut owners = BTreeMap::new();
    let mut findings = Vec::new();
    for (at, located) in objects.iter().enumerate() {
        let Object::EventSource(object) = &located.object else { continue };
        for (kind, event, config) in object.spec.events() {
            let Some(factory) = registry.source(kind) else { continue };
            let owner = format!("{} event `{event}`", object.object_ref());
            for route in factory.routes(config) {
                let Some(first) = owners.insert(route.clone(), owner.clone()) else { continue };
                let path = FieldPath::from("spec").key(kind).key(event.as_str());
                let message = format!("port {} path `{}` is taken by {first}", route.port, route.path);
                owners.insert(route, first);
                findings.push((
                    at,
                    Finding::error("route-taken", path, message)
                        .hint("give one of them another endpoint or port"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use zetes_vectors::{Answer, Row};

    use super::*;

    #[test]
    fn a_change_in_a_hidden_folder_below_a_read_one_is_no_change() {
        let below = [PathBuf::from("."), PathBuf::from("/etc/.config/zetes")];
        assert!(is_hidden(Path::new("./.zetes/owner.json"), &below));
        assert!(!is_hidden(Path::new("./bus.yaml"), &below));
        assert!(!is_hidden(Path::new("/etc/.config/zetes/bus.yaml"), &below));
        assert!(is_hidden(Path::new("/etc/.config/zetes/.git/x.yaml"), &below));
    }

    /// What the reference accepts and is refused here: code, last name of the path (`*` is any), and why. Anything else that is
    /// refused so is a mistake of ours (docs/decisions/0004-what-never-works-is-refused-at-load.md).
    const REFUSED: [(&str, &str, &str); 27] = [
        ("bad-conditions", "*", COMPILED),
        ("unknown-dependency", "*", COMPILED),
        ("bad-expression", "*", COMPILED),
        ("bad-jq", "*", COMPILED),
        ("bad-regex", "*", COMPILED),
        ("bad-script", "*", COMPILED),
        ("bad-template", "*", COMPILED),
        ("route-taken", "*", "two events on one port and path (S27)"),
        ("bad-value", "args", "a flag that the operation does not know (S33)"),
        ("wrong-type", "factor", "a backoff that can't be read is never used (S50, spec/sensors.md 1.6)"),
        ("wrong-type", "jitter", "a backoff that can't be read is never used (S50, spec/sensors.md 1.6)"),
        ("bad-value", "duration", "a backoff that can't be read is never used (spec/sensors.md 1.6)"),
        ("bad-value", "timezone", "no start in the reference (spec/event-sources.md 2.1)"),
        ("bad-value", "exclusionDates", "no start in the reference (spec/event-sources.md 2.1)"),
        ("bad-value", "maxDuration", "catch-up needs no ConfigMap here (S39), so its text counts"),
        ("bad-value", "schedule", "a schedule that never fires"),
        ("missing-field", "bucket", "the reference crashes (spec/event-sources.md 2.15)"),
        ("missing-field", "source", "no object: every firing fails (spec/sensors.md 11)"),
        ("bad-value", "source", "no object: every firing fails (spec/sensors.md 11)"),
        ("missing-field", "valueFrom", "a header without a value: every firing fails"),
        ("missing-field", "allow", "a list that no status is in: every attempt fails (spec/sensors.md 8.6)"),
        ("bad-value", "endpoint", "a path that no request has"),
        ("bad-value", "port", "a port that can't be opened"),
        ("bad-value", "streamConfig", "settings that are no YAML"),
        ("bad-value", "githubBaseURL", "an address that no request can have: no hook is ever registered"),
        (
            "bad-value",
            "config",
            "settings that are no YAML: no start in the reference (spec/event-sources.md 2.7)",
        ),
        ("bad-value", "events", "an unknown event: no start in the reference (spec/event-sources.md 3.3)"),
    ];
    const COMPILED: &str = "compiled at load, an error there is a diagnostic (ARCHITECTURE.md, invariant 8)";
    /// What the reference refuses, by a part of its message, and is accepted here.
    const ACCEPTED: [(&str, &str); 2] = [
        ("does not accept descriptors", "`@daily` and its like are schedules (S39)"),
        ("character that cannot start any token", "tabs may stand before a comment (YAML 1.2)"),
    ];

    fn loaded(text: &str) -> Loaded {
        let options = Options { default_namespace: "default".into() };
        let manifests = manifest::read(manifest::Source { file: "manifest.yaml", text }, &options);
        let mut loaded =
            Loaded { objects: manifests.objects, diagnostics: manifests.diagnostics, ..Loaded::default() };
        check(&mut loaded, &Registry::of_this_build());
        loaded
    }

    /// Whether a manifest is refused, and why. That this build has no adapter for a kind is no refusal.
    fn verdict(text: &str, expected: &Value) -> Answer {
        let loaded = loaded(text);
        let errors: Vec<_> = loaded
            .diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error && one.code != "not-in-this-build")
            .collect();
        let decisions: Vec<_> = errors.iter().map(|one| refused(one)).collect();
        if let (Value::Bool(true), [Some(decision), others @ ..]) = (&expected["valid"], decisions.as_slice())
            && others.iter().all(Option::is_some)
        {
            return Answer::Decided(decision);
        }
        let message = expected["message"].as_str().unwrap_or_default();
        let decision = ACCEPTED.iter().find(|(part, _)| message.contains(part));
        if let Some((_, decision)) = decision.filter(|_| errors.is_empty()) {
            return Answer::Decided(decision);
        }
        let told: Vec<String> =
            errors.iter().map(|one| format!("{} {}: {}", one.code, one.path, one.message)).collect();
        json!({"valid": told.is_empty(), "told": told}).into()
    }

    /// The decision by which a finding refuses what the reference accepts.
    fn refused(one: &Diagnostic) -> Option<&'static str> {
        let path = one.path.to_string();
        let name = path.rsplit('.').next().unwrap_or_default();
        let name = name.split('[').next().unwrap_or_default();
        let is_it = |code: &str, last: &str| code == one.code && (last == "*" || last == name);
        REFUSED.iter().find(|(code, last, _)| is_it(code, last)).map(|(.., decision)| *decision)
    }

    fn alike(expected: &Value, got: &Value) -> bool {
        expected["valid"].is_null() || expected["valid"] == got["valid"]
    }

    #[test]
    fn vectors_of_objects() {
        let answer = |row: &Row| {
            let object = json!({
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": row.input["kind"],
                "metadata": {"name": "o"},
                "spec": row.input["spec"],
            });
            verdict(&object.to_string(), &row.expect)
        };
        zetes_vectors::check_rows("validation-inline", answer, alike);
    }

    #[test]
    fn vectors_of_manifests() {
        // Another folder of answers may be about the same manifests.
        let beside = zetes_vectors::folder().join("../compat");
        let ours = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/compat"));
        let compat = if beside.is_dir() { beside } else { ours };
        let answer = |row: &Row| {
            let file = compat.join(row.input["file"].as_str().unwrap_or_default());
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
                panic!("{}: {error}: put the manifests beside the answers", file.display())
            });
            let index = usize::try_from(row.input["document"].as_u64().unwrap()).unwrap();
            let document = text.split("\n---").nth(index).unwrap();
            verdict(document.trim_start_matches('-'), &row.expect)
        };
        zetes_vectors::check_rows("validation", answer, alike);
    }
}
