//! Gitea: repositories to push to, and webhooks in GitHub's form.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::http::{Answer, Endpoint};
use crate::server::{Kind, Server, Settings, Tls};
use crate::services::{Services, installed};

/// One Gitea, on `SQLite`; webhooks may go to this machine only. The first user of the settings is the administrator, whose
/// repositories all functions mean; without one it is `zetes` with `zetes-secret`.
pub type GiteaServer = Server<Gitea>;

#[derive(Debug)]
pub struct Gitea {
    /// The program and the files that it reads.
    installed: PathBuf,
    endpoint: Endpoint,
    users: Vec<(String, String)>,
    /// Of the administrator, for everything.
    token: String,
}

impl GiteaServer {
    pub fn port(&self) -> u16 {
        self.kind.endpoint.port
    }

    /// `http://127.0.0.1:<port>`, or `https://localhost:<port>` with TLS.
    pub fn url(&self) -> String {
        self.kind.endpoint.url()
    }

    pub fn user(&self) -> &str {
        &self.kind.administrator().0
    }

    pub fn password(&self) -> &str {
        &self.kind.administrator().1
    }

    /// The administrator's token for the API.
    pub fn token(&self) -> &str {
        &self.kind.token
    }

    /// An empty repository of the administrator's, whose first push makes its branch `main`.
    ///
    /// # Panics
    ///
    /// Where there is one of this name.
    pub fn create_repository(&self, name: &str) {
        let answer = self.api("POST", "/user/repos", &json!({"name": name, "default_branch": "main"}));
        assert!(answer.as_ref().is_some_and(|answer| answer.status == 201), "{name}: {answer:?}");
    }

    /// `http://<user>:<password>@<address>/<user>/<name>.git`: nobody will be asked for a password.
    pub fn clone_url(&self, name: &str) -> String {
        let (user, password) = self.kind.administrator();
        let url = self.url();
        let (scheme, address) = url.split_once("://").unwrap_or(("http", &url));
        format!("{scheme}://{user}:{password}@{address}/{user}/{name}.git")
    }

    /// A webhook of a repository: pushes are sent there, signed with the secret. Its number.
    ///
    /// # Panics
    ///
    /// Where there is no such repository.
    pub fn create_hook(&self, name: &str, url: &str, secret: &str) -> u64 {
        let config = json!({"url": url, "content_type": "json", "secret": secret});
        let hook = json!({"type": "gitea", "active": true, "events": ["push"], "config": config});
        let answer = self.api("POST", &format!("/repos/{}/{name}/hooks", self.user()), &hook);
        let made: Option<Value> = answer.as_ref().and_then(|answer| serde_json::from_str(&answer.body).ok());
        let number = made.as_ref().and_then(|hook| hook.get("id")?.as_u64());
        number.unwrap_or_else(|| panic!("a hook of {name}: {answer:?}"))
    }

    /// A request of the administrator's below `/api/v1`. Without a body: `Value::Null`.
    pub fn api(&self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        let token = format!("token {}", self.kind.token);
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.kind.endpoint.ask(method, &format!("/api/v1{path}"), &headers, body.as_bytes())
    }
}

impl Kind for Gitea {
    const NAME: &'static str = "gitea";
    const READY: &'static str = "Listen: http";

    fn prepare(folder: &Path, settings: &Settings<'_>) -> Self {
        let users = if settings.users.is_empty() { &[("zetes", "zetes-secret")] } else { settings.users };
        let gitea = Self {
            installed: installed(Services::get().gitea, "Gitea"),
            endpoint: Endpoint::free(settings.tls),
            users: users
                .iter()
                .map(|(name, password)| ((*name).to_owned(), (*password).to_owned()))
                .collect(),
            token: String::new(),
        };
        let conf = [gitea.server(folder, settings.tls).as_str(), CONF, settings.conf].concat();
        std::fs::write(folder.join("app.ini"), conf).expect("our own folder");
        gitea
    }

    fn command(&self, folder: &Path) -> Command {
        self.gitea(folder, &["web"])
    }

    fn answers(&self) -> bool {
        self.endpoint.ask("GET", "/api/v1/version", &[], b"").is_some_and(|answer| answer.status == 200)
    }

    /// The users can be made when the server has made its tables.
    fn furnish(&mut self, folder: &Path) {
        let token = ["--admin", "--access-token", "--access-token-scopes", "all"];
        let said = self.create_user(folder, self.administrator(), &token);
        let found = said.split_once("Access token was successfully created");
        let found = found.and_then(|(_, rest)| rest.split_whitespace().last());
        found.unwrap_or_else(|| panic!("no token: {said}")).clone_into(&mut self.token);
        for user in self.users.iter().skip(1) {
            self.create_user(folder, user, &[]);
        }
    }
}

// === impl Gitea ===

/// Nothing that looks beyond this machine, and nothing that starts by the clock.
const CONF: &str = "\
[database]
DB_TYPE = sqlite3
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2$1000$50
MIN_PASSWORD_LENGTH = 6
[service]
DISABLE_REGISTRATION = true
[webhook]
ALLOWED_HOST_LIST = loopback
SKIP_TLS_VERIFY = true
[log]
MODE = console
LEVEL = Info
[session]
PROVIDER = memory
[indexer]
ISSUE_INDEXER_TYPE = db
[cron]
ENABLED = false
[cron.update_checker]
ENABLED = false
[actions]
ENABLED = false
[packages]
ENABLED = false
[oauth2]
ENABLED = false
";

impl Gitea {
    /// The head of its configuration.
    fn server(&self, folder: &Path, tls: Tls<'_>) -> String {
        let port = self.endpoint.port;
        let (folder, installed, url) = (folder.display(), self.installed.display(), self.endpoint.url());
        let own = format!(
            "WORK_PATH = {folder}\n[server]\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = {port}\nROOT_URL = {url}/\n\
             STATIC_ROOT_PATH = {installed}\nOFFLINE_MODE = true\nDISABLE_SSH = true\n"
        );
        let Some(certificates) = tls.certificates() else { return own };
        let [certificate, key, _] = certificates.server_files();
        format!("{own}PROTOCOL = https\nCERT_FILE = {certificate}\nKEY_FILE = {key}\n")
    }

    fn gitea(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.installed.join("gitea"));
        command.args(arguments).arg("--config").arg(folder.join("app.ini"));
        command.env("GITEA_WORK_DIR", folder).env("HOME", folder);
        // Tests of a container run as root.
        command.env("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "true");
        command
    }

    /// What the program says to it.
    fn create_user(&self, folder: &Path, (name, password): &(String, String), rights: &[&str]) -> String {
        let mail = format!("{name}@localhost");
        let mut command = self.gitea(folder, &["admin", "user", "create", "--must-change-password=false"]);
        command.args(["--username", name, "--password", password, "--email", &mail]).args(rights);
        let output = command.output().expect("gitea starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    fn administrator(&self) -> &(String, String) {
        self.users.first().expect("there is always one")
    }
}
