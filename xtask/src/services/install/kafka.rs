//! Kafka's jars, and a Java to run them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Cache, needed, run};

const KAFKA: &str = "4.1.1";
/// Kafka brings no logging back end of its own; this one writes to stderr.
const SLF4J: &str = "1.7.36";
/// The first that Kafka 4 runs on.
const JAVA: u32 = 17;

/// A folder of jars.
pub(crate) fn kafka(cache: &Cache) -> Result<PathBuf> {
    cache.folder(&format!("kafka-{KAFKA}"), by_maven)
}

pub(crate) fn java(_: &Cache) -> Result<PathBuf> {
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

fn by_maven(folder: &Path) -> Result<()> {
    let maven = needed("mvn", "maven", "install Maven")?;
    let project = folder.join("project");
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("pom.xml"), project_file())?;
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

fn project_file() -> String {
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
