//! TLS of a port, from secrets.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret as _;
use zetes_runtime::SecretText;

use crate::Error;

/// A certificate chain and its key, ready to serve.
#[derive(Clone, Debug)]
pub struct ServerTls(pub(crate) Arc<ServerConfig>);

impl ServerTls {
    /// Reads PEM texts.
    ///
    /// # Errors
    /// One of them is no PEM, or they don't belong together.
    pub fn from_pem(certificates: &SecretText, key: &SecretText) -> Result<Self, Error> {
        let wrong = |what: &str, error: &dyn std::fmt::Display| Error::Permanent(format!("{what}: {error}"));
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(certificates.expose_secret().as_bytes()).collect();
        let chain = chain.map_err(|error| wrong("serverCertSecret", &error))?;
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
            .map_err(|error| wrong("serverKeySecret", &error))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("TLS", &error))?;
        let mut config = builder
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| wrong("serverCertSecret and serverKeySecret", &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}
