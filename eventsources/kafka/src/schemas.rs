//! Schemas of records, from a registry: `GET <url>/schemas/ids/<id>`, each once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{Context, Error};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use zetes_runtime::SecretText;

use crate::avro::Avro;
use crate::config::SchemaRegistry;

/// As the reference: a registry that is slower is down.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than any schema; less than memory.
const LARGEST: usize = 16 << 20;

/// What can be known of a schema once the registry has answered: what it is, or why it is none for us.
type Schema = Result<Avro, String>;

/// A registry, and what it has answered. A schema's number never gets another meaning, so that answers stay.
pub(crate) struct Schemas {
    client: Client,
    url: String,
    auth: Option<(SecretText, SecretText)>,
    known: BTreeMap<u32, Arc<Schema>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    schema: String,
    /// Absent for Avro.
    schema_type: Option<String>,
}

impl Schemas {
    pub(crate) fn open(registry: &SchemaRegistry, cx: &Context) -> Result<Self, Error> {
        let auth = match &registry.auth {
            None => None,
            Some(auth) => {
                let of = |key| cx.secret(key)?.ok_or_else(|| Error::permanent("a secret is not named"));
                Some((of(auth.username.as_ref())?, of(auth.password.as_ref())?))
            }
        };
        let url = registry.url.trim_end_matches('/').to_owned();
        Ok(Self { client: cx.http_client(registry.tls.as_ref())?, url, auth, known: BTreeMap::new() })
    }

    /// The schema with this number.
    ///
    /// # Errors
    /// Transient: the registry does not give it now, and the records that need it wait on their topic.
    pub(crate) async fn get(&mut self, number: u32) -> Result<Arc<Schema>, Error> {
        if let Some(known) = self.known.get(&number) {
            return Ok(known.clone());
        }
        let schema = Arc::new(self.ask(number).await.map_err(Error::Transient)?);
        self.known.insert(number, schema.clone());
        Ok(schema)
    }

    async fn ask(&self, number: u32) -> Result<Schema, String> {
        let url = &self.url;
        let failed = |why: &dyn std::fmt::Display| {
            format!(
                "the schema registry at {url} does not answer: {why}; records wait until it has told schema {number}"
            )
        };
        let mut answer = self.request(number)?.send().await.map_err(|error| failed(&deepest(&error)))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(format!(
                    "the schema registry at {url} knows no schema {number}, which a record names: register it there, or correct `schemaRegistry.url`"
                ));
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(self.refused()),
            status => return Err(failed(&status)),
        }
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&deepest(&error)))? {
            text.extend_from_slice(&chunk);
            if text.len() > LARGEST {
                return Err(failed(&"the answer has no end"));
            }
        }
        let answer: Answer = serde_json::from_slice(&text)
            .map_err(|error| failed(&format_args!("its answer is no schema ({error})")))?;
        Ok(match answer.schema_type.as_deref() {
            None | Some("AVRO") => Avro::compile(&answer.schema)
                .map_err(|error| format!("schema {number} can't be read as Avro: {error}")),
            Some(other) => Err(format!("schema {number} is of type {other}, and only Avro is decoded")),
        })
    }

    fn request(&self, number: u32) -> Result<RequestBuilder, String> {
        let url = format!("{}/schemas/ids/{number}", self.url);
        let url = Url::parse(&url).map_err(|error| format!("`schemaRegistry.url`: {error}"))?;
        let request = self.client.get(url).timeout(PATIENCE);
        Ok(match &self.auth {
            None => request,
            Some((user, password)) => {
                request.basic_auth(user.expose_secret(), Some(password.expose_secret()))
            }
        })
    }

    fn refused(&self) -> String {
        let url = &self.url;
        match self.auth {
            None => format!("the schema registry at {url} wants a login: set `schemaRegistry.auth`"),
            Some(_) => format!(
                "the schema registry at {url} refused the login: correct the secrets of `schemaRegistry.auth`"
            ),
        }
    }
}

/// The innermost reason: the others only say that there is one.
fn deepest(error: &reqwest::Error) -> String {
    let mut error: &dyn std::error::Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
