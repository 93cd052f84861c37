//! Programs out of Debian's packages, which are unpacked and not installed: nobody need be root, and apt starts nothing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Cache, apt_get, program, run, script};

/// The packages that Debian's own system lacks; versions are those of Debian 12.
const REDIS: (&str, &[&str]) = ("redis-7.0.15", &["redis-server", "redis-tools", "libjemalloc2", "liblzf1"]);
const MOSQUITTO: (&str, &[&str]) =
    ("mosquitto-2.0.11", &["mosquitto", "libcjson1", "libdlt2", "libmosquitto1", "libwrap0"]);
const RABBITMQ: (&str, &[&str]) = (
    "rabbitmq-3.10.8",
    &[
        "rabbitmq-server",
        "erlang-asn1",
        "erlang-base",
        "erlang-crypto",
        "erlang-eldap",
        "erlang-inets",
        "erlang-mnesia",
        "erlang-os-mon",
        "erlang-parsetools",
        "erlang-public-key",
        "erlang-runtime-tools",
        "erlang-snmp",
        "erlang-ssl",
        "erlang-syntax-tools",
        "erlang-tools",
        "erlang-xmerl",
    ],
);

pub(crate) fn redis(cache: &Cache) -> Result<PathBuf> {
    runnable(cache, REDIS, "redis-server")
}

pub(crate) fn mosquitto(cache: &Cache) -> Result<PathBuf> {
    runnable(cache, MOSQUITTO, "mosquitto")
}

pub(crate) fn mosquitto_passwd(cache: &Cache) -> Result<PathBuf> {
    runnable(cache, MOSQUITTO, "mosquitto_passwd")
}

/// The root of a tree with Erlang and `RabbitMQ` in it.
pub(crate) fn rabbitmq(cache: &Cache) -> Result<PathBuf> {
    let (name, packages) = RABBITMQ;
    cache.folder(name, |folder| {
        unpack(folder, packages)?;
        for part in ["usr/lib/erlang", "usr/lib/rabbitmq"] {
            ensure!(folder.join(part).is_dir(), "the packages brought no {part}");
        }
        remove_plugins(folder)
    })
}

/// All but what the server itself needs: at each start it would look for every module in every folder, for a second.
fn remove_plugins(folder: &Path) -> Result<()> {
    for release in std::fs::read_dir(folder.join("usr/lib/rabbitmq/lib"))? {
        for plugin in std::fs::read_dir(release?.path().join("plugins"))? {
            let plugin = plugin?;
            let name = plugin.file_name().to_string_lossy().into_owned();
            if name.starts_with("rabbitmq_") && !name.starts_with("rabbitmq_prelaunch") {
                std::fs::remove_dir_all(plugin.path())?;
            }
        }
    }
    Ok(())
}

/// A program out of packages, or else the one that is installed.
fn runnable(cache: &Cache, (name, packages): (&str, &[&str]), wanted: &str) -> Result<PathBuf> {
    let unpacked = cache.folder(name, |folder| {
        unpack(folder, packages)?;
        find_libraries(folder)
    });
    match (unpacked, program(wanted)) {
        (Ok(folder), _) => Ok(folder.join(wanted)),
        (Err(_), Some(installed)) => Ok(installed),
        (Err(error), None) => Err(error.context(format!("install `{wanted}`, or use Debian 12"))),
    }
}

/// Downloads packages and unpacks them into a folder, which is made.
pub(super) fn unpack(folder: &Path, packages: &[&str]) -> Result<()> {
    let downloads = folder.join("downloads");
    std::fs::create_dir_all(&downloads)?;
    let arguments: Vec<&str> = std::iter::once("download").chain(packages.iter().copied()).collect();
    ensure!(apt_get(&arguments, &downloads), "apt-get can't download {}", packages.join(" "));
    for package in std::fs::read_dir(&downloads)? {
        run(Command::new("dpkg").arg("-x").arg(package?.path()).arg(folder), "dpkg -x")?;
    }
    std::fs::remove_dir_all(&downloads)?;
    Ok(())
}

/// A script for each program, as its libraries are not where the system looks for them.
fn find_libraries(folder: &Path) -> Result<()> {
    // `x86_64-linux-gnu` or its like.
    let mut libraries = std::fs::read_dir(folder.join("usr/lib"))?.filter_map(Result::ok);
    let library = libraries.find(|entry| entry.file_name().to_string_lossy().contains("-linux-"));
    let library = library.context("the packages brought no libraries")?.file_name();
    for programs in ["usr/sbin", "usr/bin"].map(|part| folder.join(part)).iter().filter(|part| part.is_dir())
    {
        for program in std::fs::read_dir(programs)? {
            let path = program?.path();
            let name = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
            let inside = path.strip_prefix(folder)?.display().to_string();
            let library = library.to_string_lossy();
            let line = format!("LD_LIBRARY_PATH=\"$here/usr/lib/{library}\" exec \"$here/{inside}\" \"$@\"");
            script(&folder.join(&*name), &line)?;
        }
    }
    Ok(())
}
