//! `filters.data`: values inside the data (spec/sensors.md 4.4, S5, S6, S8).

use std::sync::Arc;

use regex::bytes::Regex;
use zetes_api::{DataFilter, Event, FieldPath, Filters, Finding, Severity};
use zetes_gjson::Value;
use zetes_gotemplate::Template;

use super::number::{parse_bool, parse_number};
use super::{Ask, Check, Compat, Operator, Rejection, any_of, cut, not_json};
use crate::selector::Selector;

/// What a template prints for a value that is missing.
const NO_VALUE: &str = "<no value>";

/// The entries of `filters.data`, in the author's order.
#[derive(Clone, Debug)]
pub(super) struct DataFilters {
    operator: Operator,
    entries: Vec<Entry>,
}

/// One entry: a place in the data and what must stand there.
#[derive(Clone, Debug)]
struct Entry {
    /// `filters.data[0]`
    filter: String,
    looked_at: String,
    selector: Selector,
    /// `Broken` where it could not be compiled: such a Sensor does not run, and such an entry rejects whatever comes.
    template: Option<Result<Arc<Template>, Broken>>,
    comparator: Comparator,
    /// Whether each value must pass, or any of them.
    all: bool,
    values: Vec<Wanted>,
    wanted: String,
}

/// A template that can't be parsed.
#[derive(Clone, Copy, Debug)]
struct Broken;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// One that no value satisfies.
    Never,
}

/// What a value in the manifest asks for.
#[derive(Clone, Debug)]
enum Wanted {
    Bool(bool),
    Number(f64),
    Text(Regex),
    /// A value that is none of its type: whatever reaches it is rejected.
    Malformed,
}

impl DataFilters {
    /// `None` where there are no entries.
    pub(super) fn compile(filters: &Filters, compat: Compat, findings: &mut Vec<Finding>) -> Option<Self> {
        let field = "filters.dataLogicalOperator";
        let operator = Operator::parse(filters.data_logical_operator.as_deref(), field, findings);
        let outer = FieldPath::from("filters").key("data");
        let entries: Vec<_> = filters
            .data
            .iter()
            .enumerate()
            .map(|(at, entry)| Entry::compile(entry, &outer.index(at), compat, findings))
            .collect();
        (!entries.is_empty()).then_some(Self { operator, entries })
    }
}

impl Ask for DataFilters {
    fn ask(&self, event: &Event) -> Check {
        if event.data.is_none() {
            return Check::Passed;
        }
        if event.json_text().is_none() {
            return not_json("filters.data", event);
        }
        let mut checks = self.entries.iter().map(|entry| entry.check(event));
        match self.operator {
            Operator::And => checks.find(|check| *check != Check::Passed).unwrap_or(Check::Passed),
            Operator::Or => any_of(checks),
        }
    }
}

impl Entry {
    fn compile(entry: &DataFilter, at: &FieldPath, compat: Compat, findings: &mut Vec<Finding>) -> Self {
        let comparator = Comparator::parse(entry.comparator.as_deref(), &entry.value_type);
        let selector = Selector::written(Some(&entry.path), entry.json_path.as_deref(), at, findings);
        let template = entry.template.as_deref().filter(|text| !text.is_empty());
        let template = template.map(|text| {
            let parsed = Template::parse(text).map_err(|error| {
                let path = at.key("template");
                findings.push(
                    Finding::error("bad-template", path, error.message().to_owned()).span(error.span()),
                );
            });
            parsed.map(Arc::new).map_err(|()| Broken)
        });
        let values = entry.value.iter().enumerate().map(|(index, value)| {
            wanted(&entry.value_type, value).unwrap_or_else(|finding| {
                findings.push(finding.under(&at.key("value").index(index)));
                Wanted::Malformed
            })
        });
        Self {
            values: values.collect(),
            filter: at.to_string(),
            looked_at: selector.to_string(),
            selector,
            template,
            comparator,
            all: comparator == Comparator::NotEqual && !compat.ne_any,
            wanted: in_words(entry),
        }
    }

    fn check(&self, event: &Event) -> Check {
        let Some(found) = self.selector.find(event) else { return self.reject(None, "path-missing") };
        let found = match &self.template {
            None => found,
            Some(Err(Broken)) => return self.reject(Some(&found), "bad-template"),
            Some(Ok(template)) => {
                match template.render_text(&found.string(), event.time.unwrap_or_default()) {
                    Ok(text) if text.is_empty() || text == NO_VALUE => {
                        return self.reject(Some(&found), "template-empty");
                    }
                    Ok(text) => Value::new(zetes_gjson::quote(&text)),
                    Err(error) => {
                        let mut check = self.reject(Some(&found), "template-failed");
                        if let Check::Rejected(rejection) = &mut check {
                            rejection.seen = Some(cut(&error.to_string()));
                        }
                        return check;
                    }
                }
            }
        };
        for wanted in &self.values {
            match self.comparator.passes(&found, wanted) {
                None => return self.reject(Some(&found), "bad-value"),
                Some(true) if !self.all => return Check::Passed,
                Some(false) if self.all => return self.reject(Some(&found), self.comparator.reason()),
                Some(_) => {}
            }
        }
        if self.all && !self.values.is_empty() {
            return Check::Passed;
        }
        self.reject(Some(&found), self.comparator.reason())
    }

    fn reject(&self, found: Option<&Value<'_>>, reason: &'static str) -> Check {
        Check::Rejected(Rejection {
            filter: self.filter.clone(),
            looked_at: self.looked_at.clone(),
            seen: found.map(|found| cut(&found.string())),
            wanted: self.wanted.clone(),
            reason,
        })
    }
}

