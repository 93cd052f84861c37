//! `args`: the flags of the argo program, those of `submit` carried out on the object (S33, spec/sensors.md 11.2).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A flag of the argo program: its names, whether it takes a value, and the operations that know it.
struct Known {
    names: &'static [&'static str],
    takes_value: bool,
    operations: &'static [&'static str],
}

const fn known(
    names: &'static [&'static str],
    takes_value: bool,
    operations: &'static [&'static str],
) -> Known {
    Known { names, takes_value, operations }
}

const SUBMITS: &[&str] = &["submit", "submit-from"];
const WAITS: &[&str] = &["submit", "submit-from", "resubmit", "retry"];
const ALL: &[&str] =
    &["submit", "submit-from", "resubmit", "retry", "resume", "suspend", "stop", "terminate"];
const KNOWN: [Known; 21] = [
    known(&["-p", "--parameter"], true, WAITS),
    known(&["-f", "--parameter-file"], true, SUBMITS),
    known(&["--name"], true, SUBMITS),
    known(&["--generate-name"], true, SUBMITS),
    known(&["--entrypoint"], true, SUBMITS),
    known(&["--serviceaccount"], true, SUBMITS),
    known(&["-l", "--labels"], true, SUBMITS),
    known(&["--priority"], true, &["submit"]),
    known(&["--scheduled-time"], true, &["submit-from"]),
    known(&["--memoized"], false, &["resubmit"]),
    known(&["--restart-successful"], false, &["retry"]),
    known(&["--node-field-selector"], true, &["retry", "resume", "stop"]),
    known(&["--message"], true, &["stop"]),
    known(&["-l", "--selector"], true, &["resubmit", "retry", "stop", "terminate"]),
    known(&["--field-selector"], true, &["resubmit", "retry", "stop", "terminate"]),
    known(&["-w", "--wait"], false, WAITS),
    known(&["--watch", "--log"], false, WAITS),
    known(&["-o", "--output", "--status"], true, WAITS),
    known(&["--dry-run", "--server-dry-run"], false, SUBMITS),
    known(&["--strict"], false, &["submit"]),
    known(&["-n", "--namespace", "--instanceid", "-s", "--argo-server"], true, ALL),
];

/// Why `args` can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FlagError {
    /// Unknown to the operation, or without a value of its form.
    Bad(String),
    NotInThisBuild(String),
}

impl FlagError {
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Bad(message) | Self::NotInThisBuild(message) => message,
        }
    }
}

/// What the flags ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    parameters: Vec<(String, String)>,
    name: Option<String>,
    generate_name: Option<String>,
    entrypoint: Option<String>,
    service_account: Option<String>,
    labels: BTreeMap<String, String>,
    priority: Option<i64>,
}

