//! TLS before a provider, with the certificates of a test.

use std::net::SocketAddr;
use std::sync::Arc;

use eventsource_core::testkit::{Kit, Source};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use zetes_services::Certificates;

use crate::provider::well;

/// Takes TLS off what comes in, and passes it on.
pub(crate) struct TlsFront {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl TlsFront {
    pub(crate) async fn before(provider: SocketAddr, certificates: &Certificates) -> Self {
        let provider_of_tls = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = CertificateDer::from_pem_slice(certificates.server.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(certificates.server.key.as_bytes()).unwrap();
        let builder =
            ServerConfig::builder_with_provider(provider_of_tls).with_safe_default_protocol_versions();
        let config = builder.unwrap().with_no_client_auth().with_single_cert(vec![chain], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    // Who does not trust the certificate goes away.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut onward = TcpStream::connect(provider).await.unwrap();
                    drop(copy_bidirectional(&mut stream, &mut onward).await);
                });
            }
        });
        Self { address, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

/// Who trusts another authority is told so, and who trusts the right one is well. `start` makes the event source with the secret `tls` as
/// its CA.
pub(crate) async fn only_the_right_authority_is_trusted(
    kit: &Kit,
    certificates: &Certificates,
    start: impl Fn(&Kit) -> Source,
) {
    kit.set_secret("tls", "ca", &certificates.wrong_ca.certificate);
    let source = start(kit);
    let trouble = source.trouble().await;
    assert!(trouble.contains("certificate"), "{trouble}");
    // The event source connects anew by itself.
    kit.set_secret("tls", "ca", &certificates.ca.certificate);
    well(&source).await;
    source.stop().await;
}
