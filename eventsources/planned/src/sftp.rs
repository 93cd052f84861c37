//! `sftp`: changes of files on an SFTP server (spec/event-sources.md 2.3).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter, WatchPath};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Finding, Invalid, SecretKeyRef};

/// Which changes of which files are events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// `CREATE` or `REMOVE`; a changed file is a created one.
    pub event_type: String,
    /// Which files are meant; directories below are not looked at.
    pub watch_path_config: WatchPath,
    /// Secret that holds `host:port` of the server.
    pub address: Option<SecretKeyRef>,
    /// Secret that holds the user name.
    pub username: Option<SecretKeyRef>,
    /// Secret that holds the password; the server's key is not checked then.
    pub password: Option<SecretKeyRef>,
    /// Secret that holds the PEM private key, and the server's public key in a line of its own; it wins over `password`.
    pub ssh_key_secret: Option<SecretKeyRef>,
    /// How often the directory is looked at: a Go duration. Default `10s`.
    pub poll_interval_duration: String,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `sftp`.
pub struct Sftp;

impl Planned for Sftp {
    const KIND: &'static str = "sftp";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("eventType", &config.event_type);
        if !matches!(config.event_type.as_str(), "" | "CREATE" | "REMOVE") {
            check.idle(
                "eventType",
                format_args!("expected `CREATE` or `REMOVE`, found `{}`", config.event_type),
            );
        }
        check.watched("watchPathConfig", &config.watch_path_config);
        for (key, secret) in [("address", &config.address), ("username", &config.username)] {
            if secret.is_none() {
                check.idle(key, format_args!("expected `{key}`"));
            }
        }
        if config.password.is_none() && config.ssh_key_secret.is_none() {
            check.idle("password", "expected `password` or `sshKeySecret`");
        }
        if let Some(finding) = config.interval_finding() {
            check.extend([finding]);
        }
        check.filter(config.filter.as_ref());
        check.end()
    }
}

impl Config {
    /// The reference accepts any text, and so it is no error.
    fn interval_finding(&self) -> Option<Finding> {
        let text = Some(self.poll_interval_duration.as_str()).filter(|text| !text.is_empty())?;
        zetes_gotime::duration::parse(text).err()?;
        let message = format!("expected a duration such as `10s`, found `{text}`: it is `10s`");
        Some(Finding::warning("bad-value", "pollIntervalDuration", message))
    }
}
