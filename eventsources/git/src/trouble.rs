//! What a person is told about hooks that could not be registered or removed.

use std::fmt::Write as _;

use eventsource_core::Error;
use jiff::Timestamp;
use reqwest::StatusCode;

use crate::api::ApiError;
use crate::registration::{Hooks, Place, Registration};

/// Places that are told one by one; the others are counted.
const MOST_TOLD: usize = 5;

/// What went wrong in one pass over all places.
pub(crate) struct Report<'r, H> {
    registration: &'r Registration<H>,
    failed: Vec<String>,
    left: Vec<String>,
    inactive: Vec<String>,
    several: Vec<String>,
    put_off: usize,
    not_remembered: Option<String>,
    wait: Option<Timestamp>,
}

impl<'r, H: Hooks> Report<'r, H> {
    pub(crate) fn new(registration: &'r Registration<H>) -> Self {
        Self {
            registration,
            failed: Vec::new(),
            left: Vec::new(),
            inactive: Vec::new(),
            several: Vec::new(),
            put_off: 0,
            not_remembered: None,
            wait: None,
        }
    }

    /// A hook that is not as it should be.
    pub(crate) fn failed(&mut self, place: &Place, error: &ApiError) {
        let told = format!("{}: {}", self.at_page(place), self.told(place, error));
        self.failed.push(told);
        self.wait = self.wait.max(error.again);
    }

    /// A hook that should be gone.
    pub(crate) fn left(&mut self, place: &Place, error: &ApiError) {
        let (page, url) = (self.at_page(place), &self.registration.url);
        let told = format!("{page}: {}; remove the hook to {url} by hand", self.told(place, error));
        self.left.push(told);
        self.wait = self.wait.max(error.again);
    }

    /// A hook that is as the manifest wants it, and sends nothing.
    pub(crate) fn inactive(&mut self, place: &Place) {
        self.inactive.push(self.at_page(place));
    }

    /// A place with more hooks than one that send to our address.
    pub(crate) fn several(&mut self, place: &Place) {
        self.several.push(self.at_page(place));
    }

    fn at_page(&self, place: &Place) -> String {
        format!("{place} ({})", self.registration.hooks.settings_page(place))
    }

    /// A place that is not looked at because the provider's limit is used up.
    pub(crate) fn put_off(&mut self) {
        self.put_off += 1;
    }

    /// The bus did not take what was made.
    pub(crate) fn not_remembered(&mut self, error: &Error) {
        self.not_remembered = Some(error.to_string());
    }

    /// The provider is not to be asked again before.
    pub(crate) fn wait(&self) -> Option<Timestamp> {
        self.wait
    }

    fn told(&self, place: &Place, error: &ApiError) -> String {
        match advice(error, &self.registration.hooks.right(place)) {
            Some(advice) => format!("{error}; {advice}"),
            None => error.to_string(),
        }
    }

    /// `None` where all is well.
    pub(crate) fn text(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.failed.is_empty() {
            parts.push(format!("hooks that could not be registered or looked at: {}", listed(&self.failed)));
            parts.push(self.by_hand());
        }
        if !self.left.is_empty() {
            parts.push(format!("hooks of places that the manifest no longer names: {}", listed(&self.left)));
        }
        if self.put_off > 0 {
            let (put_off, provider) = (self.put_off, H::PROVIDER);
            parts.push(format!("places that are looked at when {provider}'s limit allows it: {put_off}"));
        }
        if let Some(error) = &self.not_remembered {
            parts.push(format!("which hooks were made can't be remembered: {error}"));
        }
        if !self.inactive.is_empty() {
            parts.push(format!(
                "hooks that are inactive, so that nothing comes from them: {}; {}",
                listed(&self.inactive),
                self.registration.hooks.when_inactive()
            ));
        }
        if !self.several.is_empty() {
            let several = listed(&self.several);
            parts.push(format!("more hooks than one send to {}, so that one push is several events: {several}; remove all but one", self.registration.url));
        }
        (!parts.is_empty()).then(|| parts.join(". "))
    }

    /// `None` where nothing is left.
    pub(crate) fn left_behind(&self) -> Option<String> {
        (!self.left.is_empty()).then(|| listed(&self.left))
    }

    /// What a person enters who creates the hook.
    fn by_hand(&self) -> String {
        let Registration { url, events, secret, .. } = self.registration;
        let mut text = format!("a hook made by hand does as well: URL {url}, events {}", events.join(", "));
        if let Some(secret) = secret {
            // Writing to a string can't fail.
            let _written =
                write!(text, ", secret the value of `{}` in secret `{}`", secret.key, secret.name).is_ok();
        }
        text
    }
}

/// What to do about a status that means the same everywhere.
fn advice(error: &ApiError, right: &str) -> Option<String> {
    if error.again.is_some() {
        return Some("the provider's limit is used up; it is tried again later".to_owned());
    }
    match error.status? {
        StatusCode::UNAUTHORIZED => Some("the token is wrong or has expired".to_owned()),
        StatusCode::FORBIDDEN => Some(format!("the token needs {right}")),
        StatusCode::NOT_FOUND => {
            Some(format!("it does not exist, or the token may not see it: it needs {right}"))
        }
        _ => None,
    }
}

fn listed(told: &[String]) -> String {
    let (first, more) = told.split_at(told.len().min(MOST_TOLD));
    let first = first.join("; ");
    if more.is_empty() { first } else { format!("{first}; and {} more", more.len()) }
}