impl Flags {
    /// Reads `--flag=value`, `--flag value`, `-pvalue` and `-p value`. Of other operations than `submit` only the form is read.
    ///
    /// # Errors
    /// The first flag that can't be used.
    pub(crate) fn parse(operation: &str, args: &[String]) -> Result<Self, FlagError> {
        let mut flags = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let bad = |message: String| FlagError::Bad(message);
            let (flag, value) = split(arg)
                .ok_or_else(|| bad(format!("expected a flag such as `--parameter`, found `{arg}`")))?;
            let takes_value = takes_value(operation, flag).ok_or_else(|| bad(unknown(operation, flag)))?;
            let value = match value {
                Some(value) => value.to_owned(),
                None if !takes_value => String::new(),
                None => args.next().cloned().ok_or_else(|| bad(format!("flag `{flag}` has no value")))?,
            };
            if operation == "submit" {
                flags.set(flag, value)?;
            }
        }
        Ok(flags)
    }

    fn set(&mut self, flag: &str, value: String) -> Result<(), FlagError> {
        let pair = |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let expected = |what: &str, found: &str| {
            FlagError::Bad(format!("expected {what} after `{flag}`, found `{found}`"))
        };
        match flag {
            "-p" | "--parameter" => {
                self.parameters.push(pair(&value).ok_or_else(|| expected("`name=value`", &value))?);
            }
            "--name" => self.name = Some(value),
            "--generate-name" => self.generate_name = Some(value),
            "--entrypoint" => self.entrypoint = Some(value),
            "--serviceaccount" => self.service_account = Some(value),
            "-l" | "--labels" => {
                for label in value.split(',') {
                    let (name, text) = pair(label).ok_or_else(|| expected("`key=value`", label))?;
                    self.labels.insert(name, text);
                }
            }
            "--priority" => {
                self.priority = Some(value.parse().map_err(|_| expected("a number", &value))?);
            }
            _ => {
                return Err(FlagError::NotInThisBuild(format!("flag `{flag}` is not in this build yet")));
            }
        }
        Ok(())
    }

    pub(crate) fn apply(&self, object: &mut Value) {
        if let Some(name) = &self.name {
            member(object, "metadata").insert("name".to_owned(), json!(name));
        }
        if let Some(name) = &self.generate_name {
            member(object, "metadata").insert("generateName".to_owned(), json!(name));
        }
        if !self.labels.is_empty() {
            let mut metadata = Value::Object(std::mem::take(member(object, "metadata")));
            member(&mut metadata, "labels")
                .extend(self.labels.iter().map(|(name, text)| (name.clone(), json!(text))));
            *object = with(std::mem::take(object), "metadata", metadata);
        }
        let spec = [
            ("entrypoint", self.entrypoint.as_ref().map(|text| json!(text))),
            ("serviceAccountName", self.service_account.as_ref().map(|text| json!(text))),
            ("priority", self.priority.map(|number| json!(number))),
        ];
        for (key, value) in spec.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            member(object, "spec").insert(key.to_owned(), value);
        }
        self.apply_parameters(object);
    }

    /// The given ones first, then those of the object that none of them replaces.
    fn apply_parameters(&self, object: &mut Value) {
        if self.parameters.is_empty() {
            return;
        }
        let given = self.parameters.iter().map(|(name, value)| json!({"name": name, "value": value}));
        let is_given = |parameter: &Value| {
            self.parameters.iter().any(|(name, _)| parameter.get("name").is_some_and(|one| one == name))
        };
        let others = object
            .pointer("/spec/arguments/parameters")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let parameters: Vec<Value> =
            given.chain(others.into_iter().filter(|parameter| !is_given(parameter))).collect();
        let mut arguments = object.pointer("/spec/arguments").cloned().unwrap_or_else(|| json!({}));
        if let Some(arguments) = arguments.as_object_mut() {
            arguments.insert("parameters".to_owned(), json!(parameters));
        }
        member(object, "spec").insert("arguments".to_owned(), arguments);
    }
}

/// Whether a flag takes a value; `None` where the operation does not know it.
fn takes_value(operation: &str, flag: &str) -> Option<bool> {
    let mut known = KNOWN.iter().filter(|known| known.operations.contains(&operation));
    known.find(|known| known.names.contains(&flag)).map(|known| known.takes_value)
}

fn unknown(operation: &str, flag: &str) -> String {
    let known = KNOWN.iter().filter(|known| known.operations.contains(&operation));
    let names: Vec<&str> = known.filter_map(|known| known.names.last().copied()).collect();
    format!("unknown flag `{flag}` of `argo {operation}`, expected one of {}", names.join(" "))
}

fn with(object: Value, key: &str, value: Value) -> Value {
    let mut members = match object {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    members.insert(key.to_owned(), value);
    Value::Object(members)
}

fn split(arg: &str) -> Option<(&str, Option<&str>)> {
    if arg.starts_with("--") {
        return Some(arg.split_once('=').map_or((arg, None), |(flag, value)| (flag, Some(value))));
    }
    let (flag, value) = arg.split_at_checked(2).filter(|_| arg.starts_with('-'))?;
    Some((flag, Some(value.trim_start_matches('=')).filter(|value| !value.is_empty())))
}

/// The member as an object, made when it is none.
pub(crate) fn member<'o>(object: &'o mut Value, key: &str) -> &'o mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let members = object.as_object_mut().expect("made an object above");
    let member = members.entry(key.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    if !member.is_object() {
        *member = Value::Object(Map::new());
    }
    member.as_object_mut().expect("made an object above")
}
