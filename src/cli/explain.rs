//! `zetes explain`: what became of an event.

use std::process::ExitCode;

use clap::Args;
use zetes_api::EventId;

use super::Output;
use crate::explain::{self, Explanation};
use crate::history::{History, Place};
use crate::output;

/// Tell what became of an event: what matched, what rejected it and why, every attempt, the result.
///
/// Asks the running process that owns the data directory; without one it reads the directory itself.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  zetes explain 4f1c0b6c2c7e4c3f8a5d9e0b1a2c3d4e
  zetes explain --data /var/lib/zetes -o json 72d3162e-cc78-11e3-81ab-4c9367dc0958

The id is in the X-Event-Id header of a webhook's answer, in the log, and in `zetes events`.
Exit codes: 0 found, 1 the bus has no such event (any more).")]
pub(crate) struct Explain {
    /// The event's id.
    event_id: String,
    #[command(flatten)]
    place: Place,
    /// How to print it.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
}

impl Explain {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let id = EventId::from(self.event_id.as_str());
        let explanations = super::runtime()?.block_on(async {
            match self.place.history().await? {
                History::Process(process) => process.explain(&id).await,
                History::Directory(bus) => Ok(explain::explain(&*bus, &id).await?),
            }
        })?;
        if explanations.is_empty() {
            output::note(&format!(
                "the bus has no event `{id}`: never accepted here, or older than its retention; try `zetes events`"
            ));
            return Ok(ExitCode::FAILURE);
        }
        output::print(&explanations, self.output, || {
            explanations.iter().map(Explanation::story).collect::<Vec<_>>().join("\n")
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
