//! Who we are to the server.

use std::collections::BTreeMap;

use async_nats::{Auth, ServerAddr};
use nkeys::KeyPair;
use secrecy::{ExposeSecret as _, SecretString};
use zetes_api::{BasicAuth, NatsAuth, SecretKeyRef};

use crate::settings::{ConnectFailure, Settings};

/// What a map in a secret may hold.
const KEYS: [&str; 5] = ["username", "password", "token", "nkey", "creds"];

/// Where the login comes from. Where it names no secret, user and password of the url count, if it has them.
#[derive(Clone, Debug)]
pub enum Login {
    /// As an EventBus says it: a secret with a YAML map of any of `username`, `password`, `token`, `nkey` (seed) and `creds` (text of
    /// the file); a plain text is a token.
    AccessSecret(Option<SecretKeyRef>),
    /// As event sources and triggers say it: a secret for each value.
    Auth(Box<NatsAuth>),
}

/// Reads the secrets anew for each login.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    settings: Settings,
    /// User and password of the url.
    in_url: Option<(String, SecretString)>,
}

impl Credentials {
    pub(crate) fn new(settings: &Settings, address: Option<&ServerAddr>) -> Self {
        let in_url = address.and_then(|address| {
            Some((address.username()?.to_owned(), address.password().unwrap_or_default().to_owned().into()))
        });
        Self { settings: settings.clone(), in_url }
    }

    /// Whether a login could be made at all.
    pub(crate) fn check(&self) -> Result<(), ConnectFailure> {
        self.answer(b"").map(drop)
    }

    /// What the server is told, `nonce` being its challenge.
    pub(crate) fn answer(&self, nonce: &[u8]) -> Result<Auth, ConnectFailure> {
        match &self.settings.login {
            Login::AccessSecret(Some(key)) => self.of_map(key, nonce),
            Login::AccessSecret(None) => Ok(self.of_url()),
            Login::Auth(auth) => self.of_auth(auth, nonce),
        }
    }

    fn of_url(&self) -> Auth {
        let mut auth = Auth::new();
        if let Some((user, password)) = &self.in_url {
            auth.username = Some(user.clone());
            auth.password = Some(password.expose_secret().to_owned());
        }
        auth
    }

    fn of_map(&self, key: &SecretKeyRef, nonce: &[u8]) -> Result<Auth, ConnectFailure> {
        let mut fields = fields(self.value(key)?.expose_secret());
        if !KEYS.iter().any(|key| fields.contains_key(*key)) {
            return Err(self.unusable(key, &format!("is a map without any of `{}`", KEYS.join("`, `"))));
        }
        let mut auth = Auth::new();
        if let Some(creds) = fields.remove("creds") {
            auth = signed_by_creds(&creds, nonce).map_err(|why| self.unusable(key, why))?;
        } else if let Some(seed) = fields.remove("nkey") {
            auth = signed_by_seed(&seed, nonce).map_err(|why| self.unusable(key, why))?;
        }
        auth.username = fields.remove("username");
        auth.password = fields.remove("password");
        auth.token = fields.remove("token");
        Ok(auth)
    }

    fn of_auth(&self, from: &NatsAuth, nonce: &[u8]) -> Result<Auth, ConnectFailure> {
        let mut auth = Auth::new();
        match from {
            NatsAuth { basic: Some(BasicAuth { username, password }), .. } => {
                auth.username = Some(self.named("auth.basic.username", username.as_ref())?);
                auth.password = Some(self.named("auth.basic.password", password.as_ref())?);
            }
            NatsAuth { token: Some(key), .. } => {
                auth.token = Some(self.value(key)?.expose_secret().to_owned());
            }
            NatsAuth { nkey: Some(key), .. } => {
                let seed = self.value(key)?;
                auth = signed_by_seed(seed.expose_secret(), nonce).map_err(|why| self.unusable(key, why))?;
            }
            NatsAuth { credential: Some(key), .. } => {
                let creds = self.value(key)?;
                auth =
                    signed_by_creds(creds.expose_secret(), nonce).map_err(|why| self.unusable(key, why))?;
            }
            _ => auth = self.of_url(),
        }
        Ok(auth)
    }

    /// The value of a member that must be there.
    fn named(&self, member: &str, key: Option<&SecretKeyRef>) -> Result<String, ConnectFailure> {
        let key =
            key.ok_or_else(|| ConnectFailure(format!("the login is not complete: expected `{member}`")))?;
        Ok(self.value(key)?.expose_secret().to_owned())
    }

    fn value(&self, key: &SecretKeyRef) -> Result<SecretString, ConnectFailure> {
        let value = self.settings.secrets.secret(&self.settings.namespace, key);
        value.map_err(|error| ConnectFailure(format!("the login can't be read: {error}")))
    }

    fn unusable(&self, key: &SecretKeyRef, why: &str) -> ConnectFailure {
        ConnectFailure(format!("{} {why}", self.settings.secret(key)))
    }
}

