//! Git hosts: a real Gitea, and APIs that answer as the others document theirs.

#![expect(clippy::unwrap_used, reason = "tests fail by panics")]

mod bitbucket;
mod bitbucketserver;
mod checkout;
mod gerrit;
mod gitea;
mod github;
mod github_api;
mod gitlab;
mod provider;
mod tls;
