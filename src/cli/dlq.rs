//! `zetes dlq`: the rounds that were given up, and what is to become of them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use sensor_core::{DeadLetter, DeadLetterId, DeadLetters};

use super::{Output, Usage};
use crate::history::{History, Place};
use crate::output;

/// List, show, redrive and discard dead letters: rounds whose action failed for good, kept whole.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  zetes dlq list
  zetes dlq show default/1795561200000-4f1c0b6c
  zetes dlq redrive --sensor deploy --dry-run        what would be fired again
  zetes dlq redrive --sensor deploy --rate 5         five a second
  zetes dlq discard --reason permanent-failure --yes

A redrive fires the same events with the same idempotency key, so that the far side can tell a repetition. It needs the running
process that owns the data directory; the other commands read the directory when there is none.
Exit codes: 0 well, 1 some could not be done or are not there, 2 wrong usage.")]
pub(crate) struct Dlq {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List dead letters, oldest first.
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        place: Place,
        /// How to print them.
        #[arg(long, short, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Show one dead letter with its events.
    Show {
        /// Its id, as `zetes dlq list` prints it.
        id: String,
        #[command(flatten)]
        place: Place,
        /// How to print it.
        #[arg(long, short, value_enum, default_value_t = Output::Yaml)]
        output: Output,
    },
    /// Fire dead letters again.
    Redrive {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: How,
        /// At most so many a second.
        #[arg(long, value_name = "PER_SECOND", default_value_t = 10.0)]
        rate: f64,
        #[command(flatten)]
        place: Place,
    },
    /// Remove dead letters for good.
    Discard {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: How,
        /// Needed when they are not named one by one.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// Which dead letters are meant: those that fit everything that is given.
#[derive(Debug, Args)]
struct Which {
    /// Ids, as `zetes dlq list` prints them.
    ids: Vec<String>,
    /// Only of this namespace.
    #[arg(long, short)]
    namespace: Option<String>,
    /// Only of this Sensor.
    #[arg(long)]
    sensor: Option<String>,
    /// Only of this trigger.
    #[arg(long)]
    trigger: Option<String>,
    /// Only those given up for this reason: attempts-exhausted, permanent-failure, window.
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Args)]
struct How {
    /// All of them, when nothing else says which.
    #[arg(long)]
    all: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Which {
    fn is_empty(&self) -> bool {
        self.ids.is_empty()
            && self.namespace.is_none()
            && self.sensor.is_none()
            && self.trigger.is_none()
            && self.reason.is_none()
    }

    fn fits(&self, letter: &DeadLetter) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        (self.ids.is_empty() || self.ids.iter().any(|id| id == letter.id.as_str()))
            && is(&self.namespace, letter.namespace.as_str())
            && is(&self.sensor, letter.sensor.as_str())
            && is(&self.trigger, letter.trigger.as_str())
            && is(&self.reason, &letter.reason)
    }

    /// The letters that are meant. Ids that are not there are told and are a failure.
    fn choose(&self, letters: Vec<DeadLetter>) -> (Vec<DeadLetter>, usize) {
        let unknown: Vec<_> =
            self.ids.iter().filter(|id| !letters.iter().any(|letter| letter.id.as_str() == *id)).collect();
        for id in &unknown {
            output::note(&format!("there is no dead letter `{id}`"));
        }
        let chosen = letters.into_iter().filter(|letter| self.fits(letter)).collect();
        (chosen, unknown.len())
    }
}

impl Dlq {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        super::runtime()?.block_on(async {
            match self.command {
                Command::List { which, place, output } => list(&which, &place, output).await,
                Command::Show { id, place, output } => show(id, &place, output).await,
                Command::Redrive { which, how, rate, place } => redrive(&which, &how, rate, &place).await,
                Command::Discard { which, how, yes, place } => discard(&which, &how, yes, &place).await,
            }
        })
    }
}

async fn letters(history: &History) -> anyhow::Result<Vec<DeadLetter>> {
    match history {
        History::Process(process) => process.dead_letters().await,
        History::Directory(bus) => Ok(DeadLetters::of(bus.clone()).list().await?),
    }
}

async fn list(which: &Which, place: &Place, output: Output) -> anyhow::Result<ExitCode> {
    let (chosen, unknown) = which.choose(letters(&place.history().await?).await?);
    // Through plain values: the events are kept as text that only JSON can embed.
    let values: Vec<_> = chosen.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    output::print(&values, output, || table(&chosen))?;
    Ok(ended(unknown))
}

