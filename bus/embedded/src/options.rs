//! How a bus is opened, and what was found.

use std::time::Duration;

use bus_core::{Durability, Retention};
use zetes_runtime::Clock;

/// When what was written is synced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before anybody is answered: survives a crash of the machine.
    Always,
    /// So often, in the background; survives a crash of the process. A crash of the machine loses at most what came since.
    Interval(Duration),
}

impl Sync {
    pub(crate) fn durability(self) -> Durability {
        match self {
            Self::Always => Durability::Fsync,
            Self::Interval(_) => Durability::PageCache,
        }
    }
}

/// How a bus is opened.
#[derive(Clone, Debug)]
pub struct Options {
    pub retention: Retention,
    pub sync: Sync,
    /// Bytes of one segment of the log.
    pub segment_bytes: u64,
    /// Bytes of one event, envelope included.
    pub max_event_bytes: u64,
    /// Bytes of events that are kept in memory for consumers that are not behind.
    pub cache_bytes: usize,
    /// Bytes that may wait to be written; who publishes more waits.
    pub queue_bytes: usize,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            sync: Sync::Always,
            segment_bytes: 64 << 20,
            max_event_bytes: 4 << 20,
            cache_bytes: 32 << 20,
            queue_bytes: 32 << 20,
            clock: Clock::system(),
        }
    }
}

/// What was found when a bus was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Bytes behind the last whole frame that were cut off: what was being written when the machine stopped.
    pub cut_bytes: u64,
    /// Places of what was read that can't be read, in words. They are not served. What lies before the last checkpoint is not read
    /// at a start: damage there is found when it is read, and by [`check`](crate::check()).
    pub damaged: Vec<String>,
}

impl OpenReport {
    /// Writes what an operator should know to the log.
    pub fn tell(&self) {
        if self.cut_bytes > 0 {
            tracing::info!(
                bytes = self.cut_bytes,
                "cut an unfinished write off the end of the bus; nothing acknowledged was in it"
            );
        }
        for place in &self.damaged {
            tracing::error!(place, "a part of the bus is damaged and can't be served");
        }
    }
}
