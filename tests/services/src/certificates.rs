//! Certificates for TLS with a test's own server.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// A certificate authority with what it signed, and one that has nothing to do with it. Files end with the value.
#[derive(Debug)]
pub struct Certificates {
    pub ca: Pem,
    /// For `localhost` and `127.0.0.1`.
    pub server: Pem,
    /// Of `CN=zetes-client`.
    pub client: Pem,
    /// Signed nothing of the above: who trusts only this one must refuse the server.
    pub wrong_ca: Pem,
    folder: TempDir,
}

/// A certificate and its key, as text and as files.
#[derive(Clone, Debug)]
pub struct Pem {
    pub certificate: String,
    pub key: String,
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
}

impl Certificates {
    /// # Panics
    ///
    /// Where there is no temporary folder.
    #[expect(clippy::new_without_default, reason = "it makes keys and files")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ca = authority("zetes-test-ca");
        let wrong = authority("zetes-wrong-ca");
        let names = ["localhost", "127.0.0.1"];
        Self {
            server: signed(folder.path(), "server", &names, ExtendedKeyUsagePurpose::ServerAuth, &ca),
            client: signed(folder.path(), "zetes-client", &[], ExtendedKeyUsagePurpose::ClientAuth, &ca),
            ca: Pem::write(folder.path(), "ca", ca.pem(), ca.key().serialize_pem()),
            wrong_ca: Pem::write(folder.path(), "wrong-ca", wrong.pem(), wrong.key().serialize_pem()),
            folder,
        }
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The server's certificate and key, and the authority: what every server's configuration names.
    pub(crate) fn server_files(&self) -> [String; 3] {
        [&self.server.certificate_file, &self.server.key_file, &self.ca.certificate_file]
            .map(|file| file.display().to_string())
    }

    /// A `tls` block for a NATS server; `verify` asks clients for a certificate.
    pub fn nats_tls(&self, verify: bool) -> String {
        let [cert, key, ca] = self.server_files();
        format!("tls {{ cert_file: \"{cert}\", key_file: \"{key}\", ca_file: \"{ca}\", verify: {verify} }}\n")
    }
}

impl Pem {
    fn write(folder: &Path, name: &str, certificate: String, key: String) -> Self {
        let [certificate_file, key_file] = ["pem", "key"].map(|end| folder.join(format!("{name}.{end}")));
        std::fs::write(&certificate_file, &certificate).expect("our own folder");
        std::fs::write(&key_file, &key).expect("our own folder");
        Self { certificate, key, certificate_file, key_file }
    }
}

fn named(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).expect("names of this machine");
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = named(name, &[]);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(parameters, key()).expect("a certificate without special wishes")
}

fn signed(
    folder: &Path,
    name: &str,
    names: &[&str],
    purpose: ExtendedKeyUsagePurpose,
    ca: &CertifiedIssuer<'static, KeyPair>,
) -> Pem {
    let mut parameters = named(name, names);
    parameters.extended_key_usages = vec![purpose];
    parameters.use_authority_key_identifier_extension = true;
    let key = key();
    let certificate = parameters.signed_by(&key, ca).expect("a certificate without special wishes");
    Pem::write(folder, name, certificate.pem(), key.serialize_pem())
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}