fn table(letters: &[DeadLetter]) -> String {
    let rows: Vec<_> = letters
        .iter()
        .map(|letter| {
            [
                letter.id.to_string(),
                letter.sensor.to_string(),
                letter.trigger.to_string(),
                letter.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                letter.attempts.to_string(),
                letter.reason.clone(),
                shortened(&letter.error),
            ]
        })
        .collect();
    output::table(["ID", "SENSOR", "TRIGGER", "AT", "ATTEMPTS", "REASON", "ERROR"], &rows)
}

fn shortened(text: &str) -> String {
    const LENGTH: usize = 80;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= LENGTH {
        line.to_owned()
    } else {
        line.chars().take(LENGTH).collect::<String>() + "…"
    }
}

async fn show(id: String, place: &Place, output: Output) -> anyhow::Result<ExitCode> {
    let found = letters(&place.history().await?).await?.into_iter().find(|letter| letter.id.as_str() == id);
    let Some(letter) = found else {
        output::note(&format!("there is no dead letter `{id}`; try `zetes dlq list`"));
        return Ok(ExitCode::FAILURE);
    };
    // Through a plain value: the events are kept as text that only JSON can embed.
    let value = serde_json::to_value(&letter)?;
    output::print(&value, output, || table(std::slice::from_ref(&letter)))?;
    Ok(ExitCode::SUCCESS)
}

/// What is meant, counted before anything is done.
async fn counted(
    which: &Which,
    how: &How,
    history: &History,
    what: &str,
) -> anyhow::Result<(Vec<DeadLetter>, usize)> {
    if which.is_empty() && !how.all {
        let message = "say which: ids, --sensor, --trigger, --namespace, --reason, or --all".to_owned();
        return Err(Usage(message).into());
    }
    let (chosen, unknown) = which.choose(letters(history).await?);
    let would = if how.dry_run { "would be" } else { "will be" };
    output::note(&format!("{} dead letters {would} {what}", chosen.len()));
    if how.dry_run {
        output::data(&table(&chosen));
    }
    Ok((chosen, unknown))
}

async fn redrive(which: &Which, how: &How, rate: f64, place: &Place) -> anyhow::Result<ExitCode> {
    let pause = Duration::try_from_secs_f64(1.0 / rate)
        .ok()
        .filter(|_| rate > 0.0)
        .ok_or_else(|| Usage(format!("--rate {rate}: expected a number over 0")))?;
    let history = place.history().await?;
    let (chosen, mut failed) = counted(which, how, &history, "fired again").await?;
    if how.dry_run || chosen.is_empty() {
        return Ok(ended(failed));
    }
    let History::Process(process) = &history else {
        let message =
            "nothing runs on this data directory: a redrive needs the Sensor to run, start `zetes run`";
        return Err(Usage(message.to_owned()).into());
    };
    let mut turns = tokio::time::interval(pause);
    for (done, letter) in chosen.iter().enumerate() {
        turns.tick().await;
        match process.redrive(&letter.id).await {
            Ok(()) => {
                output::data(&format!("{} is fired again ({} of {})\n", letter.id, done + 1, chosen.len()));
            }
            Err(error) => {
                failed += 1;
                output::note(&format!("{}: {error:#}", letter.id));
            }
        }
    }
    Ok(ended(failed))
}

async fn discard(which: &Which, how: &How, yes: bool, place: &Place) -> anyhow::Result<ExitCode> {
    let history = place.history().await?;
    let (chosen, mut failed) = counted(which, how, &history, "removed for good").await?;
    if how.dry_run || chosen.is_empty() {
        return Ok(ended(failed));
    }
    if which.ids.is_empty() && !yes {
        return Err(
            Usage("they can't be brought back: add --yes, or look first with --dry-run".to_owned()).into()
        );
    }
    for letter in &chosen {
        if let Err(error) = remove(&history, &letter.id).await {
            failed += 1;
            output::note(&format!("{}: {error:#}", letter.id));
        } else {
            output::data(&format!("{} is removed\n", letter.id));
        }
    }
    Ok(ended(failed))
}

async fn remove(history: &History, id: &DeadLetterId) -> anyhow::Result<()> {
    match history {
        History::Process(process) => process.discard(id).await,
        History::Directory(bus) => {
            let is_gone = DeadLetters::of(bus.clone()).discard(id).await?;
            is_gone.then_some(()).context("it is not there any more")
        }
    }
}

fn ended(failed: usize) -> ExitCode {
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
