//! The one place that prints: data to stdout, the rest to stderr, colours only on a terminal.

use std::io::Write as _;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use owo_colors::OwoColorize as _;
use serde::Serialize;
use zetes_api::{Diagnostic, Severity};

use crate::cli::Output;

/// Text that another program may read. A closed pipe is no failure.
pub(crate) fn data(text: &str) {
    let mut stdout = anstream::stdout().lock();
    drop(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
}

/// Text for the person in front of the terminal.
pub(crate) fn note(text: &str) {
    drop(writeln!(anstream::stderr().lock(), "{text}"));
}

/// The one sentence of a command that failed, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    note(&format!("{} {error:#}", "error:".red().bold()));
}

/// Data in the form that was asked for; `table` is made by the caller.
///
/// # Errors
/// The data has no JSON or YAML form.
pub(crate) fn print(
    value: &impl Serialize,
    output: Output,
    table: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    match output {
        Output::Table => data(&table()),
        Output::Json => data(&format!("{}\n", serde_json::to_string_pretty(value)?)),
        Output::Yaml => data(&serde_saphyr::to_string(value)?),
    }
    Ok(())
}

/// Columns as kubectl writes them: three blanks apart, headings in capitals.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(headings.get(column).map(|heading| heading.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |cells: Vec<&str>| -> String {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    let mut lines = vec![line(headings.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n") + "\n"
}

/// A diagnostic as compilers write it, with the source line underlined.
pub(crate) fn diagnostic(diagnostic: &Diagnostic) -> String {
    let object = diagnostic.object.as_ref().map_or_else(String::new, |object| format!("{object}: "));
    let path = diagnostic.path.to_string();
    let path = if path.is_empty() { path } else { format!("{path}: ") };
    let title = format!("{object}{path}{}", diagnostic.message);
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let hint = diagnostic.hint.as_deref().unwrap_or_default();
    let Some(place) = &diagnostic.place else {
        let hint = if hint.is_empty() { String::new() } else { format!("\n  = help: {hint}") };
        return format!("{}[{}]: {title}{hint}", severity(diagnostic.severity), diagnostic.code);
    };
    let start: usize = place.source.chars().take(place.column.saturating_sub(1)).map(char::len_utf8).sum();
    let length: usize = place
        .source
        .chars()
        .skip(place.column.saturating_sub(1))
        .take(place.length)
        .map(char::len_utf8)
        .sum();
    let snippet = Snippet::source(&place.source)
        .line_start(place.line)
        .path(&place.file)
        .annotation(AnnotationKind::Primary.span(start..start + length).label(hint));
    let report = [level.primary_title(&title).id(diagnostic.code).element(snippet)];
    Renderer::styled().render(&report)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// "3 errors", "1 warning".
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
