//! From an EventBus's or EventSource's words to librdkafka's.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use secrecy::ExposeSecret as _;
use zetes_api::{Namespace, SecretKeyRef, Tls};
use zetes_runtime::{SecretText, Secrets};

use crate::failure::{Failure, FailureKind};

/// How brokers are reached.
#[derive(Clone)]
pub struct Settings {
    /// `host:port`, several with commas.
    pub url: String,
    pub tls: Option<Tls>,
    pub sasl: Option<Sasl>,
    /// Protocol version of the reference's client. librdkafka finds out by itself, so that this has no effect.
    pub version: String,
    /// Where the secrets are.
    pub namespace: Namespace,
    pub secrets: Secrets,
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`; empty is `PLAIN`.
    pub mechanism: String,
    pub user_secret: SecretKeyRef,
    /// The password; for `OAUTHBEARER` the token.
    pub password_secret: SecretKeyRef,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Settings {
    /// What every client of these brokers has in common, with the secrets as they are now.
    ///
    /// # Errors
    /// [`FailureKind::Settings`]: a secret that can't be read, a mechanism that is not there, a url without an address.
    pub fn client_config(&self) -> Result<ClientConfig, Failure> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.addresses()?)
            .set("client.id", "zetes")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "2000")
            .set("security.protocol", self.protocol());
        config.set_log_level(RDKafkaLogLevel::Info);
        if self.has_tls() {
            self.add_tls(&mut config)?;
        }
        if let Some(sasl) = &self.sasl {
            self.add_login(&mut config, sasl)?;
        }
        Ok(config)
    }

    pub(crate) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    fn addresses(&self) -> Result<String, Failure> {
        let addresses: Vec<_> = self.url.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
        if addresses.is_empty() {
            return Err(settings("`url` names no broker; write `host:port`, several with commas".to_owned()));
        }
        Ok(addresses.join(","))
    }

    fn protocol(&self) -> &'static str {
        match (self.has_tls(), self.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        }
    }

    fn add_tls(&self, config: &mut ClientConfig) -> Result<(), Failure> {
        let Some(tls) = &self.tls else { return Ok(()) };
        if tls.insecure_skip_verify {
            config.set("enable.ssl.certificate.verification", "false");
            return Ok(());
        }
        match &tls.ca_cert_secret {
            Some(ca) => config.set("ssl.ca.pem", self.secret(ca)?.expose_secret()),
            None => config.set("ssl.ca.location", "probe"),
        };
        match (&tls.client_cert_secret, &tls.client_key_secret) {
            (Some(certificate), Some(key)) => {
                config.set("ssl.certificate.pem", self.secret(certificate)?.expose_secret());
                config.set("ssl.key.pem", self.secret(key)?.expose_secret());
                Ok(())
            }
            (None, None) => Ok(()),
            _ => Err(settings(
                "`tls` names one of `clientCertSecret` and `clientKeySecret`; a client certificate needs both"
                    .to_owned(),
            )),
        }
    }

    fn add_login(&self, config: &mut ClientConfig, sasl: &Sasl) -> Result<(), Failure> {
        let mechanism = if sasl.mechanism.is_empty() { "PLAIN" } else { sasl.mechanism.as_str() };
        match mechanism {
            "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
                config.set("sasl.username", self.secret(&sasl.user_secret)?.expose_secret());
                config.set("sasl.password", self.secret(&sasl.password_secret)?.expose_secret());
            }
            // Its token is asked for by the client when it needs one.
            "OAUTHBEARER" => {}
            "GSSAPI" => {
                return Err(settings(
                    "`sasl.mechanism`: Kerberos (GSSAPI) is not built in; use SCRAM-SHA-512 or TLS client certificates"
                        .to_owned(),
                ));
            }
            other => {
                return Err(settings(format!(
                    "`sasl.mechanism`: expected PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, found `{other}`"
                )));
            }
        }
        config.set("sasl.mechanism", mechanism);
        Ok(())
    }

    pub(crate) fn secret(&self, key: &SecretKeyRef) -> Result<SecretText, Failure> {
        self.secrets.secret(&self.namespace, key).map_err(|error| settings(error.to_string()))
    }
}

fn settings(text: String) -> Failure {
    Failure { kind: FailureKind::Settings, text }
}
