//! The HTTP client of one trigger: its TLS settings and time limit.

use std::time::Duration;

use reqwest::{Certificate, Client, Identity};
use secrecy::ExposeSecret as _;
use sensor_core::{Context, Error};
use zetes_api::Tls;

/// # Errors
/// A secret can't be read, or is no PEM.
pub(crate) fn client(tls: Option<&Tls>, timeout: Duration, cx: &Context) -> Result<Client, Error> {
    let mut builder = Client::builder().timeout(timeout).pool_max_idle_per_host(256);
    if let Some(tls) = tls {
        // As the reference: with TLS settings of its own a trigger uses no proxy and HTTP/1.1.
        builder = builder.no_proxy().http1_only();
        if tls.insecure_skip_verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else {
            builder = trusted(builder, tls, cx)?;
        }
    }
    builder.build().map_err(Error::permanent)
}

fn trusted(
    mut builder: reqwest::ClientBuilder,
    tls: &Tls,
    cx: &Context,
) -> Result<reqwest::ClientBuilder, Error> {
    let wrong = |what: &str, error: reqwest::Error| Error::Permanent(format!("tls.{what}: {error}"));
    if let Some(bundle) = cx.secret(tls.ca_cert_secret.as_ref())? {
        let roots = Certificate::from_pem_bundle(bundle.expose_secret().as_bytes())
            .map_err(|error| wrong("caCertSecret", error))?;
        builder = builder.tls_certs_only(roots);
    }
    let (cert, key) =
        (cx.secret(tls.client_cert_secret.as_ref())?, cx.secret(tls.client_key_secret.as_ref())?);
    if let (Some(cert), Some(key)) = (cert, key) {
        let pem = format!("{}\n{}", key.expose_secret(), cert.expose_secret());
        builder = builder
            .identity(Identity::from_pem(pem.as_bytes()).map_err(|error| wrong("clientCertSecret", error))?);
    }
    Ok(builder)
}
