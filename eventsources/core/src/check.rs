//! What a kind says about its configuration, field by field.

use std::fmt::Display;

use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{BasicAuth, FieldPath, Finding, Invalid, Severity, Tls};

use crate::{Endpoint, SourceFilter};

/// Gathers everything that is wrong with a configuration. Paths are those of its members, `tls.caCertSecret` for example.
#[derive(Debug, Default)]
pub struct Check(Vec<Finding>);

impl Check {
    /// A text that must be there and not be empty.
    pub fn text(&mut self, field: &str, text: &str) {
        if text.is_empty() {
            self.missing(field, format_args!("`{field}`"));
        }
    }

    /// A member that must be there; it may be empty.
    pub fn present<T>(&mut self, field: &str, member: Option<&T>) {
        if member.is_none() {
            self.missing(field, format_args!("`{field}`"));
        }
    }

    /// Two members of which none or both must be there.
    pub fn together(&mut self, first: (&str, bool), second: (&str, bool)) {
        if first.1 != second.1 {
            let (present, absent) = if first.1 { (first.0, second.0) } else { (second.0, first.0) };
            self.missing(absent, format_args!("`{absent}` beside `{present}`"));
        }
    }

    /// Something that must be there and is not: `expected` is what.
    pub fn missing(&mut self, field: &str, expected: impl Display) {
        self.0.push(Finding::error("missing-field", field, format!("expected {expected}")));
    }

    /// A value that can't be: `message` says what was expected and what was found.
    pub fn bad(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(Finding::error("bad-value", field, message));
    }

    /// A value that can be and brings nothing: the reference accepts it and never emits an event. A warning.
    pub fn idle(&mut self, field: &str, message: impl Display) {
        let message = format!("{message}: nothing would be received");
        self.0.push(Finding::warning("receives-nothing", field, message));
    }

    /// A Go duration such as `30s`, if it is there.
    pub fn duration(&mut self, field: &str, text: &str) {
        if !text.is_empty() && zetes_gotime::duration::parse(text).is_err() {
            self.bad(field, format!("expected a duration such as `30s`, found `{text}`"));
        }
    }

    /// TLS to upstream (spec/event-sources.md 1.8): with `insecureSkipVerify` nothing else counts.
    pub fn tls(&mut self, field: &str, tls: Option<&Tls>) {
        self.0.extend(tls.map(|tls| tls_findings(field, tls)).unwrap_or_default());
    }

    /// As [`Check::tls`], where the reference looks at it only when it connects: warnings.
    pub fn tls_later(&mut self, field: &str, tls: Option<&Tls>) {
        let findings = tls.map(|tls| tls_findings(field, tls)).unwrap_or_default();
        self.0.extend(findings.into_iter().map(|finding| Finding { severity: Severity::Warning, ..finding }));
    }

    /// User name and password: both, once one may be given.
    pub fn basic_auth(&mut self, field: &str, auth: Option<&BasicAuth>) {
        let Some(auth) = auth else { return };
        for (key, secret) in [("username", &auth.username), ("password", &auth.password)] {
            if secret.is_none() {
                self.missing(&format!("{field}.{key}"), format_args!("`{key}`"));
            }
        }
    }

    /// Where callers reach it: it must be there.
    pub fn webhook(&mut self, endpoint: Option<&Endpoint>) {
        self.present("webhook", endpoint);
        self.0.extend(endpoint.map(|endpoint| endpoint.findings("webhook")).unwrap_or_default());
    }

    /// Which files are meant. `field` is empty where the members stand in the configuration itself.
    pub fn watched(&mut self, field: &str, watched: &WatchPath) {
        let at = FieldPath::from(field);
        self.0.extend(watched.findings().into_iter().map(|finding| finding.under(&at)));
    }

    /// The filter on events.
    pub fn filter(&mut self, filter: Option<&SourceFilter>) {
        self.0.extend(SourceFilter::findings(filter));
    }

    /// Whatever else was found.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.0.extend(findings);
    }

    /// `Ok` where nothing was found, not even a warning.
    ///
    /// # Errors
    /// Everything that was found.
    pub fn end(self) -> Result<(), Invalid> {
        if self.0.is_empty() { Ok(()) } else { Err(Invalid(self.0)) }
    }
}

fn tls_findings(field: &str, tls: &Tls) -> Vec<Finding> {
    let at = FieldPath::from(field);
    let (certificate, key) = (tls.client_cert_secret.is_some(), tls.client_key_secret.is_some());
    if tls.insecure_skip_verify {
        return Vec::new();
    }
    if certificate != key {
        let absent = if certificate { "clientKeySecret" } else { "clientCertSecret" };
        let message = "expected `clientCertSecret` and `clientKeySecret` together";
        return vec![Finding::error("missing-field", at.key(absent), message)];
    }
    if tls.ca_cert_secret.is_none() && !certificate && !tls.enabled {
        let message = "expected `caCertSecret`, or `clientCertSecret` and `clientKeySecret`, or all three";
        let hint = "write `enabled: true` for TLS with the system's certificates";
        return vec![Finding::error("missing-field", at, message).hint(hint)];
    }
    Vec::new()
}

