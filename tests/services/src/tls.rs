//! TLS to a test's own server.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::certificates::Pem;
use crate::process::connect;

/// A connection that trusts this authority, and shows a certificate where there is one. The handshake comes with the
/// first bytes.
pub(crate) fn connect_tls(
    port: u16,
    ca: &Pem,
    shown: Option<&Pem>,
) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(ca)).expect("an authority of our own");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows these versions")
        .with_root_certificates(roots);
    let config = match shown {
        Some(pem) => {
            config.with_client_auth_cert(vec![certificate(pem)], key(pem)).expect("a key of our own")
        }
        None => config.with_no_client_auth(),
    };
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a configuration of our own");
    Some(StreamOwned::new(connection, connect(port)?))
}

fn certificate(pem: &Pem) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.certificate.as_bytes()).expect("a certificate of our own")
}

fn key(pem: &Pem) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).expect("a key of our own")
}
