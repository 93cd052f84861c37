//! Why an action could not be carried out: would trying again help?

use zetes_runtime::SecretError;

/// What stopped an attempt.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// Another attempt may help.
    #[error("{0}")]
    Transient(String),
    /// No further attempt would help until somebody changes something.
    #[error("{0}")]
    Permanent(String),
    /// A secret can't be read; it may appear later.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Error {
    pub fn transient(error: impl std::fmt::Display) -> Self {
        Self::Transient(error.to_string())
    }

    pub fn permanent(error: impl std::fmt::Display) -> Self {
        Self::Permanent(error.to_string())
    }

    /// Would trying again help?
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Permanent(_))
    }
}
