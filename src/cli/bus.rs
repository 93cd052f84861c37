//! `zetes bus`: look into a bus, and move from one to another.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bus_embedded::{CheckReport, DamagedPlace, Disagreement};
use clap::{Args, Subcommand};
use zetes_api::Namespace;

use super::{Output, SecretPlaces, Usage};
use crate::buses::{BusInfo, Place};
use crate::copy::{self, Copied};
use crate::history::{self, History};
use crate::output;

/// Look into a bus: what is on it, how far its triggers are, whether it is whole; and move to another one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  zetes bus stats                                   events, bytes, and who is how far behind
  zetes bus check --data /var/lib/zetes             read every byte of the embedded bus
  zetes bus dump --from 1200 --to 1300 -o json      what stands in its log, entry by entry
  zetes bus copy --from .zetes --to eventbus.yaml   move to the server that this EventBus names

Exit codes: 0 well, 1 damage or failure, 2 wrong usage or unreadable input.")]
pub(crate) struct Bus {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell what is on the buses of a process or a data directory, and how far their consumers are.
    Stats {
        #[command(flatten)]
        place: history::Place,
        /// How to print it.
        #[arg(long, short, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Read the whole embedded bus and tell what is damaged. Changes nothing; may run beside the process that owns it.
    Check {
        #[command(flatten)]
        place: history::Place,
        /// How to print it.
        #[arg(long, short, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Print the log of the embedded bus, entry by entry, as lines of JSON.
    Dump {
        #[command(flatten)]
        place: history::Place,
        /// First sequence.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Sequence to end before.
        #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
        to: u64,
    },
    /// Carry unread events, waiting state and dead letters from one bus to another. The first is left as it is.
    ///
    /// Nothing may run on either of them meanwhile. Copying again adds what is missing, as long as the events are within the other
    /// bus's duplicate window.
    Copy(Copy),
}

#[derive(Debug, Args)]
struct Copy {
    /// A data directory of `zetes run`, or a file with the EventBus (and its Secrets) whose server it is.
    #[arg(long, value_name = "DIR|FILE")]
    from: PathBuf,
    /// As for --from; a directory is created when it is not there.
    #[arg(long, value_name = "DIR|FILE")]
    to: PathBuf,
    /// Namespace of documents that name none; between directories, the only one to carry.
    #[arg(long, short)]
    namespace: Option<String>,
    #[command(flatten)]
    places: SecretPlaces,
    /// How to print what was carried.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
}

impl Bus {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Stats { place, output } => super::runtime()?.block_on(stats(&place, output)),
            Command::Check { place, output } => check(&place, output),
            Command::Dump { place, from, to } => dump(&place, from..to),
            Command::Copy(copy) => super::runtime()?.block_on(copy.run()),
        }
    }
}

async fn stats(place: &history::Place, output: Output) -> anyhow::Result<ExitCode> {
    let infos = match place.history().await? {
        History::Process(process) => process.buses().await?,
        History::Directory(bus) => vec![BusInfo::of("embedded".to_owned(), &*bus).await],
    };
    output::print(&infos, output, || stats_table(&infos))?;
    let failed = infos.iter().any(|info| info.health.failure.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn stats_table(infos: &[BusInfo]) -> String {
    let text = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let bus = |info: &BusInfo| {
        let state = info.health.failure.as_ref().map_or("serving", |failure| &failure.error);
        [info.name.clone(), state.to_owned(), text(info.events), text(info.bytes), text(info.evicted_unread)]
    };
    let buses = output::table(
        ["BUS", "STATE", "EVENTS", "BYTES", "EVICTED"],
        &infos.iter().map(bus).collect::<Vec<_>>(),
    );
    let consumers: Vec<_> = infos
        .iter()
        .flat_map(|info| info.consumers.iter().map(move |consumer| (info, consumer)))
        .map(|(info, consumer)| {
            let oldest = consumer.oldest_unread.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            [
                info.name.clone(),
                consumer.name.clone(),
                consumer.lag.to_string(),
                consumer.in_flight.to_string(),
                oldest.unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    if consumers.is_empty() {
        return buses;
    }
    let headings = ["BUS", "CONSUMER", "LAG", "IN-FLIGHT", "OLDEST-UNREAD"];
    buses + "\n" + &output::table(headings, &consumers)
}

fn check(place: &history::Place, output: Output) -> anyhow::Result<ExitCode> {
    let report = bus_embedded::check(&place.bus_directory()?)?;
    output::print(&report, output, || check_text(&report))?;
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_text(report: &CheckReport) -> String {
    let CheckReport { segments, frames, bytes, events, records, acks, state, .. } = report;
    let count =
        |number: &u64, what: &str| output::count(usize::try_from(*number).unwrap_or(usize::MAX), what);
    let head = format!(
        "{}, {}, {}: {}, {}, {}, {}\n",
        count(segments, "segment"),
        count(frames, "frame"),
        count(bytes, "byte"),
        count(events, "event"),
        count(records, "record"),
        count(acks, "acknowledgement"),
        count(state, "state change"),
    );
    let damaged = report.damaged.iter().map(|DamagedPlace { file, from, to }| {
        format!("damaged: {file}, bytes {from} to {to}: not served; everything else is\n")
    });
    let disagreements = report
        .disagreements
        .iter()
        .map(|Disagreement { file, reason }| format!("made anew at the next start: {file}: {reason}\n"));
    let end = if report.is_sound() { "sound\n" } else { "not sound\n" };
    [head].into_iter().chain(damaged).chain(disagreements).chain([end.to_owned()]).collect()
}

fn dump(place: &history::Place, range: Range<u64>) -> anyhow::Result<ExitCode> {
    let mut failure = None;
    bus_embedded::dump(&place.bus_directory()?, range, &mut |line| match serde_json::to_string(&line) {
        Ok(line) => output::data(&format!("{line}\n")),
        Err(error) => failure = Some(error),
    })?;
    failure.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
}

impl Copy {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let (from, to) = (self.place(&self.from, true)?, self.place(&self.to, false)?);
        let namespace =
            from.namespace().or(to.namespace()).or(self.namespace.as_deref().map(Namespace::from));
        if let (Some(one), Some(other)) = (from.namespace(), to.namespace())
            && one != other
        {
            let message = format!("--from is of namespace `{one}` and --to of `{other}`: expected the same");
            return Err(Usage(message).into());
        }
        let (source, target) = (from.open().await?, to.open().await?);
        let mut told = 0;
        let mut tell = |events: usize| {
            if events >= told + 10_000 {
                told = events;
                output::note(&format!("{events} events so far"));
            }
        };
        let copied = copy::copy(&*source, &*target, namespace, &mut tell).await;
        target.close().await?;
        source.close().await?;
        let copied = copied?;
        output::print(&copied, self.output, || sentence(&copied))?;
        for event in &copied.too_large {
            output::note(&format!("too large for the other bus, left where it is: {event}"));
        }
        Ok(if copied.too_large.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn place(&self, path: &Path, must_exist: bool) -> anyhow::Result<Place> {
        if must_exist || path.exists() {
            Place::read(path, self.namespace.as_deref(), &self.places)
        } else {
            Ok(Place::directory(path))
        }
    }
}

fn sentence(copied: &Copied) -> String {
    let Copied { events, duplicates, consumers, state, dead_letters, .. } = copied;
    format!(
        "carried {}, {}, {} of state and {}; {} there already\n",
        output::count(*events, "event"),
        output::count(*consumers, "consumer"),
        output::count(*state, "key"),
        output::count(*dead_letters, "dead letter"),
        output::count(*duplicates, "event"),
    )
}
