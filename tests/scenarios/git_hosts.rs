//! A real `git push` to a real git host, whose hook Zetes has registered, becomes a call.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use zetes_services::GiteaServer;

use crate::harness::{Target, Zetes, client, eventually, free_port};

const REPOSITORY: &str = "shop";

/// `kind` listens for pushes of the repository, and a Sensor calls the target with the branch.
fn manifest(kind: &str, config: &Value, target: &Target) -> String {
    let sensor = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor", "metadata": {"name": "builder"},
        "spec": {
            "dependencies": [{"name": "push", "eventSourceName": "host", "eventName": "push"}],
            "triggers": [{"template": {"name": "build", "http": {
                "url": target.url("/build"), "method": "POST",
                "payload": [{"src": {"dependencyName": "push", "dataKey": "body.ref"}, "dest": "ref"}],
            }}}],
        },
    });
    let source = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "EventSource", "metadata": {"name": "host"},
        "spec": {kind: {"push": config}},
    });
    format!("{source}\n---\n{sensor}\n")
}

fn secret(gitea: &GiteaServer) -> String {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "host"},
        "stringData": {"token": gitea.token(), "signature": "s3cret"},
    })
    .to_string()
}

/// What git hosts' EventSources have in common.
fn config(gitea: &GiteaServer, port: u16) -> Value {
    json!({
        "webhook": {
            "endpoint": "/push", "port": port.to_string(), "method": "POST", "url": format!("http://127.0.0.1:{port}"),
        },
        "repositories": [{"owner": gitea.user(), "names": [REPOSITORY]}],
        "webhookSecret": {"name": "host", "key": "signature"},
        "events": ["push"],
    })
}

fn with(mut config: Value, more: Value) -> Value {
    let (Some(config_members), Value::Object(more)) = (config.as_object_mut(), more) else {
        panic!("both are objects")
    };
    config_members.extend(more);
    config
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]);
    let output = git.args(arguments).current_dir(folder).output().expect("git is installed");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Commits and pushes the branch.
fn push(gitea: &GiteaServer, branch: &str) {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "--quiet", "--initial-branch", branch]);
    std::fs::write(folder.path().join("README.md"), branch).unwrap();
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "--quiet", "--message", branch]);
    git(folder.path(), &["push", "--quiet", "--force", &gitea.clone_url(REPOSITORY), branch]);
}

fn hooks(gitea: &GiteaServer) -> Vec<Value> {
    let path = format!("/repos/{}/{REPOSITORY}/hooks", gitea.user());
    let answer = gitea.api("GET", &path, &Value::Null).expect("Gitea answers");
    serde_json::from_str(&answer.body).expect("a list of hooks")
}

async fn built(target: &Target, branch: &str) {
    let wanted = format!(r#"{{"ref":"refs/heads/{branch}"}}"#);
    eventually(&format!("a build of {branch}"), || async {
        target.calls().iter().any(|call| call.body == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_gitea_becomes_a_call_by_a_hook_that_comes_and_goes_with_the_manifest() {
    let (gitea, target, port) = (GiteaServer::start(), Target::start().await, free_port());
    gitea.create_repository(REPOSITORY);
    let more = json!({
        "giteaBaseURL": gitea.url(), "accessToken": {"name": "host", "key": "token"}, "deleteHookOnFinish": true,
    });
    let text = manifest("gitea", &with(config(&gitea, port), more), &target);
    let mut zetes = Zetes::with(&[("secret.json", &secret(&gitea)), ("host.yaml", &text)]);
    zetes.start().await;
    eventually("the hook", || async { (hooks(&gitea).len() == 1).then_some(()) }).await;
    push(&gitea, "main");
    built(&target, "main").await;

    // A stop is no end: the hook stays, and is found again.
    zetes.stop().await;
    assert_eq!(hooks(&gitea).len(), 1);
    zetes.start().await;
    push(&gitea, "release");
    built(&target, "release").await;
    assert_eq!(hooks(&gitea).len(), 1);

    let forged = client()
        .post(format!("http://127.0.0.1:{port}/push"))
        .header("content-type", "application/json")
        .header("x-gitea-event", "push")
        .header("x-gitea-delivery", "forged")
        .header("x-hub-signature-256", format!("sha256={}", "0".repeat(64)))
        .body(r#"{"ref": "refs/heads/forged"}"#);
    assert_eq!(forged.send().await.unwrap().status(), 401);

    std::fs::remove_file(zetes.manifests().join("host.yaml")).unwrap();
    eventually("the hook to be gone with its EventSource", || async {
        hooks(&gitea).is_empty().then_some(())
    })
    .await;
    assert!(!target.calls().iter().any(|call| call.body.contains("forged")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_gitea_becomes_a_call_through_github_since_it_signs_like_it() {
    let (gitea, target, port) = (GiteaServer::start(), Target::start().await, free_port());
    gitea.create_repository(REPOSITORY);
    gitea.create_hook(REPOSITORY, &format!("http://127.0.0.1:{port}/push"), "s3cret");
    let text = manifest("github", &config(&gitea, port), &target);
    let mut zetes = Zetes::with(&[("secret.json", &secret(&gitea)), ("host.yaml", &text)]);
    zetes.start().await;
    push(&gitea, "main");
    built(&target, "main").await;
}
