//! A certificate authority, a server's and a client's certificate, made by openssl for one run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::install::{program, run};

/// The distinguished name by which the broker knows the client.
pub(crate) const CLIENT: &str = "CN=zetes-client";
const DAYS: &str = "365";

/// PEM files in one folder. A keystore is a key and its certificate in one file.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        ensure!(program("openssl").is_some(), "`openssl` is missing: install it first");
        std::fs::create_dir_all(folder)?;
        let made = Self { folder: folder.to_owned() };
        made.key("ca")?;
        made.openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            DAYS,
            "-subj",
            "/CN=zetes-test-ca",
        ])?;
        made.signed(
            "server",
            "/CN=localhost",
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n",
        )?;
        made.signed("client", &format!("/{CLIENT}"), "extendedKeyUsage=clientAuth\n")?;
        Ok(made)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    pub(crate) fn key_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.key"))
    }

    pub(crate) fn keystore(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.keystore.pem"))
    }

    fn key(&self, name: &str) -> Result<()> {
        let file = format!("{name}.key");
        self.openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &file])
    }

    fn signed(&self, name: &str, subject: &str, extensions: &str) -> Result<()> {
        self.key(name)?;
        let [key, request, more, out] = ["key", "csr", "ext", "pem"].map(|end| format!("{name}.{end}"));
        std::fs::write(self.folder.join(&more), extensions)?;
        self.openssl(&["req", "-new", "-key", &key, "-out", &request, "-subj", subject])?;
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            DAYS,
            "-extfile",
            &more,
            "-out",
            &out,
        ])?;
        let both = [std::fs::read(self.key_file(name))?, std::fs::read(self.certificate(name))?].concat();
        std::fs::write(self.keystore(name), both).context("a keystore")
    }

    fn openssl(&self, arguments: &[&str]) -> Result<()> {
        let what = format!("openssl {}", arguments.first().copied().unwrap_or_default());
        run(Command::new("openssl").args(arguments).current_dir(&self.folder), &what)
    }
}
