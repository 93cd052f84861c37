//! `hdfs`: changes of files in HDFS (spec/event-sources.md 2.4).

use std::collections::BTreeMap;

use eventsource_core::{Check, FILE_OPERATIONS, Planned, SourceFilter, WatchPath, one_of};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{ConfigMapKeyRef, Invalid, SecretKeyRef};

/// Which changes of which files are events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Absolute path of the directory; those below are watched, too.
    pub directory: String,
    /// Path inside the directory; instead of `pathRegexp`.
    pub path: String,
    /// Regular expression (RE2) that is searched in the path inside the directory; instead of `path`.
    pub path_regexp: String,
    /// `CREATE`, `WRITE`, `REMOVE`, `RENAME`, `CHMOD`, or several joined by `|`.
    #[serde(rename = "type")]
    pub operations: String,
    /// How often the directory is looked at: a Go duration. Default `1m`.
    pub check_interval: String,
    /// Name nodes, `host:port`.
    pub addresses: Vec<String>,
    /// User name; unused with Kerberos.
    pub hdfs_user: String,
    /// Secret that holds a Kerberos credential cache.
    #[serde(rename = "krbCCacheSecret")]
    pub krb_c_cache_secret: Option<SecretKeyRef>,
    /// Secret that holds a Kerberos keytab; it wins over `krbCCacheSecret`.
    pub krb_keytab_secret: Option<SecretKeyRef>,
    /// Kerberos user name; for `krbKeytabSecret`.
    pub krb_username: String,
    /// Kerberos realm; for `krbKeytabSecret`.
    pub krb_realm: String,
    /// ConfigMap that holds the Kerberos configuration.
    pub krb_config_config_map: Option<ConfigMapKeyRef>,
    /// Principal of the name nodes; `_HOST` in it stands for the host.
    pub krb_service_principal_name: String,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `hdfs`.
pub struct Hdfs;

impl Planned for Hdfs {
    const KIND: &'static str = "hdfs";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("type", &config.operations);
        if !config.operations.is_empty()
            && !config.operations.split('|').any(|one| FILE_OPERATIONS.contains(&one))
        {
            let message = format!("expected {}, found `{}`", one_of(&FILE_OPERATIONS), config.operations);
            check.bad("type", message);
        }
        check.duration("checkInterval", &config.check_interval);
        check.watched("", &config.watched());
        if config.addresses.is_empty() {
            check.missing("addresses", "at least one name node");
        }
        config.check_user(&mut check);
        check.filter(config.filter.as_ref());
        check.end()
    }
}

impl Config {
    fn watched(&self) -> WatchPath {
        WatchPath {
            directory: self.directory.clone(),
            path: self.path.clone(),
            path_regexp: self.path_regexp.clone(),
        }
    }

    /// A user name, or Kerberos with what it needs.
    fn check_user(&self, check: &mut Check) {
        let (cache, keytab) = (self.krb_c_cache_secret.is_some(), self.krb_keytab_secret.is_some());
        if self.hdfs_user.is_empty() && !cache && !keytab {
            check.missing("hdfsUser", "`hdfsUser`, `krbCCacheSecret` or `krbKeytabSecret`");
        }
        if cache || keytab {
            check.text("krbServicePrincipalName", &self.krb_service_principal_name);
            check.present("krbConfigConfigMap", self.krb_config_config_map.as_ref());
        }
        if keytab {
            check.text("krbUsername", &self.krb_username);
            check.text("krbRealm", &self.krb_realm);
        }
    }
}
