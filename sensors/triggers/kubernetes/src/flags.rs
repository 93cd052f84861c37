//! `args`: the flags of `argo submit`, carried out on the object (S33).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

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
    /// Reads `--flag=value`, `--flag value`, `-pvalue` and `-p value`.
    ///
    /// # Errors
    /// An unknown flag, or a value that is missing or has not its form, as a message.
    pub(crate) fn parse(args: &[String]) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (flag, value) =
                split(arg).ok_or_else(|| format!("expected a flag such as `--parameter`, found `{arg}`"))?;
            let value = match value {
                Some(value) => value.to_owned(),
                None => args.next().cloned().ok_or_else(|| format!("flag `{flag}` has no value"))?,
            };
            flags.set(flag, value)?;
        }
        Ok(flags)
    }

    fn set(&mut self, flag: &str, value: String) -> Result<(), String> {
        let pair = |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        match flag {
            "-p" | "--parameter" => self.parameters.push(
                pair(&value)
                    .ok_or_else(|| format!("expected `name=value` after `{flag}`, found `{value}`"))?,
            ),
            "--name" => self.name = Some(value),
            "--generate-name" => self.generate_name = Some(value),
            "--entrypoint" => self.entrypoint = Some(value),
            "--serviceaccount" => self.service_account = Some(value),
            "-l" | "--labels" => {
                for label in value.split(',') {
                    let (name, text) = pair(label)
                        .ok_or_else(|| format!("expected `key=value` after `{flag}`, found `{label}`"))?;
                    self.labels.insert(name, text);
                }
            }
            "--priority" => {
                self.priority = Some(
                    value
                        .parse()
                        .map_err(|_| format!("expected a number after `{flag}`, found `{value}`"))?,
                );
            }
            _ => {
                return Err(format!(
                    "unknown flag `{flag}`, expected one of -p --name --generate-name --entrypoint --serviceaccount -l --priority"
                ));
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
