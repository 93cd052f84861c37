//! Which events were seen within the duplicate window (S22): the newest in memory, older ones in runs on the disk.

use std::fs;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus_core::Identity;
use jiff::{SignedDuration, Timestamp};

use crate::run::{self, Run, RunWriter, Times};
use crate::wire::long;

/// Identities in memory before they become a run.
const NEWEST: usize = 64 << 10;
/// So many runs of about a size become one.
const FAN: usize = 8;
/// Runs of this size, 4 to 32 million, stay what they are.
const LARGEST: u32 = 3;
/// A time is remembered to this part of the window.
const STEPS: i64 = 1_024;

/// An identity is a hash already.
#[derive(Debug, Default)]
pub(crate) struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.0 = u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0);
    }
}

#[expect(clippy::disallowed_types, reason = "looked into for every event; its order is never seen")]
type Map = std::collections::HashMap<Identity, (u64, i64), BuildHasherDefault<Plain>>;

/// Identities that wait to become a run.
#[derive(Debug)]
pub(crate) struct Frozen {
    map: Map,
    from: u64,
    to: u64,
}

#[derive(Debug)]
struct OpenRun {
    run: Arc<Run>,
    /// It can't be read; the next start makes it anew from the log.
    is_damaged: AtomicBool,
}

#[derive(Clone, Debug, Default)]
struct Parts {
    frozen: Vec<Arc<Frozen>>,
    runs: Vec<Arc<OpenRun>>,
}

/// What is not in the newest map; shared by the writer, which looks into it, and the keeper, which puts it on the disk.
#[derive(Debug)]
pub(crate) struct Older {
    folder: PathBuf,
    window: SignedDuration,
    parts: Mutex<Arc<Parts>>,
    is_stopped: AtomicBool,
}

/// The duplicate window; the writer's.
#[derive(Debug)]
pub(crate) struct Identities {
    newest: Map,
    /// The first sequence that is not in anything older.
    from: u64,
    older: Arc<Older>,
    /// The older ones as of the beginning of the group.
    parts: Arc<Parts>,
}

impl Identities {
    /// Opens the runs of a folder, creating it when it isn't there. A damaged run is removed: it is made anew from the log.
    pub(crate) fn open(folder: PathBuf, window: Duration) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut runs = Vec::new();
        for path in run_files(&folder)? {
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(&path)?;
            } else if let Some(run) = Run::open(&path)? {
                runs.push(run);
            } else {
                tracing::warn!(path = %path.display(), "a run of identities is damaged; it is made anew from the log");
                fs::remove_file(&path)?;
            }
        }
        runs.sort_by_key(|run| (run.from, std::cmp::Reverse(run.to)));
        let mut kept: Vec<Run> = Vec::new();
        for run in runs {
            // What was merged and not removed any more.
            if kept.last().is_some_and(|last| run.to <= last.to) {
                fs::remove_file(&run.path)?;
            } else {
                kept.push(run);
            }
        }
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        let parts =
            Arc::new(Parts { frozen: Vec::new(), runs: kept.into_iter().map(OpenRun::new).collect() });
        let older = Arc::new(Older {
            folder,
            window,
            parts: Mutex::new(parts.clone()),
            is_stopped: AtomicBool::new(false),
        });
        Ok(Self { newest: Map::default(), from: 0, older, parts })
    }

    pub(crate) fn older(&self) -> Arc<Older> {
        self.older.clone()
    }

    /// What of a range of sequences is in no run, in order.
    pub(crate) fn uncovered(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let (mut uncovered, mut from) = (Vec::new(), range.start);
        for open in &self.parts.runs {
            if open.run.from > from && from < range.end {
                uncovered.push(from..open.run.from.min(range.end));
            }
            from = from.max(open.run.to);
        }
        if from < range.end {
            uncovered.push(from..range.end);
        }
        uncovered
    }

    /// What follows is found from this sequence on.
    pub(crate) fn begin_at(&mut self, sequence: u64) {
        self.from = sequence;
    }

    /// Looks at what has become a run meanwhile; before a group.
    pub(crate) fn refresh(&mut self) {
        self.parts = self.older.parts();
    }

    /// Where the same event stands that was published within the window before `now`.
    pub(crate) fn find(&self, identity: Identity, now: Timestamp) -> Option<u64> {
        if let Some((sequence, micros)) = self.newest.get(&identity) {
            return self.older.is_within(*micros, now).then_some(*sequence);
        }
        for frozen in self.parts.frozen.iter().rev() {
            if let Some((sequence, micros)) = frozen.map.get(&identity) {
                return self.older.is_within(*micros, now).then_some(*sequence);
            }
        }
        for open in self.parts.runs.iter().rev() {
            if let Some((sequence, at)) = open.find(identity) {
                let at = at.unwrap_or(Timestamp::MIN);
                return self.older.is_within(at.as_microsecond(), now).then_some(sequence);
            }
        }
        None
    }

    pub(crate) fn insert(&mut self, identity: Identity, sequence: u64, at: Timestamp) {
        self.newest.insert(identity, (sequence, at.as_microsecond()));
    }

    pub(crate) fn is_large(&self) -> bool {
        self.newest.len() >= NEWEST
    }

    /// Makes the newest, which end before `next_sequence`, wait to become a run. Says whether there were any.
    pub(crate) fn freeze(&mut self, next_sequence: u64) -> bool {
        if self.newest.is_empty() {
            return false;
        }
        let from = std::mem::replace(&mut self.from, next_sequence);
        let frozen = Frozen { map: std::mem::take(&mut self.newest), from, to: next_sequence };
        self.older.change(|parts| parts.frozen.push(Arc::new(frozen)));
        self.refresh();
        true
    }
}

