//! The checks of one dependency, compiled once (spec/sensors.md 4, S5 to S11).

mod context;
mod data;
mod exprs;
mod number;
mod script;
mod time;

use zetes_api::{Dependency, Event, Finding, Verdict};

pub(crate) use data::lint;
pub(crate) use script::bad_script;

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
    exprs: Option<exprs::ExprFilters>,
    data: Option<data::DataFilters>,
    context: Option<context::Context>,
    time: Option<time::TimeOfDay>,
    script: Option<script::ScriptFilter>,
    /// Its time could not be compiled: such a Sensor does not run, and such a filter rejects whatever comes.
    bad_time: bool,
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
        let Some(filters) = &dependency.filters else { return (Self::default(), findings) };
        let time = filters.time.as_ref().and_then(|time| time::TimeOfDay::compile(time, &mut findings));
        let filter = Self {
            present: true,
            operator,
            exprs: exprs::ExprFilters::compile(filters, &mut findings),
            data: data::DataFilters::compile(filters, compat, &mut findings),
            context: filters.context.as_ref().map(context::Context::compile),
            bad_time: filters.time.is_some() && time.is_none(),
            time,
            script: script::ScriptFilter::compile(filters, &mut findings),
        };
        (filter, findings)
    }

    pub(crate) fn check(&self, event: &Event) -> Check {
        if !self.present {
            return Check::Passed;
        }
        let kinds: [Option<&dyn Ask>; 5] = [
            self.exprs.as_ref().map(|kind| kind as &dyn Ask),
            self.data.as_ref().map(|kind| kind as &dyn Ask),
            self.context.as_ref().map(|kind| kind as &dyn Ask),
            self.time.as_ref().map(|kind| kind as &dyn Ask),
            self.script.as_ref().map(|kind| kind as &dyn Ask),
        ];
        let bad_time = self.bad_time.then(bad_time);
        let mut checks = kinds.into_iter().flatten().map(|kind| kind.ask(event)).chain(bad_time);
        match self.operator {
            Operator::And => checks.find(|check| *check != Check::Passed).unwrap_or(Check::Passed),
            Operator::Or => any_of(checks),
        }
    }

    pub(crate) fn runs_script(&self) -> bool {
        self.script.is_some()
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

fn bad_time() -> Check {
    Check::Rejected(Rejection {
        filter: "filters.time".to_owned(),
        looked_at: "time".to_owned(),
        seen: None,
        wanted: "a time filter that can be read".to_owned(),
        reason: "bad-value",
    })
}

/// Data that a filter can't look into.
fn not_json(filter: &str, event: &Event) -> Check {
    let text = String::from_utf8_lossy(event.data.as_deref().unwrap_or_default());
    Check::Rejected(Rejection {
        filter: filter.to_owned(),
        looked_at: "data".to_owned(),
        seen: Some(cut(&text)),
        wanted: "data that is JSON".to_owned(),
        reason: "not-json",
    })
}

/// As much of a value as a record keeps.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(SEEN_LIMIT) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
