//! Callers that show a certificate.

use rustls::pki_types::CertificateDer;
use schemars::JsonSchema;
use serde::Deserialize;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zetes_api::SecretKeyRef;

use super::reply::Refusal;
use super::tls::ClientCaId;

/// Callers must show a certificate (mutual TLS). A port has one TLS: all events on it that ask for certificates name the same CA.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Mtls {
    /// PEM certificates of those who sign the certificates of callers.
    #[serde(rename = "clientCASecret")]
    pub client_ca_secret: Option<SecretKeyRef>,
    /// The certificate must have one of these names, as its common name or among its alternative names (DNS, IP, mail, URI).
    /// Empty: every certificate of the CA is accepted.
    pub allowed_names: Vec<String>,
}

/// What a caller has shown on its connection, and the CA that it was checked against.
#[derive(Debug)]
pub(crate) struct Client {
    names: Vec<String>,
    ca: ClientCaId,
}

impl Client {
    pub(crate) fn new(certificate: &CertificateDer<'_>, ca: ClientCaId) -> Self {
        let names = X509Certificate::from_der(certificate).map(|(_, certificate)| names(&certificate));
        Self { names: names.unwrap_or_default(), ca }
    }

    /// Whether a route that trusts `ca` lets it in. A connection that is older than the CA does not count.
    ///
    /// # Errors
    /// 401.
    pub(crate) fn admit(client: Option<&Self>, ca: ClientCaId, allowed: &[String]) -> Result<(), Refusal> {
        let Some(client) = client.filter(|client| client.ca == ca) else {
            return Err(Refusal::unauthenticated("a client certificate is required"));
        };
        if allowed.is_empty() || client.names.iter().any(|name| allowed.contains(name)) {
            return Ok(());
        }
        Err(Refusal::unauthenticated("the client certificate has none of the allowed names"))
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let mut names: Vec<String> = common.map(str::to_owned).collect();
    let alternative = certificate.subject_alternative_name().ok().flatten();
    names.extend(alternative.into_iter().flat_map(|names| &names.value.general_names).filter_map(text));
    names
}

fn text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            Some((*text).to_owned())
        }
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<std::net::IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from)).ok()
}
