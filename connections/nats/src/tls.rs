//! TLS to the server: rustls on aws-lc-rs, verified unless the settings say otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use secrecy::ExposeSecret as _;
use zetes_api::SecretKeyRef;

use crate::settings::{ConnectFailure, Settings};

/// The client's side. `unverified` is set when a certificate was accepted without being looked at.
pub(crate) fn client(
    settings: &Settings,
    unverified: &Arc<AtomicBool>,
) -> Result<ClientConfig, ConnectFailure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| ConnectFailure(format!("TLS can't be set up: {error}")))?;
    let demands_tls = settings.url.split(',').all(|part| part.trim().starts_with("tls://"));
    let tls = match &settings.tls {
        Some(tls) if !tls.insecure_skip_verify => tls.clone(),
        None if demands_tls => zetes_api::Tls::default(),
        _ => {
            let anything = Arc::new(Anything { provider, seen: unverified.clone() });
            return Ok(builder.dangerous().with_custom_certificate_verifier(anything).with_no_client_auth());
        }
    };
    let roots = tls.ca_cert_secret.as_ref().map_or_else(system_roots, |key| roots(settings, key))?;
    let builder = builder.with_root_certificates(roots);
    let (Some(certificate), Some(key)) = (&tls.client_cert_secret, &tls.client_key_secret) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(settings, certificate, "client certificate")?;
    let named = format!("secret `{}/{}` key `{}`", settings.namespace, key.name, key.key);
    let pem = pem(settings, key, "client key")?;
    let key = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
        .map_err(|_| ConnectFailure(format!("the client key in {named} is no PEM private key")))?;
    let configured = builder.with_client_auth_cert(chain, key);
    configured.map_err(|error| {
        ConnectFailure(format!("the client certificate and the key in {named} can't be used: {error}"))
    })
}

fn system_roots() -> Result<RootCertStore, ConnectFailure> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(ConnectFailure(
            "the system has no root certificates; install ca-certificates, or name the server's with tls.caCertSecret".to_owned(),
        ));
    }
    Ok(roots)
}

fn roots(settings: &Settings, key: &SecretKeyRef) -> Result<RootCertStore, ConnectFailure> {
    let mut roots = RootCertStore::empty();
    let named = format!("secret `{}/{}` key `{}`", settings.namespace, key.name, key.key);
    for certificate in certificates(settings, key, "CA")? {
        roots
            .add(certificate)
            .map_err(|error| ConnectFailure(format!("a CA certificate in {named} can't be used: {error}")))?;
    }
    Ok(roots)
}

fn certificates(
    settings: &Settings,
    key: &SecretKeyRef,
    what: &str,
) -> Result<Vec<CertificateDer<'static>>, ConnectFailure> {
    let text = pem(settings, key, what)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.expose_secret().as_bytes()).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| {
        let Settings { namespace, .. } = settings;
        ConnectFailure(format!(
            "the {what} in secret `{namespace}/{}` key `{}` is no PEM certificate",
            key.name, key.key
        ))
    })
}

fn pem(
    settings: &Settings,
    key: &SecretKeyRef,
    what: &str,
) -> Result<zetes_runtime::SecretText, ConnectFailure> {
    let text = settings.secrets.secret(&settings.namespace, key);
    text.map_err(|error| ConnectFailure(format!("the {what} can't be read: {error}")))
}

/// Accepts any certificate, and remembers that it did.
#[derive(Debug)]
struct Anything {
    provider: Arc<CryptoProvider>,
    seen: Arc<AtomicBool>,
}

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.store(true, Ordering::Relaxed);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