fn signed_by_creds(creds: &str, nonce: &[u8]) -> Result<Auth, &'static str> {
    let (jwt, seed) = jwt_and_seed(creds).ok_or("has no text of a credentials file")?;
    let pair = KeyPair::from_seed(seed).map_err(|_| "has credentials whose seed is not valid")?;
    let mut auth = Auth::new();
    auth.jwt = Some(jwt.to_owned());
    auth.signature = Some(pair.sign(nonce).map_err(|_| "has credentials that can't sign")?);
    Ok(auth)
}

fn signed_by_seed(seed: &str, nonce: &[u8]) -> Result<Auth, &'static str> {
    let pair = KeyPair::from_seed(seed.trim()).map_err(|_| "has no seed of a user (`SU…`)")?;
    let mut auth = Auth::new();
    auth.nkey = Some(pair.public_key());
    auth.signature = Some(pair.sign(nonce).map_err(|_| "has a seed that can't sign")?);
    Ok(auth)
}

/// The map that stands in the secret; a text that is no map is a token.
fn fields(text: &str) -> BTreeMap<String, String> {
    let read = serde_saphyr::from_str::<BTreeMap<String, String>>(text);
    read.unwrap_or_else(|_| BTreeMap::from([("token".to_owned(), text.to_owned())]))
}

/// The two blocks of a credentials file.
fn jwt_and_seed(creds: &str) -> Option<(&str, &str)> {
    let block = |title: &str| {
        let mut lines =
            creds.lines().map(str::trim).skip_while(|line| !(line.starts_with("--") && line.contains(title)));
        lines.next()?;
        lines.find(|line| !line.is_empty())
    };
    Some((block("NATS USER JWT")?, block("USER NKEY SEED")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_its_fields_and_a_text_is_a_token() {
        let expected = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        for (text, pairs) in [
            ("s3cr3t", &[("token", "s3cr3t")][..]),
            ("username: me\npassword: 'p: w'\n", &[("username", "me"), ("password", "p: w")]),
            ("username: me\npassword: 0012\n", &[("username", "me"), ("password", "0012")]),
            ("token: abc", &[("token", "abc")]),
            ("nkey: SUAX", &[("nkey", "SUAX")]),
        ] {
            assert_eq!(fields(text), expected(pairs), "{text}");
        }
    }

    fn key(name: &str) -> SecretKeyRef {
        SecretKeyRef { name: "login".to_owned(), key: name.to_owned(), optional: None }
    }

    /// What the server is told, or why nothing is; of a secret with these values.
    fn told(auth: NatsAuth, url: &str, values: &[(&str, &str)]) -> String {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let metadata = zetes_api::Metadata { name: Some("login".into()), ..Default::default() };
        let secret = zetes_api::Secret { metadata, data: BTreeMap::new(), string_data: values };
        let mut builder = zetes_runtime::Secrets::builder();
        builder.secret("ci".into(), &secret).unwrap();
        let settings = Settings {
            url: url.to_owned(),
            login: Login::Auth(Box::new(auth)),
            tls: None,
            namespace: "ci".into(),
            secrets: builder.build(),
        };
        let address: ServerAddr = url.parse().unwrap();
        match Credentials::new(&settings, Some(&address)).answer(b"nonce") {
            Ok(auth) => format!("{:?} {:?} {:?}", auth.username, auth.password, auth.token),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn the_first_of_basic_token_nkey_and_credential_counts_and_beats_the_url() {
        let basic =
            |password: Option<&str>| BasicAuth { username: Some(key("user")), password: password.map(key) };
        let all = NatsAuth {
            basic: Some(basic(Some("password"))),
            token: Some(key("token")),
            nkey: Some(key("text")),
            credential: Some(key("text")),
        };
        let values = [("user", "u"), ("password", "p"), ("token", "t"), ("text", "no seed")];
        let url = "nats://a:b@host";
        let told = |auth: NatsAuth| told(auth, url, &values);
        assert_eq!(told(all.clone()), r#"Some("u") Some("p") None"#);
        assert_eq!(told(NatsAuth { basic: None, ..all.clone() }), r#"None None Some("t")"#);
        let nkey = NatsAuth { basic: None, token: None, ..all.clone() };
        assert_eq!(told(nkey.clone()), "secret `ci/login` key `text` has no seed of a user (`SU…`)");
        let credential = NatsAuth { nkey: None, ..nkey };
        assert_eq!(told(credential), "secret `ci/login` key `text` has no text of a credentials file");
        assert_eq!(told(NatsAuth::default()), r#"Some("a") Some("b") None"#);
        let incomplete = NatsAuth { basic: Some(basic(None)), ..all };
        assert_eq!(told(incomplete), "the login is not complete: expected `auth.basic.password`");
    }

    #[test]
    fn a_credentials_file_has_two_blocks() {
        let file = "-----BEGIN NATS USER JWT-----\neyJ0\n------END NATS USER JWT------\n\n*** IMPORTANT ***\n\n\
                    -----BEGIN USER NKEY SEED-----\nSUAI\n------END USER NKEY SEED------\n";
        assert_eq!(jwt_and_seed(file), Some(("eyJ0", "SUAI")));
        assert_eq!(jwt_and_seed("eyJ0"), None);
    }
}
