//! Which partition an event goes to, where its EventBus names a value that keeps events together.

use sha2::{Digest as _, Sha256};
use zetes_api::Event;
use zetes_gjson::Path;

/// Events with the same value at a path of their data stand in one partition, whatever their kind.
#[derive(Debug)]
pub(crate) struct Placing {
    path: Option<Path>,
    partitions: Vec<i32>,
}

impl Placing {
    pub(crate) fn new(path: Option<&str>, partitions: &[i32]) -> Self {
        Self { path: path.map(Path::compile), partitions: partitions.to_vec() }
    }

    /// `None` where the record's key decides: no path is named, or the event has nothing there.
    pub(crate) fn partition_of(&self, event: &Event) -> Option<i32> {
        let value = self.path.as_ref()?.get(event.json_text()?)?;
        let digest = Sha256::digest(value.string().as_bytes());
        let number = u64::from_le_bytes(*digest.first_chunk()?);
        let count = u64::try_from(self.partitions.len()).ok().filter(|count| *count > 0)?;
        self.partitions.get(usize::try_from(number % count).ok()?).copied()
    }
}
