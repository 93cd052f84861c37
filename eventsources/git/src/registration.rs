//! Keeps hooks registered at a provider while deliveries are received, and removes them with the object.
//!
//! Nothing here ever stops reception: what fails at one place is told ([`Context::trouble`]) with what to enter by hand, the other
//! places go on, and everything is looked at again a minute later. A hook is ours if we have made it, which is remembered durably, or if it
//! sends to our address.

use std::collections::BTreeMap;
use std::time::Duration;

use eventsource_core::{Context, Error, HttpSource, RouteSpec};
use futures_util::future::try_join;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zetes_api::SecretKeyRef;

use crate::api::ApiError;
use crate::trouble::Report;

/// Places that are looked at in an interval: half of what the smallest provider grants a token in an hour is left for others.
const PLACES_AT_ONCE: usize = 40;
const MINUTE: Duration = Duration::from_mins(1);

/// Where a hook is: the path in the provider's API before `/hooks`, `repos/argo/ship` for example. Stable, and all it takes to remove the hook
/// when the manifest no longer names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Place(pub(crate) String);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// All places that the manifest means.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) known: Vec<Place>,
    /// What could not be expanded into places: its name, and why.
    pub(crate) unknown: Vec<(Place, ApiError)>,
}

impl From<Vec<Place>> for Places {
    fn from(known: Vec<Place>) -> Self {
        Self { known, unknown: Vec::new() }
    }
}

/// A hook that the provider has at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: String,
    /// Where it sends to.
    pub(crate) url: String,
    /// Whether all else that can be read is as the manifest wants it.
    pub(crate) is_right: bool,
    /// Whether the provider sends anything, or the manifest says that it should not.
    pub(crate) is_active: bool,
}

/// What a provider can do. Each function is one or a few calls; none tries again.
pub(crate) trait Hooks: Send + Sync {
    /// As people write it: `GitHub`.
    const PROVIDER: &'static str;

    /// The API's address: hooks that are remembered of another one are forgotten.
    fn api_address(&self) -> String;

    /// The repositories, projects, groups or organizations.
    fn places(&self) -> impl Future<Output = Places> + Send;

    /// All hooks of a place.
    fn list(&self, place: &Place) -> impl Future<Output = Result<Vec<Found>, ApiError>> + Send;

    /// Makes the hook; returns its id.
    fn create(&self, place: &Place) -> impl Future<Output = Result<String, ApiError>> + Send;

    /// Makes an existing hook what the manifest wants; returns its id, another one where the provider makes it anew.
    fn update(&self, place: &Place, id: &str) -> impl Future<Output = Result<String, ApiError>> + Send;

    /// Removes a hook. One that is gone already is no error.
    fn delete(&self, place: &Place, id: &str) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Where a person clicks: the provider's page for hooks of this place.
    fn settings_page(&self, place: &Place) -> String;

    /// The right that the token needs for hooks of this place, in the provider's words.
    fn right(&self, place: &Place) -> String;

    /// How often the hooks are looked after, if the provider's limits allow it.
    fn interval(&self) -> Duration {
        MINUTE
    }

    /// What to do about hooks that are inactive.
    fn when_inactive(&self) -> &'static str {
        "write `active: true` in the manifest"
    }

    /// The same of a hook that is created.
    fn creates_active(&self) -> bool {
        true
    }
}

/// Hooks that a manifest wants, the same at every place.
pub(crate) struct Registration<H> {
    pub(crate) hooks: H,
    /// Where they send to.
    pub(crate) url: String,
    pub(crate) events: Vec<String>,
    /// Where the key of the signature stands; told to people who create the hook by hand.
    pub(crate) secret: Option<SecretKeyRef>,
    /// Changes when something changes that no provider lets anybody read: see [`crate::signature::seal`].
    pub(crate) seal: String,
    /// `deleteHookOnFinish`.
    pub(crate) remove_when_gone: bool,
}

/// What we have made upstream; the cursor.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    api: String,
    hooks: BTreeMap<Place, Made>,
}

/// One hook that we have made or taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    id: String,
    seal: String,
}

/// What is to be done at a place.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Create,
    Update(String),
    Leave(String),
}

impl Step {
    fn id(&self) -> Option<&str> {
        match self {
            Self::Create => None,
            Self::Update(id) | Self::Leave(id) => Some(id),
        }
    }
}

