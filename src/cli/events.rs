//! `zetes events`: what came in lately.

use std::process::ExitCode;

use clap::Args;

use super::Output;
use crate::explain::{self, EventLine};
use crate::history::{History, Place};
use crate::output;

/// List the newest events on the bus.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  zetes events
  zetes events --limit 100 -o json")]
pub(crate) struct Events {
    /// How many, 1 to 10,000.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    #[command(flatten)]
    place: Place,
    /// How to print them.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
}

impl Events {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let limit = usize::from(self.limit);
        let lines = super::runtime()?.block_on(async {
            match self.place.history().await? {
                History::Process(process) => process.newest(limit).await,
                History::Directory(bus) => Ok(explain::newest(&*bus, limit).await?),
            }
        })?;
        output::print(&lines, self.output, || table(&lines))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn table(lines: &[EventLine]) -> String {
    let rows: Vec<_> = lines
        .iter()
        .map(|line| {
            let received = line.received_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            [
                line.namespace.to_string(),
                line.event_source.clone(),
                line.event.clone(),
                received,
                line.id.clone(),
            ]
        })
        .collect();
    output::table(["NAMESPACE", "EVENTSOURCE", "EVENT", "RECEIVED", "ID"], &rows)
}
