//! Numbers, texts and names as bytes. Numbers are little-endian; texts and bytes carry their length.

use bus_core::{ConsumerName, StateKey};

pub(crate) fn put_bytes(buffer: &mut Vec<u8>, bytes: &[u8]) {
    put_number(buffer, bytes.len());
    buffer.extend_from_slice(bytes);
}

/// A count or a length, as `u32`.
pub(crate) fn put_number(buffer: &mut Vec<u8>, number: usize) {
    buffer.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

pub(crate) fn put_long(buffer: &mut Vec<u8>, number: u64) {
    buffer.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn put_consumer(buffer: &mut Vec<u8>, name: &ConsumerName) {
    for part in [name.namespace.as_str(), name.sensor.as_str(), name.trigger.as_str()] {
        put_bytes(buffer, part.as_bytes());
    }
}

pub(crate) fn put_key(buffer: &mut Vec<u8>, key: &StateKey) {
    put_bytes(buffer, key.bucket.as_bytes());
    put_bytes(buffer, key.key.as_bytes());
}

/// Writes over bytes that are there.
pub(crate) fn overwrite(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = buffer.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// A `usize` as the formats count.
pub(crate) fn long(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A length of a format as this machine counts.
pub(crate) fn short(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'b>(pub(crate) &'b [u8]);

impl<'b> Input<'b> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    pub(crate) fn text(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn consumer(&mut self) -> Option<ConsumerName> {
        Some(ConsumerName {
            namespace: self.text()?.into(),
            sensor: self.text()?.into(),
            trigger: self.text()?.into(),
        })
    }

    pub(crate) fn key(&mut self) -> Option<StateKey> {
        Some(StateKey::new(self.text()?, self.text()?))
    }
}