/// The hook that we remember, else one at our address, and of these rather one that is right.
fn decide(found: &[Found], url: &str, remembered: Option<&Made>, seal: &str) -> Step {
    let remembered = remembered.filter(|made| found.iter().any(|hook| hook.id == made.id));
    let candidates = found.iter().filter(|hook| match remembered {
        Some(made) => hook.id == made.id,
        None => hook.url == url,
    });
    let Some(hook) = candidates.max_by_key(|hook| hook.is_right) else { return Step::Create };
    let is_sealed = remembered.map_or(seal.is_empty(), |made| made.seal == seal);
    if hook.is_right && hook.url == url && is_sealed {
        Step::Leave(hook.id.clone())
    } else {
        Step::Update(hook.id.clone())
    }
}

/// Receives deliveries, and beside that keeps the hooks registered, until it is time to stop.
///
/// # Errors
/// As of [`Context::serve`]: none comes from the provider.
pub(crate) async fn serve<H: Hooks>(
    cx: &Context,
    route: RouteSpec,
    source: impl HttpSource,
    registration: Option<Registration<H>>,
) -> Result<(), Error> {
    let Some(registration) = registration else {
        cx.trouble(None);
        return cx.serve(route, source).await;
    };
    let keeping = async {
        registration.keep(cx).await;
        Ok(())
    };
    try_join(cx.serve(route, source), keeping).await.map(drop)
}

impl<H: Hooks> Registration<H> {
    async fn keep(&self, cx: &Context) {
        while let Some(pause) = self.pass(cx).await {
            if !cx.pause(pause).await {
                return;
            }
        }
    }

    /// Looks after every place once; returns the pause until the next time, or `None` when it is time to stop.
    async fn pass(&self, cx: &Context) -> Option<Duration> {
        let mut report = Report::new(self);
        let mut memory = match self.memory(cx).await {
            Ok(memory) => memory,
            Err(error) => {
                cx.trouble(Some(format!("what hooks were made at {} can't be read: {error}", H::PROVIDER)));
                return Some(MINUTE);
            }
        };
        let Places { known, unknown } = cx.unless_stopped(self.hooks.places()).await?;
        let is_complete = unknown.is_empty();
        for (place, error) in unknown {
            report.failed(&place, &error);
        }
        for place in &known {
            if report.wait().is_some() {
                report.put_off();
                continue;
            }
            // A stop takes effect while it looks; what is changed then is changed and remembered to the end.
            let found = match cx.unless_stopped(self.hooks.list(place)).await? {
                Ok(found) => found,
                Err(error) => {
                    report.failed(place, &error);
                    continue;
                }
            };
            match self.ensure(place, found, memory.hooks.get(place), &mut report).await {
                Ok(made) => self.remember(cx, &mut memory, place, Some(made), &mut report).await,
                Err(error) => report.failed(place, &error),
            }
        }
        if is_complete && report.wait().is_none() {
            self.clean_up(cx, &known, &mut memory, &mut report).await;
        }
        cx.trouble(report.text());
        Some(pause(self.hooks.interval(), known.len(), report.wait(), cx.clock().now()))
    }

    async fn ensure(
        &self,
        place: &Place,
        found: Vec<Found>,
        remembered: Option<&Made>,
        report: &mut Report<'_, H>,
    ) -> Result<Made, ApiError> {
        match self.carry_out(place, &found, remembered, report).await {
            // Somebody was quicker, another replica for example: then it is there now.
            Err(error) if error.is_conflict() => {
                let found = self.hooks.list(place).await?;
                self.carry_out(place, &found, remembered, report).await
            }
            ended => ended,
        }
    }

    async fn carry_out(
        &self,
        place: &Place,
        found: &[Found],
        remembered: Option<&Made>,
        report: &mut Report<'_, H>,
    ) -> Result<Made, ApiError> {
        let step = decide(found, &self.url, remembered, &self.seal);
        let (id, done) = match &step {
            Step::Leave(id) => (id.clone(), None),
            Step::Update(id) => (self.hooks.update(place, id).await?, Some("updated")),
            Step::Create => (self.hooks.create(place).await?, Some("created")),
        };
        if let Some(done) = done {
            tracing::info!(provider = H::PROVIDER, %place, id, "hook {done}");
        }
        let hook = step.id().and_then(|id| found.iter().find(|hook| hook.id == id));
        let becomes_active = done.is_some() && self.hooks.creates_active();
        if !becomes_active && !hook.is_some_and(|hook| hook.is_active) {
            report.inactive(place);
        }
        if found.iter().any(|hook| hook.url == self.url && Some(hook.id.as_str()) != step.id()) {
            report.several(place);
        }
        Ok(Made { id, seal: self.seal.clone() })
    }

