//! `zetes demo`: a real push on a real repository, and everything that follows from it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::extract::State;
use axum::http::HeaderMap;
use clap::Args;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zetes_api::{EventId, Namespace};
use zetes_runtime::{Clock, Secrets, random_id};

use crate::application::{Application, Settings};
use crate::explain::Explanation;
use crate::load;
use crate::output;
use crate::registry::Registry;
use crate::telemetry::{self, LogFormat};

const EVENT_SOURCE: &str = include_str!("../../examples/git-push/eventsource.yaml");
const SENSOR: &str = include_str!("../../examples/git-push/sensor.yaml");
/// What the example's Sensor calls; the demo puts its own receiver there.
const EXAMPLE_TARGET: &str = "http://127.0.0.1:12999/deployments";
/// How long the demo waits for what must happen within milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// See a real git push become a Workflow and an HTTP call, explained step by step. Needs git and nothing else.
///
/// Makes a temporary bare repository whose hook delivers pushes as GitHub does, serves examples/git-push, clones, commits,
/// pushes to `main` and to another branch, and tells what happened to each.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  zetes demo
  zetes demo --keep        leave it running, to push again yourself")]
pub(crate) struct Demo {
    /// Leave everything running until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init(LogFormat::Text, "warn")?;
        super::runtime()?.block_on(self.play())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn play(&self) -> anyhow::Result<()> {
        // Kept: the Workflow that it tells about should still be there to look at.
        let folder = tempfile::Builder::new().prefix("zetes-demo-").tempdir()?.keep();
        let stage = Stage::set(&folder).await?;
        let result = self.scenes(&stage).await;
        stage.application.stop(Duration::from_secs(5)).await;
        result
    }

    async fn scenes(&self, stage: &Stage) -> anyhow::Result<()> {
        say(
            "1. A Sensor waits for pushes to `main` (examples/git-push)",
            &format!("   webhook   {}", stage.hook_url),
        );
        let commit = stage.commit("main", "build me").await?;
        let id = stage.push("main").await?;
        say(&format!("2. git push origin main   (commit {commit})"), &format!("   event id  {id}"));
        let explanation = stage.ending(&id).await?;
        output::data(&indented(&explanation.story()));
        let call = stage.call().await?;
        output::data(&format!(
            "   the far side got  POST /deployments  idempotency key {}  {}\n",
            call.key, call.body
        ));
        let workflow = workflow_with(&stage.data.join("objects"), &commit)?;
        output::data(&format!("   the Workflow      {}\n", workflow.display()));

        let commit = stage.commit("feature", "not yet").await?;
        let id = stage.push("feature").await?;
        say(&format!("3. git push origin feature   (commit {commit})"), &format!("   event id  {id}"));
        output::data(&indented(&stage.ending(&id).await?.story()));
        output::data(&format!("\nEverything is in {}\n", stage.home.display()));
        if self.keep {
            stage.wait_for_ctrl_c().await?;
        }
        Ok(())
    }
}

fn say(heading: &str, line: &str) {
    output::data(&format!("\n{heading}\n{line}\n"));
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |text, line| text + "   " + line + "\n")
}

/// Everything the demo needs, running.
struct Stage {
    application: Application,
    data: PathBuf,
    clone: PathBuf,
    home: PathBuf,
    hook_url: String,
    calls: tokio::sync::Mutex<mpsc::Receiver<Call>>,
    _receiver: tokio_util::task::AbortOnDropHandle<()>,
}

/// One HTTP call that the trigger made.
struct Call {
    key: String,
    body: String,
}