/// `a`, `b` or `c`, for messages.
pub fn one_of(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.join(""),
    }
}

/// What can happen to a file, as manifests say it.
pub const FILE_OPERATIONS: [&str; 5] = ["CREATE", "WRITE", "REMOVE", "RENAME", "CHMOD"];

/// Files of one directory, by one path or by a regular expression (spec/event-sources.md 1.8).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WatchPath {
    /// Absolute path of the directory.
    pub directory: String,
    /// Path inside the directory; instead of `pathRegexp`.
    pub path: String,
    /// Regular expression (RE2) that is searched in the path inside the directory; instead of `path`.
    pub path_regexp: String,
}

impl WatchPath {
    fn findings(&self) -> Vec<Finding> {
        let mut check = Check::default();
        self.check(&mut check);
        check.0
    }

    fn check(&self, check: &mut Check) {
        if self.directory.is_empty() {
            check.missing("directory", "`directory`");
        } else if !self.directory.starts_with('/') {
            check.bad("directory", format!("expected an absolute path, found `{}`", self.directory));
        }
        match (self.path.is_empty(), self.path_regexp.is_empty()) {
            (true, true) => check.missing("path", "`path` or `pathRegexp`"),
            (false, false) => check.bad("pathRegexp", "expected one of `path` and `pathRegexp`, found both"),
            _ => {}
        }
        if self.path.starts_with('/') {
            check.bad("path", format!("expected a path inside `directory`, found `{}`", self.path));
        }
        if let Err(error) = zetes_re2::compile(&self.path_regexp) {
            let finding = Finding::error("bad-regex", "pathRegexp", error.to_string());
            check.extend([finding.span(error.span(&self.path_regexp))]);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(check: Check) -> Vec<String> {
        let told = |one: Finding| format!("{:?} {} {}", one.severity, one.code, one.path);
        check.0.into_iter().map(told).collect()
    }

    fn tls(value: serde_json::Value) -> Vec<String> {
        let mut check = Check::default();
        check.tls("tls", Some(&serde_json::from_value(value).unwrap()));
        told(check)
    }

    #[test]
    fn tls_needs_a_certificate_to_trust_or_to_show_unless_it_is_enabled_or_insecure() {
        let secret = json!({"name": "n", "key": "k"});
        assert_eq!(tls(json!({})), ["Error missing-field tls"]);
        assert_eq!(tls(json!({"clientCertSecret": secret})), ["Error missing-field tls.clientKeySecret"]);
        assert_eq!(
            tls(json!({"clientKeySecret": secret, "enabled": true})),
            ["Error missing-field tls.clientCertSecret"]
        );
        for fine in [
            json!({"enabled": true}),
            json!({"caCertSecret": secret}),
            json!({"clientCertSecret": secret, "clientKeySecret": secret}),
            json!({"insecureSkipVerify": true, "clientKeySecret": secret}),
        ] {
            assert!(tls(fine.clone()).is_empty(), "{fine}");
        }
    }

    #[test]
    fn files_are_named_by_a_path_or_an_expression_in_an_absolute_directory() {
        let watched = |directory: &str, path: &str, regexp: &str| {
            let watched = WatchPath {
                directory: directory.to_owned(),
                path: path.to_owned(),
                path_regexp: regexp.to_owned(),
            };
            let mut check = Check::default();
            check.watched("watchPathConfig", &watched);
            told(check)
        };
        assert!(watched("/d", "x", "").is_empty() && watched("/d", "", ".*").is_empty());
        assert_eq!(watched("", "x", ""), ["Error missing-field watchPathConfig.directory"]);
        assert_eq!(watched("d", "x", ""), ["Error bad-value watchPathConfig.directory"]);
        assert_eq!(watched("/d", "", ""), ["Error missing-field watchPathConfig.path"]);
        assert_eq!(watched("/d", "/x", ""), ["Error bad-value watchPathConfig.path"]);
        assert_eq!(watched("/d", "x", "y"), ["Error bad-value watchPathConfig.pathRegexp"]);
        assert_eq!(watched("/d", "", "("), ["Error bad-regex watchPathConfig.pathRegexp"]);
    }

    #[test]
    fn of_two_members_that_belong_together_the_absent_one_is_told() {
        let mut check = Check::default();
        check.together(("a", true), ("b", false));
        check.together(("c", false), ("d", false));
        check.basic_auth("auth", Some(&BasicAuth { username: None, password: None }));
        let expected = [
            "Error missing-field b",
            "Error missing-field auth.username",
            "Error missing-field auth.password",
        ];
        assert_eq!(told(check), expected);
    }
}
