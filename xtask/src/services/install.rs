//! Programs that the tests need, kept outside the checkout by name and version.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

const NATS_OLD: &str = "2.9.10";
const NATS_CURRENT: &str = "2.12.2";
const KAFKA: &str = "4.1.1";
/// Kafka brings no logging back end of its own; this one writes to stderr.
const SLF4J: &str = "1.7.36";
/// The first that Kafka 4 runs on.
const JAVA: u32 = 17;
/// The first that fetches a newer one where a module asks for it.
const GO: u32 = 21;

/// Folders named after a program and its version. A folder is there whole or not at all.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

/// What a broker is started with.
#[derive(Clone, Debug)]
pub(crate) struct KafkaPrograms {
    /// A folder of jars.
    pub(crate) lib: PathBuf,
    pub(crate) java: PathBuf,
}

// === impl Cache ===

impl Cache {
    pub(crate) fn of_user() -> Result<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .context("no folder for what is installed: set HOME or XDG_CACHE_HOME")?;
        Ok(Self::at(folder.join("zetes-services")))
    }

    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder of this name; `fill` makes it where it is missing, in a folder beside it that is renamed when done.
    pub(crate) fn folder(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let whole = self.folder.join(name);
        if whole.is_dir() {
            return Ok(whole);
        }
        eprintln!("services: installing {name}");
        let half = self.folder.join(format!("{name}.{}.unfinished", std::process::id()));
        std::fs::create_dir_all(&half).with_context(|| half.display().to_string())?;
        let filled = fill(&half).with_context(|| format!("installing {name}"));
        // Another xtask may have been quicker; what it made is as good.
        let renamed = filled.and_then(|()| match std::fs::rename(&half, &whole) {
            Err(error) if !whole.is_dir() => Err(error).with_context(|| whole.display().to_string()),
            _ => Ok(()),
        });
        if half.exists() {
            std::fs::remove_dir_all(&half).with_context(|| half.display().to_string())?;
        }
        renamed.map(|()| whole)
    }
}

/// The server of Debian 12, the oldest that is supported.
pub(crate) fn nats_old(cache: &Cache) -> Result<PathBuf> {
    let name = format!("nats-server-{NATS_OLD}");
    let folder = cache.folder(&name, |folder| {
        if nats_of_debian(folder) {
            return Ok(());
        }
        eprintln!("services: Debian's package has another version or is not to be had; building {NATS_OLD}");
        nats_by_go(folder, NATS_OLD)
    })?;
    Ok(folder.join("nats-server"))
}

pub(crate) fn nats_current(cache: &Cache) -> Result<PathBuf> {
    let folder =
        cache.folder(&format!("nats-server-{NATS_CURRENT}"), |folder| nats_by_go(folder, NATS_CURRENT))?;
    Ok(folder.join("nats-server"))
}

pub(crate) fn kafka(cache: &Cache) -> Result<KafkaPrograms> {
    let java = java()?;
    let lib = cache.folder(&format!("kafka-{KAFKA}"), kafka_by_maven)?;
    Ok(KafkaPrograms { lib, java })
}

/// Unpacks the package without installing it. False where that does not give the version that is meant.
fn nats_of_debian(folder: &Path) -> bool {
    if program("apt-get").is_none() || program("dpkg").is_none() {
        return false;
    }
    // What was downloaded must not be in the folder that stays.
    let package = folder.join("package");
    if std::fs::create_dir(&package).is_err() {
        return false;
    }
    let download =
        || succeeds(Command::new("apt-get").args(["download", "nats-server"]).current_dir(&package));
    let unpacked = (download() || (succeeds(Command::new("apt-get").arg("update")) && download()))
        && deb_in(&package)
            .is_some_and(|deb| succeeds(Command::new("dpkg").arg("-x").arg(deb).arg(&package)))
        && std::fs::rename(package.join("usr/sbin/nats-server"), folder.join("nats-server"))
            .or_else(|_| std::fs::rename(package.join("usr/bin/nats-server"), folder.join("nats-server")))
            .is_ok();
    std::fs::remove_dir_all(&package).is_ok() && unpacked && is_version(&folder.join("nats-server"), NATS_OLD)
}

