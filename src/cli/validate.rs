//! `zetes validate`: every mistake of every document, with its place.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use zetes_api::{Namespace, Severity};

use crate::load::{self, Loaded};
use crate::output;
use crate::registry::Registry;

/// Check manifests without running them: all errors of all documents, with file, line, column and a hint.
#[derive(Debug, Args)]
#[command(visible_alias = "lint")]
#[command(after_help = "Examples:
  zetes validate manifests/
  zetes validate -o json sensor.yaml | jq '.[].code'
  helm template chart | zetes validate -

Exit codes: 0 nothing wrong (or warnings only), 1 errors (or warnings with --strict), 2 unreadable input.")]
pub(crate) struct Validate {
    /// Files, folders (*.yaml, *.yml, *.json, recursively), or - for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Namespace of documents that name none.
    #[arg(long, short, default_value = "default")]
    namespace: String,
    /// Warnings count as errors.
    #[arg(long)]
    strict: bool,
    /// How to print the findings.
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with the source line underlined.
    Text,
    /// A list of objects with file, line, column, code, path, message and hint.
    Json,
}

impl Validate {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let namespace = Namespace::from(self.namespace.as_str());
        let loaded = load::load(&self.paths, &namespace, &Registry::of_this_build())?;
        let warnings = loaded.diagnostics.iter().filter(|found| found.severity == Severity::Warning).count();
        match self.output {
            Format::Text => print_text(&loaded, warnings),
            Format::Json => {
                output::data(&format!("{}\n", serde_json::to_string_pretty(&loaded.diagnostics)?));
            }
        }
        let failed = loaded.errors() > 0 || (self.strict && warnings > 0);
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn print_text(loaded: &Loaded, warnings: usize) {
    for found in &loaded.diagnostics {
        output::data(&format!("{}\n\n", output::diagnostic(found)));
    }
    let other = if loaded.other_kinds == 0 {
        String::new()
    } else {
        format!(", {} of other kinds left alone", output::count(loaded.other_kinds, "document"))
    };
    output::note(&format!(
        "{}: {}, {}{other}",
        output::count(loaded.objects.len(), "object"),
        output::count(loaded.errors(), "error"),
        output::count(warnings, "warning"),
    ));
}
