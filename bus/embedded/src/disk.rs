//! What a failure of the disk means to who asked, and how much is written to it without holding up others.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use bus_core::BusError;

use crate::wire::long;

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// What to do when there is no room in a directory.
pub(crate) fn no_room(path: &Path) -> String {
    format!(
        "no room is left on the disk of {}; make room there, or keep less (the EventBus's maxBytes, maxAge): publishing goes on by itself",
        path.display()
    )
}

pub(crate) fn failed(path: &Path, error: &io::Error) -> BusError {
    if is_full(error) {
        BusError::Full(no_room(path))
    } else {
        BusError::Unavailable(format!("{}: {error}", path.display()))
    }
}

/// Bytes that are written before they are synced, where much is written in the background.
pub(crate) const PIECE: u64 = 512 << 10;

/// A new file that is synced piece by piece: a group that is synced meanwhile waits for one piece only.
#[derive(Debug)]
pub(crate) struct Gentle {
    pub(crate) file: File,
    owed: u64,
}

impl Gentle {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, owed: 0 })
    }
}

impl io::Write for Gentle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.owed += long(written);
        if self.owed >= PIECE {
            self.file.sync_data()?;
            self.owed = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
