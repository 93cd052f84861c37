//! How a bus is opened, and what was found.

use bus_core::Retention;
use zetes_runtime::Clock;

/// How a bus is opened.
#[derive(Clone, Debug)]
pub struct Options {
    pub retention: Retention,
    /// Bytes of one segment of the log.
    pub segment_bytes: u64,
    /// Bytes of one event, envelope included.
    pub max_event_bytes: u64,
    /// Bytes of events that are kept in memory for consumers that are not behind.
    pub cache_bytes: usize,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            segment_bytes: 64 << 20,
            max_event_bytes: 4 << 20,
            cache_bytes: 32 << 20,
            clock: Clock::system(),
        }
    }
}

/// What was found when a bus was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Bytes behind the last whole frame that were cut off: what was being written when the machine stopped.
    pub cut_bytes: u64,
    /// Places in the middle of the log that can't be read, in words. They are not served.
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