impl Stage {
    async fn set(folder: &Path) -> anyhow::Result<Self> {
        let (target, calls, receiver) = receiver().await?;
        let secret = random_id();
        let manifests = folder.join("manifests");
        std::fs::create_dir_all(&manifests)?;
        std::fs::write(
            manifests.join("eventsource.yaml"),
            EVENT_SOURCE.replace("port: \"12000\"", "port: \"0\""),
        )?;
        std::fs::write(manifests.join("sensor.yaml"), SENSOR.replace(EXAMPLE_TARGET, &target))?;
        let hook_secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: github-hook}}\nstringData: {{secret: {secret}}}\n"
        );
        std::fs::write(manifests.join("secret.yaml"), hook_secret)?;

        let registry = Registry::of_this_build();
        let loaded = load::load(&[manifests], &Namespace::from("default"), &registry)?;
        ensure!(loaded.errors() == 0, "the example has errors: {:?}", loaded.diagnostics);
        let data = folder.join("data");
        let settings = Settings { data: data.clone(), admin: "127.0.0.1:0".parse()?, ..Settings::default() };
        let application = Application::start(settings, loaded, registry, Secrets::builder()).await?;
        let port = listening(&application).await.context("the webhook has no address")?;
        let hook_url = format!("http://{port}/push");

        let stage = Self {
            application,
            data,
            clone: folder.join("clone"),
            home: folder.to_owned(),
            hook_url,
            calls: tokio::sync::Mutex::new(calls),
            _receiver: receiver,
        };
        stage.repository(&secret).await?;
        Ok(stage)
    }

    /// A bare repository with our hook, and a clone of it.
    async fn repository(&self, secret: &str) -> anyhow::Result<()> {
        let bare = self.home.join("app.git");
        self.git(&self.home, &["init", "--quiet", "--bare", "--initial-branch=main", "app.git"]).await?;
        let secret_file = self.home.join("hook-secret");
        std::fs::write(&secret_file, secret)?;
        let zetes = std::env::current_exe()?;
        let hook = format!(
            "#!/bin/sh\nexec '{}' git-hook --url '{}' --secret-file '{}'\n",
            zetes.display(),
            self.hook_url,
            secret_file.display()
        );
        let path = bare.join("hooks/post-receive");
        std::fs::create_dir_all(bare.join("hooks"))?;
        std::fs::write(&path, hook)?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        self.git(&self.home, &["clone", "--quiet", "app.git", "clone"]).await?;
        Ok(())
    }

    async fn commit(&self, branch: &str, message: &str) -> anyhow::Result<String> {
        self.git(&self.clone, &["checkout", "--quiet", "-B", branch]).await?;
        std::fs::write(self.clone.join("README"), format!("{message}\n"))?;
        self.git(&self.clone, &["add", "README"]).await?;
        self.git(&self.clone, &["commit", "--quiet", "-m", message]).await?;
        Ok(self.git(&self.clone, &["rev-parse", "HEAD"]).await?.0.trim().to_owned())
    }

    /// Pushes, and reads the event's id from what the hook told git.
    async fn push(&self, branch: &str) -> anyhow::Result<EventId> {
        let (_, told) = self.git(&self.clone, &["push", "--quiet", "origin", branch]).await?;
        let id = told.lines().find_map(|line| line.rsplit_once(" is event ").map(|(_, id)| id.trim()));
        id.map(EventId::from).with_context(|| format!("the push was not delivered: {told}"))
    }

    async fn git(&self, folder: &Path, arguments: &[&str]) -> anyhow::Result<(String, String)> {
        let mut command = Command::new("git");
        command.current_dir(folder).args(arguments).env("HOME", &self.home).env("GIT_CONFIG_NOSYSTEM", "1");
        command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env("GIT_TERMINAL_PROMPT", "0");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Medea")
                .env(format!("GIT_{who}_EMAIL"), "medea@example.com");
        }
        let output = command.output().await.context("git: can't be started; the demo needs git")?;
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            bail!("git {}: {}", arguments.join(" "), stderr.trim());
        }
        Ok((stdout.into_owned(), stderr.into_owned()))
    }

    /// The event's story, once both triggers have come to an end with it.
    async fn ending(&self, id: &EventId) -> anyhow::Result<Explanation> {
        let clock = Clock::system();
        let ended = async {
            loop {
                let explanation = self.application.observed().explain(id).await?.into_iter().next();
                if let Some(explanation) = explanation
                    .filter(|found| found.decisions.iter().filter(|d| d.verdict.is_end()).count() == 2)
                {
                    return anyhow::Ok(explanation);
                }
                clock.sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            story = ended => story,
            () = clock.sleep(PATIENCE) => bail!("event {id} has not come to an end within {} s", PATIENCE.as_secs()),
        }
    }

    async fn call(&self) -> anyhow::Result<Call> {
        self.calls.lock().await.recv().await.context("the receiver has ended")
    }

    async fn wait_for_ctrl_c(&self) -> anyhow::Result<()> {
        say(
            "It keeps running until Ctrl-C. Push again yourself:",
            &format!(
                "   cd {} && git checkout main && git commit --allow-empty -m again && git push",
                self.clone.display()
            ),
        );
        output::data(&format!("   zetes events --data {}\n", self.data.display()));
        tokio::signal::ctrl_c().await.context("Ctrl-C can't be waited for")
    }
}

/// The webhook's address, as soon as it listens.
async fn listening(application: &Application) -> Option<std::net::SocketAddr> {
    let clock = Clock::system();
    let found = async {
        loop {
            if let Some(address) = application.port(0).await {
                return address;
            }
            clock.sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        address = found => Some(address),
        () = clock.sleep(PATIENCE) => None,
    }
}

type Receiver = (String, mpsc::Receiver<Call>, tokio_util::task::AbortOnDropHandle<()>);

/// A small HTTP server in the place of the system that the Sensor calls.
async fn receiver() -> anyhow::Result<Receiver> {
    let (sender, calls) = mpsc::channel(16);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/deployments", listener.local_addr()?);
    let router =
        axum::Router::new().route("/deployments", axum::routing::post(record)).with_state(Arc::new(sender));
    let stop = CancellationToken::new();
    // The demo ends with its process; what the receiver says of its own end is of no use to anybody.
    let serving = crate::application::spawn(async move {
        drop(axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await);
    });
    Ok((url, calls, serving))
}

async fn record(
    State(calls): State<Arc<mpsc::Sender<Call>>>,
    headers: HeaderMap,
    body: String,
) -> &'static str {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    drop(calls.send(Call { key, body }).await);
    "noted\n"
}

/// The file of the Workflow whose arguments hold the commit.
fn workflow_with(objects: &Path, commit: &str) -> anyhow::Result<PathBuf> {
    let folder = objects.join("default/workflows.argoproj.io");
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if std::fs::read_to_string(&path)?.contains(commit) {
            return Ok(path);
        }
    }
    bail!("no Workflow under {} holds commit {commit}", folder.display())
}