fn deb_in(folder: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    entries.find(|path| path.extension().is_some_and(|extension| extension == "deb"))
}

fn nats_by_go(folder: &Path, version: &str) -> Result<()> {
    let go = go()?;
    let module = format!("github.com/nats-io/nats-server/v2@v{version}");
    eprintln!("services: go install {module} (half a minute on two cores)");
    let mut command = Command::new(go);
    command.args(["install", &module]).env("GOBIN", folder).env_remove("GOFLAGS");
    run(&mut command, "go install")?;
    ensure!(is_version(&folder.join("nats-server"), version), "go install gave no nats-server {version}");
    Ok(())
}

fn is_version(nats_server: &Path, version: &str) -> bool {
    let output = Command::new(nats_server).arg("--version").output();
    output.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout)
            .split_whitespace()
            .any(|word| word.trim_start_matches('v') == version)
    })
}

fn kafka_by_maven(folder: &Path) -> Result<()> {
    let maven = needed("mvn", "maven", "install Maven")?;
    let project = folder.join("project");
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("pom.xml"), project_of_kafka())?;
    eprintln!("services: mvn dependency:copy-dependencies (43 MB)");
    let mut command = Command::new(maven);
    command.args(["--quiet", "--batch-mode", "dependency:copy-dependencies", "-DincludeScope=runtime"]);
    command.arg(format!("-DoutputDirectory={}", folder.display())).current_dir(&project);
    run(&mut command, "mvn dependency:copy-dependencies")?;
    std::fs::remove_dir_all(&project)?;
    let jar = folder.join(format!("kafka_2.13-{KAFKA}.jar"));
    ensure!(jar.is_file(), "Maven copied no {}", jar.display());
    Ok(())
}

fn project_of_kafka() -> String {
    let dependency = |group: &str, name: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        )
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>zetes</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencies>{}{}</dependencies></project>",
        dependency("org.apache.kafka", "kafka_2.13", KAFKA),
        dependency("org.slf4j", "slf4j-simple", SLF4J),
    )
}

fn java() -> Result<PathBuf> {
    let advice = format!("install a Java runtime, {JAVA} or newer");
    let java = needed("java", "default-jre-headless", &advice)?;
    let output = Command::new(&java).arg("-version").output().context("java -version")?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // `openjdk version "17.0.15" 2025-04-15`
    let major =
        text.split('"').nth(1).and_then(|version| version.split(['.', '-']).next()?.parse::<u32>().ok());
    ensure!(major.is_some_and(|major| major >= JAVA), "java is too old for Kafka {KAFKA}: {advice}");
    Ok(java)
}

fn go() -> Result<PathBuf> {
    let advice = format!("install Go 1.{GO} or newer, from its own site where the distribution's is older");
    let go = needed("go", "golang-go", &advice)?;
    let output = Command::new(&go).args(["env", "GOVERSION"]).output().context("go env GOVERSION")?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let minor = text
        .strip_prefix("go1.")
        .and_then(|rest| rest.split(['.', 'r', 'b', ' ']).next()?.parse::<u32>().ok());
    ensure!(minor.is_none_or(|minor| minor >= GO), "{text} is too old to build nats-server: {advice}");
    Ok(go)
}

/// A program, installed by apt where it is missing and we may.
fn needed(name: &str, package: &str, advice: &str) -> Result<PathBuf> {
    if let Some(found) = program(name) {
        return Ok(found);
    }
    if is_root() && program("apt-get").is_some() {
        eprintln!("services: apt-get install {package}");
        let install = || {
            let mut command = Command::new("apt-get");
            command.args(["install", "--yes", "--no-install-recommends", package]);
            succeeds(command.env("DEBIAN_FRONTEND", "noninteractive"))
        };
        if !install() && succeeds(Command::new("apt-get").arg("update")) {
            install();
        }
    }
    match program(name) {
        Some(found) => Ok(found),
        None => bail!("`{name}` is missing: {advice}"),
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Where a program is, by the search path.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// Runs a command in silence; what it wrote is in the error.
pub(crate) fn run(command: &mut Command, what: &str) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| what.to_owned())?;
    let said = || [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    ensure!(output.status.success(), "{what} failed:\n{}", String::from_utf8_lossy(&said()).trim());
    Ok(())
}
