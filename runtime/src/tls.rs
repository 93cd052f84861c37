//! TLS to the systems we call: rustls on aws-lc-rs, from the `tls` member of a manifest and the secrets that it names.
//!
//! Secrets are read each time, so that a connection made after a rotation has the new ones. A secret that can't be read is a
//! failure, never a connection without it (S35). A failure says which secret and what to do, and never holds a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier,
};
use secrecy::ExposeSecret as _;
use zetes_api::{Namespace, SecretKeyRef, Tls};

use crate::{SecretText, Secrets};

/// Why there is no TLS, and what to do, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsFailure(String);

/// The client's side, as the secrets are now. With `insecureSkipVerify` every certificate is accepted and none is shown
/// (spec/event-sources.md 1.8); without `caCertSecret` the system's roots count.
///
/// # Errors
/// A secret that can't be read, or holds no certificate or key.
pub fn client(tls: &Tls, namespace: &Namespace, secrets: &Secrets) -> Result<ClientConfig, TlsFailure> {
    if tls.insecure_skip_verify {
        return accepting_anything(Arc::default());
    }
    let pems = Pems { namespace, secrets };
    let roots = tls.ca_cert_secret.as_ref().map_or_else(system_roots, |key| pems.roots(key))?;
    let builder = builder()?.with_root_certificates(roots);
    match (&tls.client_cert_secret, &tls.client_key_secret) {
        (Some(certificate), Some(key)) => pems.show(builder, certificate, key),
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// A client that accepts any certificate. `seen` is set when one was accepted without being looked at.
///
/// # Errors
/// TLS can't be set up.
pub fn accepting_anything(seen: Arc<AtomicBool>) -> Result<ClientConfig, TlsFailure> {
    let anything = Arc::new(Anything { provider: Arc::new(aws_lc_rs::default_provider()), seen });
    Ok(builder()?.dangerous().with_custom_certificate_verifier(anything).with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsFailure> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions();
    builder.map_err(|error| TlsFailure(format!("TLS can't be set up: {error}")))
}

fn system_roots() -> Result<RootCertStore, TlsFailure> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(TlsFailure(
            "the system has no root certificates; install ca-certificates, or name the server's with tls.caCertSecret".to_owned(),
        ));
    }
    Ok(roots)
}

/// PEM texts out of secrets.
struct Pems<'s> {
    namespace: &'s Namespace,
    secrets: &'s Secrets,
}

impl Pems<'_> {
    fn roots(&self, key: &SecretKeyRef) -> Result<RootCertStore, TlsFailure> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(key, "CA")? {
            roots.add(certificate).map_err(|error| {
                TlsFailure(format!("a CA certificate in {} can't be used: {error}", self.named(key)))
            })?;
        }
        Ok(roots)
    }

    fn show(
        &self,
        builder: ConfigBuilder<ClientConfig, WantsClientCert>,
        certificate: &SecretKeyRef,
        key: &SecretKeyRef,
    ) -> Result<ClientConfig, TlsFailure> {
        let chain = self.certificates(certificate, "client certificate")?;
        let named = self.named(key);
        let pem = self.pem(key, "client key")?;
        let key = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
            .map_err(|_| TlsFailure(format!("the client key in {named} is no PEM private key")))?;
        builder.with_client_auth_cert(chain, key).map_err(|error| {
            TlsFailure(format!("the client certificate and the key in {named} can't be used: {error}"))
        })
    }

    fn certificates(
        &self,
        key: &SecretKeyRef,
        what: &str,
    ) -> Result<Vec<CertificateDer<'static>>, TlsFailure> {
        let text = self.pem(key, what)?;
        let found: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(text.expose_secret().as_bytes()).collect();
        found
            .ok()
            .filter(|found| !found.is_empty())
            .ok_or_else(|| TlsFailure(format!("the {what} in {} is no PEM certificate", self.named(key))))
    }

    fn pem(&self, key: &SecretKeyRef, what: &str) -> Result<SecretText, TlsFailure> {
        let text = self.secrets.secret(self.namespace, key);
        text.map_err(|error| TlsFailure(format!("the {what} can't be read: {error}")))
    }

    fn named(&self, key: &SecretKeyRef) -> String {
        format!("secret `{}/{}` key `{}`", self.namespace, key.name, key.key)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> SecretKeyRef {
        SecretKeyRef { name: "tls".to_owned(), key: key.to_owned(), optional: None }
    }

    fn secrets() -> Secrets {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let pairs = [
            ("cert", certified.cert.pem()),
            ("key", certified.signing_key.serialize_pem()),
            ("text", "no PEM".to_owned()),
        ];
        let string_data = pairs.into_iter().map(|(name, pem)| (name.to_owned(), pem)).collect();
        let metadata = zetes_api::Metadata { name: Some("tls".into()), ..Default::default() };
        let mut builder = Secrets::builder();
        let secret = zetes_api::Secret { metadata, data: std::collections::BTreeMap::new(), string_data };
        builder.secret("ci".into(), &secret).unwrap();
        builder.build()
    }

    fn told(tls: &Tls) -> String {
        client(tls, &"ci".into(), &secrets()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_can_not_be_used_is_told_with_its_secret() {
        let ca = |name: &str| Tls { ca_cert_secret: Some(key(name)), ..Tls::default() };
        assert_eq!(told(&ca("cert")), "");
        assert_eq!(told(&ca("text")), "the CA in secret `ci/tls` key `text` is no PEM certificate");
        assert!(
            told(&ca("absent")).starts_with("the CA can't be read: secret `ci/tls` key `absent` not found")
        );
        let shown =
            Tls { client_cert_secret: Some(key("cert")), client_key_secret: Some(key("text")), ..ca("cert") };
        assert_eq!(told(&shown), "the client key in secret `ci/tls` key `text` is no PEM private key");
        let shown = Tls { client_key_secret: Some(key("key")), ..shown };
        assert_eq!(told(&shown), "");
    }

    #[test]
    fn who_checks_nothing_needs_no_secret() {
        let tls = Tls { insecure_skip_verify: true, ca_cert_secret: Some(key("absent")), ..Tls::default() };
        assert_eq!(told(&tls), "");
    }
}
