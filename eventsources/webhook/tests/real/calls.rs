//! Callers.

use eventsource_core::testkit::{Kit, eventually};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use zetes_services::Certificates;

/// What a caller is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) headers: http::HeaderMap,
}

impl Answer {
    pub(crate) async fn to(request: reqwest::RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Self { status, text: answer.text().await.unwrap(), headers }
    }

    pub(crate) fn is(&self, status: u16, text: &str) {
        assert_eq!((self.status, self.text.as_str()), (status, text));
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

thread_local! {
    /// One for each test: to make one reads the system's certificates.
    static CLIENT: reqwest::Client = {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        reqwest::Client::builder().no_proxy().build().unwrap()
    };
}

pub(crate) fn client() -> reqwest::Client {
    CLIENT.with(reqwest::Client::clone)
}

/// Posts to the path on port `"0"`, once it is open.
pub(crate) async fn post(
    kit: &Kit,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Answer {
    let mut request = client().post(format!("http://{}{path}", kit.address().await)).body(body.into());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::to(request).await
}

/// Waits until the path is served: an event source that is not there yet answers 404.
pub(crate) async fn served(kit: &Kit, path: &str) {
    let address = kit.address().await;
    eventually("the route", async || {
        let answer = client().get(format!("http://{address}{path}")).send().await.ok()?;
        (answer.status() != 404).then_some(())
    })
    .await;
}

/// A caller over TLS that trusts the CA of `trusted`, and shows the client certificate of `shown`.
pub(crate) fn tls_client(trusted: &Certificates, shown: Option<&Certificates>) -> reqwest::Client {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let certificates = |pem: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&trusted.ca.certificate));
    let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let key = PrivateKeyDer::from_pem_slice(shown.client.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(certificates(&shown.client.certificate), key).unwrap()
        }
    };
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config).build().unwrap()
}

/// Seconds since 1970, by the machine's clock, and so many more.
pub(crate) fn seconds(more: i64) -> i64 {
    zetes_runtime::Clock::system().now().as_second() + more
}

/// An object with more members, or others.
pub(crate) fn with_members(mut object: Value, members: Value) -> Value {
    if let (Value::Object(object), Value::Object(members)) = (&mut object, members) {
        object.extend(members);
    }
    object
}
