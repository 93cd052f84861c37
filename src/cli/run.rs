//! `zetes run`: serve manifests.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use notify::{RecursiveMode, Watcher as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};
use zetes_api::{Namespace, Severity};
use zetes_runtime::{Clock, SecretsBuilder};

use super::SecretPlaces;
use crate::application::{Application, Settings};
use crate::load::{self, Loaded};
use crate::output;
use crate::registry::Registry;
use crate::telemetry::{self, LogFormat};

/// Changes within this time are read as one.
const SETTLE: Duration = Duration::from_millis(100);

/// Serve manifests: open their ports, keep their events, fire their triggers. Edits are picked up while it runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  zetes run examples/webhook
  zetes run manifests/ --data /var/lib/zetes --listen 0.0.0.0
  ZETES_SECRET_GITHUB_TOKEN=… zetes run push.yaml

SIGTERM or Ctrl-C: refuses what is new, finishes what is in hand within --grace, exit code 0.
Exit codes: 0 stopped well, 1 could not start or run, 2 wrong usage or unreadable input.")]
pub(crate) struct Run {
    /// Files, folders (*.yaml, *.yml, *.json, recursively), or - for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where the bus and written objects are kept. Default: .zetes beside the first path.
    #[arg(long, value_name = "DIR", env = "ZETES_DATA")]
    data: Option<PathBuf>,
    /// Address on which webhook ports are opened; 0.0.0.0 for all.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Address of health, metrics and explain; port 0 lets the system choose.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    admin: SocketAddr,
    /// A JetStream server for the EventBuses of kind `jetstream`, which the embedded bus carries otherwise.
    #[arg(long, value_name = "URL", env = "ZETES_BUS_URL")]
    bus_url: Option<String>,
    /// Namespace of documents that name none.
    #[arg(long, short, default_value = "default")]
    namespace: String,
    #[command(flatten)]
    places: SecretPlaces,
    /// How long what is in hand may take at a stop, `30s` or `2m`.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    grace: Duration,
    /// How log records are written.
    #[arg(long, value_enum, default_value_t = LogFormat::Auto)]
    log_format: LogFormat,
    /// Which log records: a level, or directives such as `warn,sensor_core=debug`.
    #[arg(long, default_value = "info", env = "LOG_LEVEL")]
    log_level: String,
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| format!("expected a duration such as `30s`, found `{text}`"))?;
    Duration::try_from(span).map_err(|_| "expected a duration that is not negative".to_owned())
}

impl Run {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init(self.log_format, &self.log_level)?;
        super::runtime()?.block_on(self.serve())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(&self) -> anyhow::Result<()> {
        // Listened to from the beginning, so that a stop during the start is a stop, too.
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let registry = Registry::of_this_build();
        let loaded = self.load(&registry)?;
        tell(&loaded);
        let settings = Settings {
            data: self.data(),
            listen: self.listen,
            admin: self.admin,
            jetstream_url: self.bus_url.clone(),
            grace: self.grace,
        };
        let (changes, _watcher) = self.watch()?;
        let mut application = Application::start(settings, loaded, registry, self.secrets()).await?;
        tokio::select! {
            ended = self.follow(&mut application, changes) => ended?,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!(grace = ?self.grace, "stopping");
        tokio::select! {
            () = application.stop(self.grace) => {}
            _ = terminate.recv() => warn!("stopped at once by a second signal"),
            _ = interrupt.recv() => warn!("stopped at once by a second signal"),
        }
        info!("stopped");
        Ok(())
    }

    /// Reads everything anew whenever a file changes. Ends only when the bus fails.
    async fn follow(
        &self,
        application: &mut Application,
        mut changes: mpsc::Receiver<()>,
    ) -> anyhow::Result<()> {
        let clock = Clock::system();
        while changes.recv().await.is_some() {
            clock.sleep(SETTLE).await;
            while changes.try_recv().is_ok() {}
            match self.load(application.registry()) {
                Ok(loaded) => {
                    tell(&loaded);
                    application.reload(loaded, self.secrets()).await?;
                }
                Err(error) => error!(%error, "the manifests can't be read, everything runs as before"),
            }
        }
        // Nothing to watch (standard input): only a signal ends this.
        std::future::pending().await
    }

    /// One message for any number of changes that have not been looked at.
    fn watch(&self) -> anyhow::Result<(mpsc::Receiver<()>, Option<notify::RecommendedWatcher>)> {
        let (sender, changes) = mpsc::channel(1);
        let folders: Vec<&Path> =
            self.paths.iter().filter(|path| *path != Path::new("-")).map(|path| watched(path)).collect();
        if folders.is_empty() {
            return Ok((changes, None));
        }
        let below: Vec<PathBuf> = folders.iter().map(|folder| (*folder).to_owned()).collect();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let is_read = |path: &PathBuf| load::is_manifest(path) && !load::is_hidden(path, &below);
            if event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(is_read)) {
                // A full channel holds a message already: that one reads this change, too.
                let _noted = sender.try_send(());
            }
        })?;
        for folder in folders {
            watcher.watch(folder, RecursiveMode::Recursive).with_context(|| folder.display().to_string())?;
        }
        Ok((changes, Some(watcher)))
    }

    fn load(&self, registry: &Registry) -> anyhow::Result<Loaded> {
        load::load(&self.paths, &Namespace::from(self.namespace.as_str()), registry)
    }

    fn data(&self) -> PathBuf {
        let beside = || {
            let first = self.paths.first().filter(|path| *path != Path::new("-"));
            first.map_or_else(|| PathBuf::from("."), |path| watched(path).to_owned()).join(".zetes")
        };
        self.data.clone().unwrap_or_else(beside)
    }

    fn secrets(&self) -> SecretsBuilder {
        self.places.builder()
    }
}

/// The folder itself, or the folder of a file: editors replace files, and a watch on a replaced file sees nothing more.
fn watched(path: &Path) -> &Path {
    if path.is_dir() {
        path
    } else {
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

fn tell(loaded: &Loaded) {
    for found in &loaded.diagnostics {
        output::note(&output::diagnostic(found));
    }
    let (errors, failing) = (loaded.errors(), loaded.failing());
    let warnings = loaded.diagnostics.iter().filter(|found| found.severity == Severity::Warning).count();
    if errors > 0 {
        warn!(errors, warnings, not_run = failing.len(), "the manifests have mistakes; everything else runs");
    }
}
