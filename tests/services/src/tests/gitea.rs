use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::{Certificates, GiteaServer, Settings, Tls};

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=zetes", "-c", "user.email=zetes@localhost"]).args(arguments);
    let output = command.current_dir(folder).env("GIT_TERMINAL_PROMPT", "0").output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A commit with one file, pushed to a repository.
fn push(gitea: &GiteaServer, repository: &str) {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(folder.path().join("order"), "a1").unwrap();
    git(folder.path(), &["add", "order"]);
    git(folder.path(), &["commit", "--quiet", "--message=one"]);
    git(folder.path(), &["push", "--quiet", &gitea.clone_url(repository), "main"]);
}

/// The whole of the first request that comes, which is answered.
fn first_request(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    while !bytes.ends_with(b"}") {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&part[..count]);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(gitea: &GiteaServer, path: &str) -> Option<u16> {
    gitea.api("GET", path, &Value::Null).map(|answer| answer.status)
}

/// Over 5 s where all run at once: each starts a server and its command line, some twice.
mod slow {
    use super::*;

    #[test]
    fn a_push_calls_the_hook_and_outlives_a_kill() {
        let mut gitea = GiteaServer::start();
        gitea.create_repository("orders");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        gitea.create_hook("orders", &format!("http://{}/push", listener.local_addr().unwrap()), "hidden");
        push(&gitea, "orders");
        let request = first_request(&listener);
        for part in [
            "POST /push ",
            "X-GitHub-Event: push",
            "X-Hub-Signature-256: sha256=",
            "\"ref\": \"refs/heads/main\"",
        ] {
            assert!(request.contains(part), "{part}: {request}");
        }
        gitea.kill();
        assert_eq!(status(&gitea, "/user"), None);
        gitea.restart();
        assert_eq!(status(&gitea, "/repos/zetes/orders/contents/order"), Some(200));
    }

    #[test]
    fn who_has_no_password_stays_outside_and_tls_is_spoken_where_asked() {
        let certificates = Certificates::new();
        let users = [("keeper", "keeper-secret"), ("reader", "reader-secret")];
        let settings = Settings { users: &users, tls: Tls::Server(&certificates), ..Settings::default() };
        let gitea = GiteaServer::start_with(&settings);
        assert!(gitea.url().starts_with("https://localhost:"));
        assert_eq!(status(&gitea, "/user"), Some(200));
        assert_eq!(status(&gitea, "/users/reader"), Some(200));
        let known = gitea.clone_url("orders");
        assert!(known.starts_with("https://keeper:keeper-secret@localhost:"), "{known}");
        let made = gitea.api("POST", "/users/keeper/tokens", &json!({"name": "another"})).unwrap();
        assert_eq!(made.status, 401, "tokens are made with a password only: {made:?}");
    }
}
