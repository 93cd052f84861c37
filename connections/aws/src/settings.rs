//! What a connection is made of.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use secrecy::ExposeSecret as _;
use zetes_api::{Namespace, SecretKeyRef, Tls};
use zetes_runtime::{Clock, SecretText, Secrets};

use crate::connection::Connection;
use crate::failure::{Failure, Login, Place};

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Until the first byte of an answer. Whoever lets a server wait sets another one.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);
const ATTEMPT_PATIENCE: Duration = Duration::from_mins(1);
/// Who fails twice is the supervisor's.
const ATTEMPTS: u32 = 2;

/// A service of AWS, or of what speaks like it, as an object names it. Credentials are those of the first that is given: `role_arn`,
/// the two keys, the default chain (spec/event-sources.md 1.8).
#[derive(Clone, Debug)]
pub struct Settings {
    pub region: String,
    /// Address of the service; empty for Amazon's. Roles are always assumed at Amazon's token service, or at `AWS_ENDPOINT_URL_STS`.
    pub endpoint: String,
    /// Assumed with the credentials of the default chain.
    pub role_arn: String,
    pub access_key: Option<SecretKeyRef>,
    pub secret_key: Option<SecretKeyRef>,
    /// Goes with temporary keys.
    pub session_token: Option<SecretKeyRef>,
    /// PEM certificates that are trusted instead of the system's.
    pub ca_certificate: Option<SecretKeyRef>,
    /// Whose secrets these are.
    pub namespace: Namespace,
    pub secrets: Secrets,
    pub clock: Clock,
}

impl Settings {
    /// Secrets and credentials, as they are now.
    ///
    /// # Errors
    /// A secret that can't be read, no credentials, a role that can't be assumed.
    pub async fn connect(&self) -> Result<Connection, Failure> {
        // Large, since every way to credentials is in it.
        let config = Box::pin(self.sdk_config()).await?;
        let config = match self.endpoint.as_str() {
            "" => config,
            endpoint => config.into_builder().endpoint_url(endpoint).build(),
        };
        let connection = Connection::new(config, self.place(), self.login(), self.clock.clone());
        connection.credentials().await?;
        Ok(connection)
    }

    async fn sdk_config(&self) -> Result<SdkConfig, Failure> {
        let loader = self.loader()?;
        if !self.role_arn.is_empty() {
            let base = loader.load().await;
            let role = AssumeRoleProvider::builder(&self.role_arn).session_name("zetes").configure(&base);
            let role = SharedCredentialsProvider::new(role.build().await);
            return Ok(base.into_builder().credentials_provider(role).build());
        }
        Ok(match self.keys()? {
            Some(keys) => loader.credentials_provider(keys).load().await,
            None => loader.load().await,
        })
    }

    fn loader(&self) -> Result<ConfigLoader, Failure> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_PATIENCE)
            .read_timeout(ANSWER_PATIENCE)
            .operation_attempt_timeout(ATTEMPT_PATIENCE)
            .build();
        Ok(aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.region.clone()))
            .http_client(self.http_client()?)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS)))
    }

    fn keys(&self) -> Result<Option<Credentials>, Failure> {
        let (access, secret) = match (&self.access_key, &self.secret_key) {
            (None, None) => return Ok(None),
            (Some(access), Some(secret)) => (self.secret(access)?, self.secret(secret)?),
            _ => {
                return Err(Failure::new(
                    "`accessKey` and `secretKey` belong together: name both secrets, or neither",
                ));
            }
        };
        let token = self.session_token.as_ref().map(|key| self.secret(key)).transpose()?;
        let token = token.map(|token| token.expose_secret().to_owned());
        Ok(Some(Credentials::new(access.expose_secret(), secret.expose_secret(), token, None, "secrets")))
    }

    /// One client for every service of this connection, on the one TLS provider. Proxies are those of the environment.
    fn http_client(&self) -> Result<SharedHttpClient, Failure> {
        let context = TlsContext::builder().with_trust_store(self.trust_store()?).build();
        let context = context.map_err(|error| Failure::new(format!("TLS can't be set up: {error}")))?;
        Ok(Builder::new().build_with_connector_fn(move |settings, components| {
            let mut builder =
                Connector::builder().enable_tcp_nodelay(true).proxy_config(ProxyConfig::from_env());
            builder.set_connector_settings(settings.cloned());
            builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(context.clone()).build()
        }))
    }

    fn trust_store(&self) -> Result<TrustStore, Failure> {
        let Some(key) = &self.ca_certificate else { return Ok(TrustStore::default()) };
        // The client panics at a certificate that is none, so it is read here first.
        let tls = Tls { ca_cert_secret: Some(key.clone()), ..Tls::default() };
        zetes_runtime::tls::client(&tls, &self.namespace, &self.secrets)
            .map_err(|failure| Failure::new(failure.to_string()))?;
        Ok(TrustStore::empty().with_pem_certificate(self.secret(key)?.expose_secret().as_bytes()))
    }

    fn secret(&self, key: &SecretKeyRef) -> Result<SecretText, Failure> {
        self.secrets.secret(&self.namespace, key).map_err(|error| Failure::new(error.to_string()))
    }

    fn place(&self) -> Place {
        Place {
            endpoint: Some(self.endpoint.clone()).filter(|endpoint| !endpoint.is_empty()),
            region: self.region.clone(),
            ca: self.ca_certificate.as_ref().map(|key| self.named(key)),
        }
    }

    fn login(&self) -> Login {
        match (&self.access_key, &self.secret_key) {
            _ if !self.role_arn.is_empty() => Login::Role(self.role_arn.clone()),
            (Some(access), Some(secret)) => Login::Keys {
                access: self.named(access),
                secret: self.named(secret),
                token: self.session_token.as_ref().map(|key| self.named(key)),
            },
            _ => Login::DefaultChain,
        }
    }

    fn named(&self, key: &SecretKeyRef) -> String {
        format!("secret `{}/{}` key `{}`", self.namespace, key.name, key.key)
    }
}
