//! The reference's answers (`vectors/*.jsonl` beside the checkout), and how a test compares ours with them.
//!
//! ```ignore
//! #[test]
//! fn globs_match_what_the_reference_matches() {
//!     zetes_vectors::check("glob", |input| json!({"match": matches(input)}));
//! }
//! ```
//!
//! `ZETES_VECTORS` names another folder of the same form. A missing folder fails under `CI` and is said loudly elsewhere.
//! Every test that uses this has `vectors` in its path, so that `cargo test --workspace vectors` runs them all.

#![expect(clippy::panic, clippy::print_stdout, reason = "tests fail by panics, and counts are to be read")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use serde_json::Value;

#[cfg(test)]
mod tests;

/// A push as a git host posts it, with its headers, as an EventSource publishes it: about 7 KB. Ours, for benchmarks.
pub const PUSH: &str = include_str!("../documents/push.json");

/// One row: what goes in, and what is to come out.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: String,
    pub input: Value,
    /// Our own answer where a decision differs from the reference, its answer elsewhere.
    pub expect: Value,
    /// The decision (semantics.md) by which we differ.
    pub differs: Option<String>,
    /// The reference crashed: there is nothing to compare, but that we don't.
    pub crashed: bool,
}

/// Where the files are.
///
/// # Panics
///
/// Where `ZETES_VECTORS` names no folder.
pub fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("ZETES_VECTORS").map(PathBuf::from) {
        assert!(folder.is_dir(), "ZETES_VECTORS names {}, which is not a folder", folder.display());
        return folder;
    }
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"))
}

/// Rows of a kind; none, said loudly, where the file is not there.
///
/// # Panics
///
/// Under `CI` where the file is missing, and on a line that is no row.
pub fn rows(kind: &str) -> Vec<Row> {
    let folder = folder();
    let file = folder.join(format!("{kind}.jsonl"));
    let Ok(text) = std::fs::read_to_string(&file) else {
        // A folder of somebody's own need not have every kind.
        let may_be_absent = std::env::var_os("ZETES_VECTORS").is_some() || std::env::var_os("CI").is_none();
        assert!(may_be_absent, "{} is missing: put the vectors beside the checkout", file.display());
        eprintln!("NOT RUN: {} is missing", file.display());
        return Vec::new();
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            row(kind, line).unwrap_or_else(|what| panic!("{}:{}: {what}", file.display(), at + 1))
        })
        .collect()
}

fn row(kind: &str, line: &str) -> Result<Row, String> {
    let mut row: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    if text(&row, "kind").as_deref() != Some(kind) {
        return Err(format!("a row of kind {} in the file of `{kind}`", row["kind"]));
    }
    let differs = text(&row, "differs");
    let expect = if row.get("zetes").is_some() { row["zetes"].take() } else { row["expect"].take() };
    let crashed = text(&row, "reference_error").is_some_and(|error| error.starts_with("panic:"));
    Ok(Row { crashed, id: text(&row, "id").unwrap_or_default(), input: row["input"].take(), expect, differs })
}

/// What we say to a row.
#[derive(Clone, Debug)]
pub enum Answer {
    Ours(Value),
    /// Another one than the reference's, by a decision that the row does not name, in words.
    Decided(&'static str),
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Self::Ours(value)
    }
}

/// Compares our answer with what is expected for every row of a kind, and prints `kind: 212 of 212`.
///
/// # Panics
///
/// Where a row differs, with its input and both answers.
pub fn check<A: Into<Answer>>(kind: &str, answer: impl Fn(&Value) -> A) {
    check_as(kind, answer, |expected, got| expected == got);
}

/// [`check`], with an own idea of what is equal.
///
/// # Panics
///
/// As [`check`].
pub fn check_as<A: Into<Answer>>(
    kind: &str,
    answer: impl Fn(&Value) -> A,
    equal: impl Fn(&Value, &Value) -> bool,
) {
    check_rows(kind, |row| answer(&row.input), equal);
}

/// [`check_as`], where an answer depends on what is expected: how many firings, for example.
///
/// # Panics
///
/// As [`check`].
pub fn check_rows<A: Into<Answer>>(
    kind: &str,
    answer: impl Fn(&Row) -> A,
    equal: impl Fn(&Value, &Value) -> bool,
) {
    let mut count = Count::of(kind);
    for row in rows(kind) {
        match answer(&row).into() {
            Answer::Decided(decision) => count.decided(decision),
            Answer::Ours(got) if row.crashed || equal(&row.expect, &got) => count.equal(),
            Answer::Ours(got) => count.differs(&row, &got),
        }
    }
    count.end();
}

/// Counts the rows of a kind, for tests that can't go through [`check`].
#[derive(Debug)]
pub struct Count {
    kind: String,
    rows: usize,
    wrong: Vec<String>,
    decided: BTreeMap<&'static str, usize>,
}

impl Count {
    pub fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned(), rows: 0, wrong: Vec::new(), decided: BTreeMap::new() }
    }

    pub fn equal(&mut self) {
        self.rows += 1;
    }

    pub fn decided(&mut self, decision: &'static str) {
        self.rows += 1;
        *self.decided.entry(decision).or_default() += 1;
    }

    pub fn differs(&mut self, row: &Row, got: &dyn Debug) {
        self.rows += 1;
        self.wrong.push(format!("{}: {}\n  expected {}\n  got      {got:?}", row.id, row.input, row.expect));
    }

    /// Prints `kind: 212 of 212`, and which answers are ours by decision.
    ///
    /// # Panics
    ///
    /// Where a row differs.
    pub fn end(self) {
        if self.rows == 0 {
            return;
        }
        println!("{}: {} of {}", self.kind, self.rows - self.wrong.len(), self.rows);
        for (decision, rows) in &self.decided {
            println!("  {rows} of them ours by decision: {decision}");
        }
        let told = self.wrong.join("\n");
        assert!(
            self.wrong.is_empty(),
            "{}: {} of {} rows differ\n{told}",
            self.kind,
            self.wrong.len(),
            self.rows
        );
    }
}
