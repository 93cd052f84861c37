//! TLS of a port, from secrets: the certificate that it shows, and the client certificates that it accepts.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use zetes_runtime::SecretText;

use crate::Error;

/// A certificate chain and its key, and whose client certificates count.
#[derive(Clone, Debug)]
pub struct ServerTls {
    certificate: Certificate,
    client_ca: Option<ClientCa>,
}

#[derive(Clone, Debug)]
struct Certificate {
    /// The secrets that it came from: they are one certificate, whatever they hold at the moment.
    origin: String,
    key: Arc<CertifiedKey>,
}

/// Who signs the certificates of callers.
#[derive(Clone, Debug)]
pub struct ClientCa {
    origin: String,
    roots: Arc<RootCertStore>,
    id: ClientCaId,
}

/// Which CA a caller's certificate was checked against: a digest of its certificates.
pub(crate) type ClientCaId = [u8; 32];

/// What a port speaks.
#[derive(Debug)]
pub(crate) struct PortTls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) client_ca: Option<ClientCaId>,
}

fn wrong(what: &str, error: impl std::fmt::Display) -> Error {
    Error::Permanent(format!("{what}: {error}"))
}

fn certificates(what: &str, pem: &SecretText) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose_secret().as_bytes()).collect();
    let chain = chain.map_err(|error| wrong(what, error))?;
    if chain.is_empty() { Err(wrong(what, "it holds no PEM certificate")) } else { Ok(chain) }
}

impl ServerTls {
    /// Reads PEM texts. `origin` names the secrets that they came from.
    ///
    /// # Errors
    /// Permanent: one of them is no PEM, or they don't belong together.
    pub fn from_pem(origin: String, chain: &SecretText, key: &SecretText) -> Result<Self, Error> {
        let chain = certificates("serverCertSecret", chain)?;
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
            .map_err(|error| wrong("serverKeySecret", error))?;
        let key = CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| wrong("serverCertSecret and serverKeySecret", error))?;
        Ok(Self { certificate: Certificate { origin, key: Arc::new(key) }, client_ca: None })
    }

    /// Callers must show a certificate that this CA has signed.
    #[must_use]
    pub fn with_client_ca(self, client_ca: ClientCa) -> Self {
        Self { client_ca: Some(client_ca), ..self }
    }

    pub(crate) fn client_ca(&self) -> Option<ClientCaId> {
        self.client_ca.as_ref().map(|ca| ca.id)
    }

    /// Whether both can be served on one port: there are not two CAs whose clients would be let in for each other.
    pub(crate) fn agrees_on_clients(&self, other: &Self) -> bool {
        match (&self.client_ca, &other.client_ca) {
            (Some(ours), Some(theirs)) => ours.origin == theirs.origin || ours.id == theirs.id,
            _ => true,
        }
    }

    pub(crate) fn shows_as(&self, other: &Self) -> bool {
        self.certificate.origin == other.certificate.origin
            || self.certificate.key.cert == other.certificate.key.cert
    }

    /// What a port speaks for all of its routes, the oldest first: the certificate of the oldest in its newest version, and the
    /// client CA of whoever has one. A caller without a certificate gets in, and is refused by each route that asks for one.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub(crate) fn of_port<'t>(all: impl Iterator<Item = &'t Self> + Clone) -> Result<Option<PortTls>, Error> {
        let Some(oldest) = all.clone().next() else { return Ok(None) };
        let same = all.clone().filter(|tls| tls.certificate.origin == oldest.certificate.origin);
        let shown = same.last().unwrap_or(oldest).certificate.key.clone();
        let client_ca = all.filter_map(|tls| tls.client_ca.as_ref()).last();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("TLS", error))?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(ca.roots.clone(), provider);
                let verifier = verifier.allow_unauthenticated().build();
                builder.with_client_cert_verifier(verifier.map_err(|error| wrong("clientCASecret", error))?)
            }
        };
        let resolver = SingleCertAndKey::from(CertifiedKey::clone(&shown));
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(PortTls { config: Arc::new(config), client_ca: client_ca.map(|ca| ca.id) }))
    }
}

impl ClientCa {
    /// Reads PEM certificates. `origin` names the secret that they came from.
    ///
    /// # Errors
    /// Permanent: there is none, or one can't be used.
    pub fn from_pem(origin: String, pem: &SecretText) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        let mut digest = Sha256::new();
        for certificate in certificates("clientCASecret", pem)? {
            digest.update(&certificate);
            roots.add(certificate).map_err(|error| wrong("clientCASecret", error))?;
        }
        Ok(Self { origin, roots: Arc::new(roots), id: digest.finalize().into() })
    }
}