    /// Hooks of places that the manifest no longer names.
    async fn clean_up(&self, cx: &Context, known: &[Place], memory: &mut Memory, report: &mut Report<'_, H>) {
        let gone = memory.hooks.iter().filter(|(place, _)| !known.contains(place));
        let gone: Vec<_> = gone.map(|(place, made)| (place.clone(), made.id.clone())).collect();
        for (place, id) in gone {
            let removed = if self.remove_when_gone { self.hooks.delete(&place, &id).await } else { Ok(()) };
            match removed {
                Ok(()) => self.remember(cx, memory, &place, None, report).await,
                Err(error) => report.left(&place, &error),
            }
        }
    }

    /// Writes only what has changed. What can't be written is found by its address the next time.
    async fn remember(
        &self,
        cx: &Context,
        memory: &mut Memory,
        place: &Place,
        made: Option<Made>,
        report: &mut Report<'_, H>,
    ) {
        if memory.hooks.get(place) == made.as_ref() {
            return;
        }
        match made {
            Some(made) => memory.hooks.insert(place.clone(), made),
            None => memory.hooks.remove(place),
        };
        let written = match serde_json::to_vec(memory) {
            Ok(cursor) => cx.set_cursor(cursor.into()).await,
            Err(error) => Err(Error::permanent(error)),
        };
        if let Err(error) = written {
            report.not_remembered(&error);
        }
    }

    async fn memory(&self, cx: &Context) -> Result<Memory, Error> {
        let api = self.hooks.api_address();
        let cursor = cx.cursor().await?;
        let memory = cursor.and_then(|cursor| serde_json::from_slice::<Memory>(&cursor).ok());
        Ok(memory
            .filter(|memory| memory.api == api)
            .unwrap_or_else(|| Memory { api, hooks: BTreeMap::new() }))
    }

    /// Removes what was made, if the manifest wants that (S34). One place that fails does not stop the others.
    ///
    /// # Errors
    /// Transient: which hooks are still there.
    pub(crate) async fn retire(&self, cx: &Context) -> Result<(), Error> {
        if !self.remove_when_gone {
            return Ok(());
        }
        let memory = self.memory(cx).await?;
        let Places { known, unknown } = self.hooks.places().await;
        let mut report = Report::new(self);
        for (place, error) in unknown {
            report.left(&place, &error);
        }
        for (place, made) in &memory.hooks {
            if let Err(error) = self.hooks.delete(place, &made.id).await {
                report.left(place, &error);
            }
        }
        // Made in the last moment, and not remembered any more.
        for place in known.iter().filter(|place| !memory.hooks.contains_key(place)) {
            if let Err(error) = self.remove_ours(place).await {
                report.left(place, &error);
            }
        }
        report.left_behind().map_or(Ok(()), |text| Err(Error::upstream(text)))
    }

    async fn remove_ours(&self, place: &Place) -> Result<(), ApiError> {
        let found = match self.hooks.list(place).await {
            Err(error) if error.is_gone() => Vec::new(),
            found => found?,
        };
        for hook in found.iter().filter(|hook| hook.url == self.url) {
            self.hooks.delete(place, &hook.id).await?;
        }
        Ok(())
    }
}

/// The usual interval, several times that for many places, and as long as the provider's limit says.
fn pause(interval: Duration, places: usize, limit: Option<Timestamp>, now: Timestamp) -> Duration {
    let times = u32::try_from(places.div_ceil(PLACES_AT_ONCE)).unwrap_or(u32::MAX).max(1);
    let limit =
        limit.and_then(|limit| Duration::try_from(limit.duration_since(now)).ok()).unwrap_or_default();
    interval.saturating_mul(times).max(limit)
}

#[cfg(test)]
mod tests;
