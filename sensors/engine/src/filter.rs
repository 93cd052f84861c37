//! The checks of one dependency, compiled once (spec/sensors.md 4, S5 to S11).

mod context;
mod data;
mod number;
mod time;

use zetes_api::{Dependency, Event, FieldPath, Filters, Finding, Verdict};

pub(crate) use data::lint;

/// Characters of a value that a record keeps.
const SEEN_LIMIT: usize = 256;

/// What a dependency's filters say about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    Passed,
    Rejected(Rejection),
}

/// Which check said no, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Field path under the dependency: `filters.data[0]`.
    pub filter: String,
    /// What it looked at: `body.ref`.
    pub looked_at: String,
    /// The value seen, cut to 256 characters.
    pub seen: Option<String>,
    /// What would have passed, in words.
    pub wanted: String,
    /// Stable kebab-case reason.
    pub reason: &'static str,
}

/// Behaviours of the reference that an annotation of the Sensor switches back on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compat {
    /// `!=` with several values passes when one of them differs (S5).
    pub(crate) ne_any: bool,
    /// Firing clears every waiting event, not only those of the branch (S17).
    pub(crate) clear_all: bool,
}

/// How several checks combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Operator {
    #[default]
    And,
    Or,
}

/// A dependency's filters, ready to be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Absent filters pass; present but empty ones don't under `or` (spec/sensors.md 4.1).
    present: bool,
    operator: Operator,
    data: Option<data::DataFilters>,
    context: Option<context::Context>,
    time: Option<time::TimeOfDay>,
}

impl Filter {
    /// Compiles what the dependency says. With the findings, whose paths are relative to the dependency, comes a filter
    /// that is fit to be asked if none of them is an error.
    pub(crate) fn compile(dependency: &Dependency, compat: Compat) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let operator = Operator::parse(
            dependency.filters_logical_operator.as_deref(),
            "filtersLogicalOperator",
            &mut findings,
        );
        not_in_this_build(dependency, &mut findings);
        let Some(filters) = &dependency.filters else { return (Self::default(), findings) };
        let filter = Self {
            present: true,
            operator,
            data: data::DataFilters::compile(filters, compat, &mut findings),
            context: filters.context.as_ref().map(context::Context::compile),
            time: filters.time.as_ref().and_then(|time| time::TimeOfDay::compile(time, &mut findings)),
        };
        (filter, findings)
    }

    pub(crate) fn check(&self, event: &Event) -> Check {
        if !self.present {
            return Check::Passed;
        }
        let kinds: [Option<&dyn Ask>; 3] = [
            self.data.as_ref().map(|kind| kind as &dyn Ask),
            self.context.as_ref().map(|kind| kind as &dyn Ask),
            self.time.as_ref().map(|kind| kind as &dyn Ask),
        ];
        let mut checks = kinds.into_iter().flatten().map(|kind| kind.ask(event));
        match self.operator {
            Operator::And => checks.find(|check| *check != Check::Passed).unwrap_or(Check::Passed),
            Operator::Or => any_of(checks),
        }
    }
}

/// One kind of filter.
trait Ask {
    fn ask(&self, event: &Event) -> Check;
}

/// An error counts as false, the others decide (S7). When all say no, the first one speaks.
fn any_of(checks: impl Iterator<Item = Check>) -> Check {
    let mut first = None;
    for check in checks {
        match check {
            Check::Passed => return Check::Passed,
            rejected @ Check::Rejected(_) => {
                first.get_or_insert(rejected);
            }
        }
    }
    first.unwrap_or_else(|| {
        Check::Rejected(Rejection {
            filter: "filters".to_owned(),
            looked_at: String::new(),
            seen: None,
            wanted: "at least one filter, because filtersLogicalOperator is or".to_owned(),
            reason: "no-filter",
        })
    })
}

impl Rejection {
    pub(crate) fn into_verdict(self) -> Verdict {
        Verdict::Rejected {
            filter: self.filter,
            looked_at: self.looked_at,
            seen: self.seen,
            wanted: self.wanted,
            reason: self.reason.to_owned(),
        }
    }
}

impl Operator {
    fn parse(text: Option<&str>, field: &str, findings: &mut Vec<Finding>) -> Self {
        match text {
            None | Some("" | "and") => Self::And,
            Some("or") => Self::Or,
            Some(other) => {
                let message = format!("expected `and` or `or`, found `{other}`");
                findings.push(Finding::error("bad-value", field, message));
                Self::And
            }
        }
    }
}

/// Parts that pass or reshape events and that this build can't evaluate: serving the object without them would be wrong.
fn not_in_this_build(dependency: &Dependency, findings: &mut Vec<Finding>) {
    let mut report = |path: FieldPath| {
        let message = format!("`{path}` is known, but this build can't evaluate it");
        findings.push(Finding::error("not-in-this-build", path, message));
    };
    let filled = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    if dependency
        .transform
        .as_ref()
        .is_some_and(|transform| filled(&transform.jq) || filled(&transform.script))
    {
        report("transform".into());
    }
    let Some(filters) = &dependency.filters else { return };
    not_in_this_build_filters(filters, &mut report);
}

fn not_in_this_build_filters(filters: &Filters, report: &mut impl FnMut(FieldPath)) {
    let filled = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let outer = FieldPath::from("filters");
    if !filters.exprs.is_empty() {
        report(outer.key("exprs"));
    }
    if filled(&filters.script) {
        report(outer.key("script"));
    }
    for (at, entry) in filters.data.iter().enumerate() {
        if filled(&entry.template) {
            report(outer.key("data").index(at).key("template"));
        }
    }
}

/// As much of a value as a record keeps.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SEEN_LIMIT) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
