//! `zetes validate`: every mistake of every document, with its place.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use zetes_api::manifest::Object;
use zetes_api::{FieldPath, Finding, Namespace, Severity};
use zetes_runtime::{Clock, Secrets};

use super::SecretPlaces;
use crate::buses::{self, Means};
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
  zetes validate --connect eventbus.yaml      are its servers there, and do they let us in?

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
    /// Also connect to the servers that EventBuses name, and tell what they refuse.
    #[arg(long)]
    connect: bool,
    #[command(flatten)]
    places: SecretPlaces,
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
        let mut loaded = load::load(&self.paths, &namespace, &Registry::of_this_build())?;
        if self.connect {
            let secrets = loaded.secrets(self.places.builder())?;
            super::runtime()?.block_on(connect(&mut loaded, secrets));
        }
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

/// Adds what the servers say.
async fn connect(loaded: &mut Loaded, secrets: Secrets) {
    let failing = loaded.failing();
    let means = Means { data: PathBuf::new(), clock: Clock::system(), secrets, jetstream_url: None };
    for located in &loaded.objects {
        let Object::EventBus(bus) = &located.object else { continue };
        let object = bus.object_ref();
        if failing.contains(&object) {
            continue;
        }
        let path = FieldPath::from("spec");
        let findings = match buses::check_server(bus, &means).await {
            None => Vec::new(),
            Some(Ok(health)) => {
                let warning = |text| Finding::warning("bus-setting", path.clone(), text);
                health.warnings.into_iter().map(warning).collect()
            }
            Some(Err(error)) => vec![Finding::error("bus-unusable", path.clone(), error.to_string())],
        };
        let told = findings.iter().map(|finding| located.origin.diagnostic(&object, finding));
        loaded.diagnostics.extend(told);
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
