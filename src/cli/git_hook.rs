//! `zetes git-hook`: makes any bare git repository send what GitHub sends.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::output;

/// Deliver pushes of a plain git repository as GitHub-style signed webhooks. Call it from `hooks/post-receive`.
///
/// Reads `<old> <new> <ref>` lines from standard input, as git gives them, and sends one signed `push` event for each.
#[derive(Debug, Args)]
#[command(after_help = "Example, as hooks/post-receive of a bare repository:
  #!/bin/sh
  exec zetes git-hook --url http://127.0.0.1:12000/push --secret-file /etc/zetes/hook-secret

Exit codes: 0 everything was accepted, 1 something was not (git lets the push through all the same).")]
pub(crate) struct GitHook {
    /// Endpoint of a `github` event source.
    #[arg(long)]
    url: String,
    /// File that holds the secret the event source checks; one trailing newline is ignored.
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
}

impl GitHook {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let secret = std::fs::read_to_string(&self.secret_file)
            .with_context(|| self.secret_file.display().to_string())?;
        let secret = secret.strip_suffix('\n').unwrap_or(&secret);
        let repository = std::env::current_dir()?;
        let runtime = super::runtime()?;
        let mut code = ExitCode::SUCCESS;
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let [old, new, reference] = line.split(' ').collect::<Vec<_>>()[..] else {
                bail!("expected `<old> <new> <ref>` on standard input, found `{line}`");
            };
            let push = push(&repository, old, new, reference)?;
            match runtime.block_on(deliver(&self.url, secret, &push)) {
                Ok(event_id) => output::note(&format!("zetes: {reference} is event {event_id}")),
                Err(error) => {
                    output::note(&format!("zetes: {reference} was not delivered: {error:#}"));
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    }
}

/// The body of GitHub's `push` event, as far as plain git knows it.
fn push(repository: &Path, old: &str, new: &str, reference: &str) -> anyhow::Result<Value> {
    let zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    let range = match (zero(old), zero(new)) {
        (_, true) => None,
        (true, false) => Some(vec![
            new.to_owned(),
            "--not".to_owned(),
            "--exclude".to_owned(),
            reference.to_owned(),
            "--all".to_owned(),
        ]),
        (false, false) => Some(vec![format!("{old}..{new}")]),
    };
    let commits = range.map_or_else(|| Ok(Vec::new()), |range| commits(&range))?;
    let head = if zero(new) { Value::Null } else { commit(new)? };
    let name = repository
        .file_name()
        .map(|name| name.to_string_lossy().trim_end_matches(".git").to_owned())
        .unwrap_or_default();
    Ok(json!({
        "ref": reference,
        "before": old,
        "after": new,
        "created": zero(old),
        "deleted": zero(new),
        "repository": {"name": name, "full_name": name, "clone_url": repository.display().to_string()},
        "pusher": head.pointer("/author").cloned().unwrap_or_else(|| json!({"name": "git"})),
        "commits": commits,
        "head_commit": head,
    }))
}

/// At most 2,048 commits, oldest first, as GitHub sends them.
fn commits(range: &[String]) -> anyhow::Result<Vec<Value>> {
    let ids = git(&[
        &["rev-list", "--reverse", "--max-count=2048"],
        &range.iter().map(String::as_str).collect::<Vec<_>>()[..],
    ]
    .concat())?;
    ids.lines().map(commit).collect()
}

fn commit(id: &str) -> anyhow::Result<Value> {
    let text = git(&["show", "--no-patch", "--format=%H%x00%an%x00%ae%x00%cI%x00%B", id, "--"])?;
    let mut fields = text.splitn(5, '\0');
    let mut field = || fields.next().unwrap_or_default().trim_end().to_owned();
    let (id, name, email, timestamp, message) = (field(), field(), field(), field(), field());
    let changed =
        git(&["diff-tree", "-r", "--root", "--no-commit-id", "--no-renames", "--name-status", &id])?;
    let paths = |status: char| -> Vec<&str> {
        changed
            .lines()
            .filter(|line| line.starts_with(status))
            .filter_map(|line| line.split_once('\t'))
            .map(|(_, path)| path)
            .collect()
    };
    let (added, modified, removed) = (paths('A'), paths('M'), paths('D'));
    let author = json!({"name": name, "email": email});
    Ok(json!({
        "id": id, "message": message, "timestamp": timestamp, "author": author,
        "added": added, "modified": modified, "removed": removed,
    }))
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let output =
        Command::new("git").args(arguments).output().context("git: can't be started; is it installed?")?;
    if !output.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Sends it, up to five times with the same delivery id, so that no attempt makes a second event.
async fn deliver(url: &str, secret: &str, push: &Value) -> anyhow::Result<String> {
    let body = serde_json::to_vec(push)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(&body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let delivery = zetes_runtime::random_id();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let clock = zetes_runtime::Clock::system();
    let mut attempt = 1;
    loop {
        let request =
            client.post(url).header("content-type", "application/json").header("x-github-event", "push");
        let request =
            request.header("x-github-delivery", &delivery).header("x-hub-signature-256", &signature);
        let error = match request.body(body.clone()).send().await {
            Ok(answer) if answer.status().is_success() => {
                let id = answer.headers().get("x-event-id").and_then(|id| id.to_str().ok());
                return Ok(id.unwrap_or(&delivery).to_owned());
            }
            Ok(answer) if answer.status().is_client_error() => bail!("{url} answered {}", answer.status()),
            Ok(answer) => format!("{url} answered {}", answer.status()),
            Err(error) => error.to_string(),
        };
        if attempt == 5 {
            bail!("{error}, five times");
        }
        clock.sleep(Duration::from_millis(200 << attempt)).await;
        attempt += 1;
    }
}