/// Everything in the folder of runs.
pub(crate) fn run_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "ids" || extension == "tmp"));
    paths.sort();
    Ok(paths)
}

impl OpenRun {
    fn new(run: Run) -> Arc<Self> {
        Arc::new(Self { run: Arc::new(run), is_damaged: AtomicBool::new(false) })
    }

    fn find(&self, identity: Identity) -> Option<(u64, Option<Timestamp>)> {
        if self.is_damaged.load(Ordering::Relaxed) {
            return None;
        }
        match self.run.find(identity) {
            Ok(found) => found,
            Err(error) => {
                if !self.is_damaged.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        path = %self.run.path.display(), %error,
                        "a run of identities can't be read: duplicates of its events are not known until the next start"
                    );
                }
                None
            }
        }
    }
}

impl Older {
    fn parts(&self) -> Arc<Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut parts));
    }

    fn is_within(&self, micros: i64, now: Timestamp) -> bool {
        let age = now.as_microsecond().saturating_sub(micros);
        SignedDuration::from_micros(age) < self.window
    }

    fn step(&self) -> i64 {
        let window = i64::try_from(self.window.as_micros()).unwrap_or(i64::MAX);
        (window / STEPS).max(1)
    }

    /// Something waits to become a run.
    pub(crate) fn owes(&self) -> bool {
        !self.parts().frozen.is_empty()
    }

    /// From here on no runs are merged: that can wait for the next start.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// Puts everything that waits on the disk, and makes few runs of many. Blocks.
    pub(crate) fn write(&self) -> io::Result<()> {
        while let Some(frozen) = self.parts().frozen.first().cloned() {
            let run = OpenRun::new(self.write_run(&frozen)?);
            self.change(|parts| {
                parts.frozen.retain(|one| !Arc::ptr_eq(one, &frozen));
                parts.runs.push(run);
                parts.runs.sort_by_key(|open| open.run.from);
            });
        }
        loop {
            let is_done = self.is_stopped.load(Ordering::Relaxed) || !self.merge_some()?;
            if is_done {
                return Ok(());
            }
        }
    }

    fn write_run(&self, frozen: &Frozen) -> io::Result<Run> {
        let mut by_sequence: Vec<_> = frozen.map.values().copied().collect();
        by_sequence.sort_unstable();
        let mut times = Times::default();
        for (sequence, micros) in by_sequence {
            times.note(sequence, micros, self.step());
        }
        let mut entries: Vec<_> =
            frozen.map.iter().map(|(identity, (sequence, _))| (*identity, *sequence)).collect();
        entries.sort_unstable();
        let mut writer = RunWriter::new(&self.folder, frozen.from, frozen.to, long(entries.len()), times)?;
        for (identity, sequence) in entries {
            writer.push(identity, sequence)?;
        }
        writer.finish()
    }

    fn merge_some(&self) -> io::Result<bool> {
        let parts = self.parts();
        let tier = |open: &Arc<OpenRun>| (open.run.count / 1_024).max(1).ilog(long(FAN));
        let mergeable = parts.runs.windows(FAN).filter(|some| {
            let follow = some.array_windows::<2>().all(|[one, next]| one.run.to == next.run.from);
            follow && some.iter().all(|open| !open.is_damaged.load(Ordering::Relaxed))
        });
        // The smallest first: a run is written again once for each step of its size.
        let sized = mergeable.map(|some| (some.iter().map(tier).max().unwrap_or(0), some));
        let some =
            sized.filter(|(tier, _)| *tier <= LARGEST).min_by_key(|(tier, _)| *tier).map(|(_, some)| some);
        let Some(some) = some else { return Ok(false) };
        let runs: Vec<_> = some.iter().map(|open| open.run.clone()).collect();
        let Some(merged) = run::merge(&self.folder, &runs, &self.is_stopped)? else { return Ok(false) };
        let merged = OpenRun::new(merged);
        self.change(|parts| {
            parts.runs.retain(|open| !some.iter().any(|one| Arc::ptr_eq(one, open)));
            parts.runs.push(merged);
            parts.runs.sort_by_key(|open| open.run.from);
        });
        for run in runs {
            fs::remove_file(&run.path)?;
        }
        Ok(true)
    }

    /// Removes runs that lie before the window, and damaged ones. Blocks.
    pub(crate) fn forget(&self, now: Timestamp) -> io::Result<()> {
        let is_gone = |open: &Arc<OpenRun>| {
            let last = open.run.last_at().map_or(i64::MIN, Timestamp::as_microsecond);
            !self.is_within(last.saturating_add(self.step()), now) || open.is_damaged.load(Ordering::Relaxed)
        };
        let gone: Vec<_> = self.parts().runs.iter().filter(|open| is_gone(open)).cloned().collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.change(|parts| parts.runs.retain(|open| !gone.iter().any(|one| Arc::ptr_eq(one, open))));
        for open in gone {
            fs::remove_file(&open.run.path)?;
        }
        Ok(())
    }
}
