//! Why an event source can't go on: would trying again help?

use bus_core::BusError;
use zetes_runtime::SecretError;

/// What stopped an adapter, or an emit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Trying again may help: the supervisor does.
    #[error("{0}")]
    Transient(String),
    /// Trying again will not help until somebody changes something.
    #[error("{0}")]
    Permanent(String),
    /// The bus did not take an event; upstream keeps it.
    #[error("the bus did not take the event: {0}")]
    Bus(#[from] BusError),
    /// A secret can't be read: nothing is served without it (S35). It may appear later.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Error {
    /// The system that events come from failed.
    pub fn upstream(error: impl std::fmt::Display) -> Self {
        Self::Transient(error.to_string())
    }

    pub fn permanent(error: impl std::fmt::Display) -> Self {
        Self::Permanent(error.to_string())
    }

    /// Would trying again help?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transient(_) | Self::Secret(_) => true,
            Self::Permanent(_) => false,
            Self::Bus(error) => error.is_transient(),
        }
    }
}
