//! `file`: changes of files in a directory become events (spec/event-sources.md 2.2).
//!
//! Without `polling` the system tells them (inotify); with it the directory is looked at ten times a second. What was there before
//! the start is no event. Nothing can be asked for again: what the bus does not take is lost, and so is what happens while nothing
//! runs. Where the system says that it could not keep up, or the directory was gone, it is looked through, so that nothing is
//! missed in silence.

mod config;
mod heard;
mod snapshot;
mod wanted;

use std::time::Duration;

use eventsource_core::{Context, Error, EventSource};
use futures_util::stream;
use zetes_api::Invalid;

pub use config::Config;
use heard::{Ears, Heard};
use snapshot::{Identity, Snapshot};
use wanted::{Change, Wanted};

/// Changes that are made durable together.
const MOST_AT_ONCE: usize = 256;
const POLL_EVERY: Duration = Duration::from_millis(100);
/// How often it is looked whether the directory is still the same one: it may be put aside without a word.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Remembered when the directory has vanished: whatever is in it when it is back is new.
const GONE: &[u8] = b"gone";

/// The kind `file`.
pub struct File {
    wanted: Wanted,
    /// What is in the directory, as far as it was told.
    known: Snapshot,
    /// `None` where the directory is polled.
    ears: Option<Ears>,
    /// It was away.
    is_back: bool,
}

impl EventSource for File {
    const KIND: &'static str = "file";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        config.check()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let wanted = Wanted::new(&config)?;
        let is_back = cx.cursor().await?.is_some_and(|cursor| *cursor == *GONE);
        let mut known = Snapshot::of(&wanted.directory).await?;
        if is_back {
            known.forget_files();
        }
        // After the look: a file that comes between the two is told when it is written.
        let ears = if config.polling { None } else { Some(Ears::open(&wanted.directory).await?) };
        Ok(Self { wanted, known, ears, is_back })
    }

    async fn run(mut self, cx: &Context) -> Result<(), Error> {
        let ended = match self.ears.take() {
            Some(ears) => self.listen(ears, cx).await,
            None => self.poll(cx).await,
        };
        match ended {
            Err(Ended::Gone) => {
                cx.set_cursor(GONE.into()).await?;
                Err(self.wanted.gone())
            }
            Err(Ended::Failed(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }
}

/// Why it goes no further.
enum Ended {
    /// The directory is not there, or is another one.
    Gone,
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl File {
    async fn listen(&mut self, mut ears: Ears, cx: &Context) -> Result<(), Ended> {
        let directory = self.known.directory();
        if self.is_back {
            self.look_through(cx).await?;
            cx.set_cursor(b"".as_slice().into()).await?;
        }
        loop {
            let mut heard = stream::poll_fn(|task| ears.poll(task));
            let batch = tokio::select! {
                biased;
                batch = cx.next_batch(&mut heard, MOST_AT_ONCE) => batch,
                () = cx.clock().sleep(LOOK_EVERY) => Some(Vec::new()),
            };
            match batch {
                None if ears.are_deaf() => {
                    return Err(Error::upstream(
                        "the system tells no more changes; the directory is watched anew",
                    )
                    .into());
                }
                None => return Ok(()),
                Some(batch) if batch.is_empty() => self.is_still_there(directory).await?,
                Some(batch) => self.take(batch, cx).await?,
            }
        }
    }

    async fn take(&mut self, batch: Vec<Heard>, cx: &Context) -> Result<(), Ended> {
        let mut changes = Vec::with_capacity(batch.len());
        for heard in batch {
            match heard {
                Heard::Change(change) => changes.extend(self.known.take(change)),
                Heard::Overflow => {
                    self.emit(&std::mem::take(&mut changes), cx).await?;
                    cx.trouble(Some(self.wanted.overflow()));
                    self.look_through(cx).await?;
                }
                Heard::Gone => {
                    self.emit(&changes, cx).await?;
                    return Err(Ended::Gone);
                }
                Heard::Failed(text) => return Err(Error::upstream(text).into()),
            }
        }
        Ok(self.emit(&changes, cx).await?)
    }

    /// What is otherwise than it was told.
    async fn look_through(&mut self, cx: &Context) -> Result<(), Ended> {
        let now = Snapshot::of(&self.wanted.directory).await?;
        self.emit(&self.known.missed(&now), cx).await?;
        self.known = now;
        Ok(())
    }

    async fn is_still_there(&self, known: Option<Identity>) -> Result<(), Ended> {
        let is_same = Identity::of_directory(&self.wanted.directory).await == known;
        if is_same { Ok(()) } else { Err(Ended::Gone) }
    }

    async fn poll(&mut self, cx: &Context) -> Result<(), Ended> {
        while cx.pause(POLL_EVERY).await {
            let Some(looked) = cx.unless_stopped(Snapshot::try_of(&self.wanted.directory)).await else {
                break;
            };
            let Some(now) = looked? else {
                self.emit(&self.known.all_removed(), cx).await?;
                return Err(Ended::Gone);
            };
            self.emit(&self.known.polled(&now), cx).await?;
            self.known = now;
            if std::mem::take(&mut self.is_back) {
                cx.set_cursor(b"".as_slice().into()).await?;
            }
        }
        Ok(())
    }

    async fn emit(&self, changes: &[Change], cx: &Context) -> Result<(), Error> {
        let drafts: Result<Vec<_>, _> =
            changes.iter().filter_map(|change| self.wanted.draft(change)).collect();
        cx.emit_all(drafts?).await
    }
}
