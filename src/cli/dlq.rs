//! `zetes dlq`: the rounds and messages that were given up, and what is to become of them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use eventsource_core::DeadMessages;
use sensor_core::DeadLetterId;

use super::{Output, Usage};
use crate::history::{History, Place};
use crate::letters::{self, Letter};
use crate::output;

/// List, show, redrive and discard dead letters: rounds whose action failed for good, and messages that could not become events,
/// kept whole.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  zetes dlq list
  zetes dlq show default/1795561200000-4f1c0b6c
  zetes dlq redrive --sensor deploy --dry-run        what would be fired again
  zetes dlq redrive --sensor deploy --rate 5         five a second
  zetes dlq list --eventsource orders --reason unreadable
  zetes dlq discard --reason permanent-failure --yes

A redrive fires the same events with the same idempotency key, so that the far side can tell a repetition. It needs the running
process that owns the data directory; the other commands read the directory when there is none. A message never became an event,
so that it can't be fired: `show` has its bytes.
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
    /// Only messages of this EventSource.
    #[arg(long = "eventsource", value_name = "NAME")]
    event_source: Option<String>,
    /// Only those given up for this reason: attempts-exhausted, permanent-failure, window, or of messages unreadable, too-large,
    /// not-storable.
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
            && self.event_source.is_none()
            && self.reason.is_none()
    }

    fn fits(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
        };
        let sensor = letter.sensor().map(zetes_api::ObjectName::as_str);
        (self.ids.is_empty() || self.ids.iter().any(|id| id == letter.id()))
            && is(&self.namespace, Some(letter.namespace().as_str()))
            && is(&self.sensor, sensor)
            && is(&self.trigger, sensor.map(|_| letter.part()))
            && is(&self.event_source, letter.event_source().map(zetes_api::ObjectName::as_str))
            && is(&self.reason, Some(letter.reason()))
    }

    /// The letters that are meant. Ids that are not there are told and are a failure.
    fn choose(&self, letters: Vec<Letter>) -> (Vec<Letter>, usize) {
        let unknown: Vec<_> =
            self.ids.iter().filter(|id| !letters.iter().any(|letter| letter.id() == *id)).collect();
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

async fn letters(history: &History) -> anyhow::Result<Vec<Letter>> {
    match history {
        History::Process(process) => {
            let rounds = process.dead_letters().await?.into_iter().map(Letter::Round);
            let messages = process.dead_messages().await?.into_iter().map(Letter::Message);
            let mut letters: Vec<_> = rounds.chain(messages).collect();
            letters.sort_by_key(Letter::at);
            Ok(letters)
        }
        History::Directory(bus) => letters::of_bus(bus).await,
    }
}

async fn list(which: &Which, place: &Place, output: Output) -> anyhow::Result<ExitCode> {
    let (chosen, unknown) = which.choose(letters(&place.history().await?).await?);
    let values: Vec<_> = chosen.iter().map(Letter::value).collect::<Result<_, _>>()?;
    output::print(&values, output, || table(&chosen))?;
    Ok(ended(unknown))
}

fn table(letters: &[Letter]) -> String {
    let rows: Vec<_> = letters
        .iter()
        .map(|letter| {
            [
                letter.id().to_owned(),
                letter.object(),
                letter.part().to_owned(),
                letter.at().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                letter.attempts().map_or_else(|| "-".to_owned(), |attempts| attempts.to_string()),
                letter.reason().to_owned(),
                shortened(letter.error()),
            ]
        })
        .collect();
    output::table(["ID", "OBJECT", "TRIGGER/EVENT", "AT", "ATTEMPTS", "REASON", "ERROR"], &rows)
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
    let history = place.history().await?;
    let found = letters(&history).await?.into_iter().find(|letter| letter.id() == id);
    let letter = match found {
        Some(Letter::Message(message)) => whole(&history, &message.id).await?.map(Letter::Message),
        found => found,
    };
    let Some(letter) = letter else {
        output::note(&format!("there is no dead letter `{id}`; try `zetes dlq list`"));
        return Ok(ExitCode::FAILURE);
    };
    output::print(&letter.value()?, output, || table(std::slice::from_ref(&letter)))?;
    Ok(ExitCode::SUCCESS)
}

/// A message with all of its bytes.
async fn whole(history: &History, id: &str) -> anyhow::Result<Option<eventsource_core::DeadMessage>> {
    match history {
        History::Process(process) => process.dead_message(id).await,
        History::Directory(bus) => Ok(DeadMessages(&**bus).get(id).await?),
    }
}

/// What is meant, counted before anything is done.
async fn counted(
    which: &Which,
    how: &How,
    history: &History,
    what: &str,
) -> anyhow::Result<(Vec<Letter>, usize)> {
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
        let fired = match letter {
            Letter::Round(letter) => process.redrive(&letter.id).await,
            Letter::Message(_) => Err(anyhow::anyhow!(
                "it never became an event and can't be fired; mend its sender, which may send it again, then discard it"
            )),
        };
        let id = letter.id();
        match fired {
            Ok(()) => output::data(&format!("{id} is fired again ({} of {})\n", done + 1, chosen.len())),
            Err(error) => {
                failed += 1;
                output::note(&format!("{id}: {error:#}"));
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
        let id = letter.id();
        if let Err(error) = remove(&history, &id.to_owned().into()).await {
            failed += 1;
            output::note(&format!("{id}: {error:#}"));
        } else {
            output::data(&format!("{id} is removed\n"));
        }
    }
    Ok(ended(failed))
}

async fn remove(history: &History, id: &DeadLetterId) -> anyhow::Result<()> {
    match history {
        History::Process(process) => process.discard(id).await,
        History::Directory(bus) => {
            let is_gone = letters::discard(bus, id).await?;
            is_gone.then_some(()).context("it is not there any more")
        }
    }
}

fn ended(failed: usize) -> ExitCode {
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