/// One value of the manifest, compiled by the entry's type.
fn wanted(value_type: &str, value: &str) -> Result<Wanted, Finding> {
    let bad = |expected: &str| {
        let message =
            format!("expected {expected}, found `{value}`: whatever is compared with it is rejected");
        Finding::warning("bad-value", FieldPath::root(), message)
    };
    match value_type {
        "bool" => parse_bool(value).map(Wanted::Bool).ok_or_else(|| bad("`true` or `false`")),
        "number" => parse_number(value).map(Wanted::Number).ok_or_else(|| bad("a number")),
        "string" => zetes_re2::compile(value).map(Wanted::Text).map_err(|error| {
            Finding::error("bad-regex", FieldPath::root(), error.to_string()).span(error.span(value))
        }),
        other => {
            let message = format!("expected type `bool`, `number` or `string`, found `{other}`");
            Err(Finding::warning("bad-value", FieldPath::root(), message))
        }
    }
}

impl Comparator {
    /// A bool is only ever compared for equality; a string is only ever matched or not.
    fn parse(text: Option<&str>, value_type: &str) -> Self {
        match (text.unwrap_or_default(), value_type) {
            (_, "bool") | ("" | "=", _) => Self::Equal,
            ("!=", _) => Self::NotEqual,
            (_, "string") => Self::Never,
            ("<", _) => Self::Less,
            ("<=", _) => Self::LessOrEqual,
            (">", _) => Self::Greater,
            (">=", _) => Self::GreaterOrEqual,
            _ => Self::Never,
        }
    }

    /// `None` if the manifest's value is malformed.
    fn passes(self, found: &Value<'_>, wanted: &Wanted) -> Option<bool> {
        match wanted {
            Wanted::Bool(wanted) => Some(found.boolean() == *wanted),
            Wanted::Number(wanted) => Some(self.compares(found.number(), *wanted)),
            Wanted::Text(wanted) => Some(self.matches(wanted.is_match(found.string().as_bytes()))),
            Wanted::Malformed => None,
        }
    }

    #[expect(clippy::float_cmp, reason = "equality of numbers as written is what is asked for")]
    fn compares(self, found: f64, wanted: f64) -> bool {
        match self {
            Self::Equal => found == wanted,
            Self::NotEqual => found != wanted,
            Self::Less => found < wanted,
            Self::LessOrEqual => found <= wanted,
            Self::Greater => found > wanted,
            Self::GreaterOrEqual => found >= wanted,
            Self::Never => false,
        }
    }

    fn matches(self, is_match: bool) -> bool {
        match self {
            Self::Equal => is_match,
            Self::NotEqual => !is_match,
            _ => false,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Equal => "not-equal",
            Self::NotEqual => "equal",
            Self::Less | Self::LessOrEqual => "not-less",
            Self::Greater | Self::GreaterOrEqual => "not-greater",
            Self::Never => "bad-comparator",
        }
    }
}

/// `= "a" or "b"`, `matches "^main$"`, `< "5"`.
fn in_words(entry: &DataFilter) -> String {
    let values: Vec<_> = entry.value.iter().map(|value| format!("{:?}", cut(value))).collect();
    let comparator = entry.comparator.as_deref().unwrap_or_default();
    let verb = match (entry.value_type.as_str(), comparator) {
        ("string", "" | "=") => "matches",
        ("string", "!=") => "does not match",
        ("bool", _) | (_, "") => "=",
        (_, other) => other,
    };
    let (values, several) = (values.join(" or "), values.len() > 1);
    let any = if several && verb != "matches" && verb != "=" { "any of " } else { "" };
    cut(&format!("{verb} {any}{values}"))
}

/// What is allowed and probably not meant: paths are relative to the dependency.
pub(crate) fn lint(filters: &Filters) -> Vec<Finding> {
    let outer = FieldPath::from("filters").key("data");
    let entries = filters.data.iter().enumerate();
    let mut findings: Vec<Finding> =
        entries.flat_map(|(at, entry)| lint_entry(entry, &outer.index(at))).collect();
    let outer = FieldPath::from("filters").key("exprs");
    for (index, entry) in filters.exprs.iter().enumerate() {
        let fields = outer.index(index).key("fields");
        for (index, field) in entry.fields.iter().enumerate().filter(|(_, field)| field.json_path.is_none()) {
            findings.extend(Selector::remarks(&field.path, &fields.index(index).key("path")));
        }
    }
    findings
}

fn lint_entry(entry: &DataFilter, at: &FieldPath) -> Vec<Finding> {
    let mut findings = Selector::remarks(&entry.path, &at.key("path"));
    if entry.json_path.is_some() {
        findings.clear();
    }
    if entry.value_type == "bool" && !matches!(entry.comparator.as_deref(), None | Some("" | "=")) {
        let message = "a bool is only compared for equality, whatever the comparator";
        findings.push(Finding::warning("unused-comparator", at.key("comparator"), message));
    }
    for (index, value) in entry.value.iter().enumerate() {
        let path = at.key("value").index(index);
        if let Err(finding) = wanted(&entry.value_type, value)
            && finding.severity == Severity::Warning
        {
            findings.push(finding.under(&path));
        }
        if entry.value_type == "string" && is_plain(value) {
            let message = format!("`{value}` is found anywhere in the text, as a regular expression");
            let hint = format!("for the whole text write `^{}$`", regex::escape(value));
            findings.push(Finding::warning("unanchored-regex", path, message).hint(hint));
        }
    }
    findings
}

/// Neither an anchor nor anything else that has a meaning in a regular expression; a dot alone is a slip.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && !value.contains(['^', '$', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '\\'])
}
