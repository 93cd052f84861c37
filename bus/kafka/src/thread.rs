//! A thread with an owner: it is told to stop and awaited when the owner goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use bus_core::BusError;

/// Tells a thread to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(crate) struct Thread {
    stop: Stop,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    pub(crate) fn start(name: &str, work: impl FnOnce(Stop) + Send + 'static) -> Result<Self, BusError> {
        let stop = Stop::default();
        let told = stop.clone();
        let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(told));
        let handle =
            started.map_err(|error| BusError::Unavailable(format!("a thread of the bus: {error}")))?;
        Ok(Self { stop, handle: Some(handle) })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop.set();
        if let Some(handle) = self.handle.take()
            && handle.thread().id() != std::thread::current().id()
            && handle.join().is_err()
        {
            tracing::error!("a thread of the Kafka bus ended badly");
        }
    }
}
