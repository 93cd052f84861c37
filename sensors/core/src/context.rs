//! What a trigger is given.

use std::path::PathBuf;

use zetes_api::{ConfigMapKeyRef, Namespace, ObjectName, SecretKeyRef, TriggerName, TriggerPolicy};
use zetes_runtime::{Clock, SecretText, Secrets};

use crate::Error;

/// One trigger of one Sensor, as its kind sees the world.
#[derive(Clone, Debug)]
pub struct Context {
    pub namespace: Namespace,
    pub sensor: ObjectName,
    pub trigger: TriggerName,
    pub policy: Option<TriggerPolicy>,
    /// Behaviours of the reference that the Sensor's annotation switches back on.
    pub compat: Vec<String>,
    /// Where objects are written when no cluster is named.
    pub data_dir: PathBuf,
    pub clock: Clock,
    pub(crate) secrets: Secrets,
}

impl Context {
    /// The secret's value; `None` when none is named.
    ///
    /// # Errors
    /// It is named and can't be read: fail closed (S35).
    pub fn secret(&self, key: Option<&SecretKeyRef>) -> Result<Option<SecretText>, Error> {
        Ok(key.map(|key| self.secrets.secret(&self.namespace, key)).transpose()?)
    }

    /// The config map's value.
    ///
    /// # Errors
    /// It can't be read.
    pub fn config_map(&self, key: &ConfigMapKeyRef) -> Result<String, Error> {
        Ok(self.secrets.config_map(&self.namespace, key)?)
    }

    pub fn has_compat(&self, name: &str) -> bool {
        self.compat.iter().any(|one| one == name)
    }
}
