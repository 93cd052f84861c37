//! Opening a directory: it is made this process's own, read, and given its threads.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bus_core::BusError;
use tokio::sync::watch;

use crate::bus::{EmbeddedBus, Shared};
use crate::disk::failed;
use crate::keeper::{Chores, Keeper};
use crate::options::{OpenReport, Options, Sync};
use crate::queue::Queue;
use crate::reader::Pages;
use crate::recovery::{Recovered, recover};
use crate::spare::Spare;
use crate::tables::Tables;
use crate::writer::Writer;

/// How long a sync is expected to take before one was seen.
const PACE: Duration = Duration::from_micros(500);

/// Opens a directory and starts the threads. Blocks.
pub(crate) fn open(folder: PathBuf, options: Options) -> Result<(EmbeddedBus, OpenReport), BusError> {
    let log = folder.join("log");
    fs::create_dir_all(&log).map_err(|error| failed(&log, &error))?;
    let lock = own(&folder)?;
    let recovered = recover(&folder, &log, &options)?;
    let report = recovered.report.clone();
    let spare = Arc::new(Spare::new(&log, options.segment_bytes));
    let shared = Arc::new(Shared {
        tables: Arc::new(Mutex::new(recovered.tables)),
        clock: options.clock.clone(),
        pages: Pages::default(),
        news: Arc::new(watch::Sender::new(0)),
        syncer: Arc::default(),
        spare,
    });
    // They are told by `OpenReport::tell`.
    shared.pages.knows(&report.damaged);
    let queue = Arc::new(Queue::new(options.queue_bytes));
    let (max_event_bytes, durability) = (options.max_event_bytes, options.sync.durability());
    let rest = Recovered { tables: Tables::new(0), ..recovered };
    let thread = start_threads(&shared, &queue, rest, folder, log, options)?;
    let writer = Mutex::new(Some(thread));
    Ok((EmbeddedBus { shared, queue, max_event_bytes, durability, writer, lock }, report))
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, BusError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| BusError::Unavailable(format!("the bus's thread `{name}`: {error}")))
}

/// Starts the writer, and those that end with it.
fn start_threads(
    shared: &Shared,
    queue: &Arc<Queue>,
    recovered: Recovered,
    folder: PathBuf,
    log: PathBuf,
    options: Options,
) -> Result<JoinHandle<()>, BusError> {
    let chores = Arc::new(Chores::default());
    let (spare, syncer) = (shared.spare.clone(), shared.syncer.clone());
    let keeper = Keeper {
        chores: chores.clone(),
        tables: shared.tables.clone(),
        older: recovered.identities.older(),
        spare: spare.clone(),
        syncer: syncer.clone(),
        options: options.clone(),
        folder: folder.clone(),
        unsummarized: recovered.unsummarized,
        checkpointed: recovered.checkpointed,
        owes_checkpoint: false,
        told: None,
    };
    let mut threads = vec![
        thread("zetes-bus-spare", move || spare.run())?,
        thread("zetes-bus-keep", move || keeper.run())?,
    ];
    if let Sync::Interval(interval) = options.sync {
        let syncer = syncer.clone();
        threads.push(thread("zetes-bus-sync", move || syncer.run(interval))?);
    }
    let writer = Writer {
        tables: shared.tables.clone(),
        identities: recovered.identities,
        queue: queue.clone(),
        spare: shared.spare.clone(),
        chores,
        syncer,
        options,
        folder,
        log,
        generation: recovered.generation,
        news: shared.news.clone(),
        threads,
        buffer: Vec::new(),
        pace: PACE,
        is_refusing: false,
    };
    thread("zetes-bus", move || writer.run())
}

/// Takes the directory for this process, or says whose it is.
fn own(folder: &Path) -> Result<File, BusError> {
    let path = folder.join("LOCK");
    let of_disk = |error: std::io::Error| failed(&path, &error);
    let mut lock =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(of_disk)?;
    match lock.try_lock() {
        Ok(()) => {
            lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id())).map_err(of_disk)?;
            Ok(lock)
        }
        Err(fs::TryLockError::WouldBlock) => {
            let owner = fs::read_to_string(&path).unwrap_or_default();
            let owner = if owner.is_empty() { String::new() } else { format!(" (process {owner})") };
            Err(BusError::InUse(format!(
                "{} is in use by another process{owner}; stop it, or name another directory",
                folder.display()
            )))
        }
        Err(fs::TryLockError::Error(error)) => Err(of_disk(error)),
    }
}
