//! The bare disk: what one fdatasync costs, alone and with a group of records in front of it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::quantile;

/// Size of the file, zero-filled beforehand as the bus's segments are.
const FILE_BYTES: u64 = 64 << 20;
/// Bytes of one record.
pub(super) const RECORD_BYTES: usize = 1_000;

/// What was measured.
pub(super) struct Bare {
    pub(super) median: Duration,
    pub(super) records_per_second: f64,
}

/// Writes groups of records, each group followed by fdatasync, for `how_long`.
pub(super) fn bare_loop(folder: &Path, group: usize, how_long: Duration) -> Result<Bare> {
    let file = File::create(folder.join("bare"))?;
    let zeros = vec![0_u8; 1 << 20];
    for at in 0..FILE_BYTES >> 20 {
        file.write_all_at(&zeros, at << 20)?;
    }
    file.sync_all()?;
    let bytes = vec![b'x'; RECORD_BYTES * group];
    let begin = now();
    let (mut times, mut at) = (Vec::new(), 0_u64);
    while begin.elapsed() < how_long {
        let before = now();
        file.write_all_at(&bytes, at)?;
        file.sync_data()?;
        times.push(before.elapsed());
        at += u64::try_from(bytes.len())?;
        if at + u64::try_from(bytes.len())? > FILE_BYTES {
            at = 0;
        }
    }
    let took = begin.elapsed().as_secs_f64();
    times.sort_unstable();
    let records = u32::try_from(times.len() * group)?;
    Ok(Bare { median: quantile(&times, 0.5), records_per_second: f64::from(records) / took })
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures with the machine's clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}
