//! What a push (`repo:refs_changed`) holds: which of its changes count, and an event for each of them.

use std::collections::BTreeMap;

use eventsource_core::Refusal;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::paging;
use crate::api::{Api, ApiError, segment};

/// Changes of a push that are asked about at the same time.
const ASKED_AT_ONCE: usize = 8;

/// A push, as text wherever nothing has to be known of it.
pub(super) struct Push<'b> {
    members: BTreeMap<String, &'b RawValue>,
    repository: Repository,
    changes: Vec<&'b RawValue>,
}

/// Where it was pushed to.
#[derive(Deserialize)]
struct Repository {
    slug: String,
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    key: String,
}

/// What was done to a branch or a tag.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    #[serde(rename = "ref")]
    of: Ref,
    to_hash: String,
    #[serde(rename = "type")]
    done: String,
}

#[derive(Deserialize)]
struct Ref {
    #[serde(rename = "type")]
    what: String,
}

#[derive(Deserialize)]
struct PullRequest {
    state: String,
}

impl<'b> Push<'b> {
    pub(super) fn of(body: &'b [u8]) -> Result<Self, Refusal> {
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        let member = |name: &str| {
            let missing = || Refusal::malformed(format!("a push without `{name}`"));
            members.get(name).copied().map(RawValue::get).ok_or_else(missing)
        };
        let repository = serde_json::from_str(member("repository")?).map_err(|error| malformed(&error))?;
        let changes = serde_json::from_str(member("changes")?).map_err(|error| malformed(&error))?;
        Ok(Self { members, repository, changes })
    }

    /// The changes by their place in the push; without those of a branch whose new commit is in an open pull request, if `api` is given
    /// to ask for them.
    pub(super) async fn counting(&self, api: Option<&Api>) -> Result<Vec<(usize, &'b RawValue)>, Refusal> {
        let all = self.changes.iter().copied().enumerate();
        let Some(api) = api else { return Ok(all.collect()) };
        let questions: Vec<_> = self.changes.iter().map(|text| self.counts(text, api)).collect();
        let answers: Vec<bool> = stream::iter(questions).buffered(ASKED_AT_ONCE).try_collect().await?;
        Ok(all.zip(answers).filter(|(_, counts)| *counts).map(|(change, _)| change).collect())
    }

    async fn counts(&self, change: &RawValue, api: &Api) -> Result<bool, Refusal> {
        let change: Change = serde_json::from_str(change.get()).map_err(|error| malformed(&error))?;
        if change.of.what != "BRANCH" || change.done == "DELETE" {
            return Ok(true);
        }
        let Repository { slug, project: Project { key } } = &self.repository;
        let (key, slug, commit) = (segment(key), segment(slug), segment(&change.to_hash));
        let path = format!("projects/{key}/repos/{slug}/commits/{commit}/pull-requests");
        // Whether it counts can't be known now; the provider may repeat the delivery.
        let unknown = |error: ApiError| Refusal::later(format!("is there an open pull request? {error}"));
        let found: Vec<PullRequest> = paging::list(api, &path).await.map_err(unknown)?;
        Ok(found.iter().all(|request| request.state != "OPEN"))
    }

    /// The push as if `change` were all of it.
    pub(super) fn alone(&self, change: &RawValue) -> Result<Box<RawValue>, Refusal> {
        let changes = to_raw_value(&[change]).map_err(|error| malformed(&error))?;
        let mut members = self.members.clone();
        members.insert("changes".to_owned(), &changes);
        to_raw_value(&members).map_err(|error| malformed(&error))
    }
}

fn malformed(error: &serde_json::Error) -> Refusal {
    Refusal::malformed(format!("invalid event: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(changes: &str) -> String {
        format!(
            r#"{{"eventKey":"repo:refs_changed","big":12345678901234567890,"repository":{{"slug":"r","project":{{"key":"P"}}}},"changes":{changes},"commits":[1]}}"#
        )
    }

    #[test]
    fn a_change_alone_keeps_every_other_key_and_digit() {
        let body = push(r#"[{"a":1},{"b":2}]"#);
        let push = Push::of(body.as_bytes()).unwrap();
        let alone: Vec<String> =
            push.changes.iter().map(|change| push.alone(change).unwrap().get().to_owned()).collect();
        let expected = |change: &str| {
            format!(
                r#"{{"big":12345678901234567890,"changes":[{change}],"commits":[1],"eventKey":"repo:refs_changed","repository":{{"slug":"r","project":{{"key":"P"}}}}}}"#
            )
        };
        assert_eq!(alone, [expected(r#"{"a":1}"#), expected(r#"{"b":2}"#)]);
    }

    #[test]
    fn what_is_no_push_is_told() {
        let told = |body: &str| match Push::of(body.as_bytes()) {
            Ok(_) => "a push".to_owned(),
            Err(refusal) => format!("{refusal:?}"),
        };
        assert_eq!(told(&push("[]")), "a push");
        assert!(told("{}").contains("a push without `repository`"));
        assert!(told("[1]").contains("invalid event"));
        assert!(told(&push("{}")).contains("invalid event"));
        assert!(told(r#"{"repository": {"slug": 1}, "changes": []}"#).contains("invalid event"));
    }
}
