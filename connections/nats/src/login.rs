//! Who we are to the server.

use std::collections::BTreeMap;

use async_nats::{Auth, ServerAddr};
use nkeys::KeyPair;
use secrecy::{ExposeSecret as _, SecretString};
use zetes_api::{Namespace, SecretKeyRef};
use zetes_runtime::Secrets;

use crate::settings::{ConnectFailure, Settings};

/// What a secret may hold.
const KEYS: [&str; 5] = ["username", "password", "token", "nkey", "creds"];

/// Reads the secret anew for each login.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    access_secret: Option<SecretKeyRef>,
    namespace: Namespace,
    secrets: Secrets,
    /// User and password of the url; the secret wins.
    in_url: Option<(String, SecretString)>,
}

impl Login {
    pub(crate) fn new(settings: &Settings, address: Option<&ServerAddr>) -> Self {
        let in_url = address.and_then(|address| {
            Some((address.username()?.to_owned(), address.password().unwrap_or_default().to_owned().into()))
        });
        let Settings { access_secret, namespace, secrets, .. } = settings.clone();
        Self { access_secret, namespace, secrets, in_url }
    }

    /// Whether a login could be made at all.
    pub(crate) fn check(&self) -> Result<(), ConnectFailure> {
        self.answer(b"").map(drop)
    }

    /// What the server is told, `nonce` being its challenge.
    pub(crate) fn answer(&self, nonce: &[u8]) -> Result<Auth, ConnectFailure> {
        let mut auth = Auth::new();
        let Some(key) = &self.access_secret else {
            if let Some((user, password)) = &self.in_url {
                auth.username = Some(user.clone());
                auth.password = Some(password.expose_secret().to_owned());
            }
            return Ok(auth);
        };
        let value = self.secrets.secret(&self.namespace, key);
        let value = value.map_err(|error| ConnectFailure(format!("the login can't be read: {error}")))?;
        let unusable = |why: &str| {
            ConnectFailure(format!("secret `{}/{}` key `{}` {why}", self.namespace, key.name, key.key))
        };
        let mut fields = fields(value.expose_secret());
        if !KEYS.iter().any(|key| fields.contains_key(*key)) {
            return Err(unusable(&format!("is a map without any of `{}`", KEYS.join("`, `"))));
        }
        auth.username = fields.remove("username");
        auth.password = fields.remove("password");
        auth.token = fields.remove("token");
        if let Some(creds) = fields.remove("creds") {
            let (jwt, seed) = jwt_and_seed(&creds)
                .ok_or_else(|| unusable("has `creds` that are not the text of a credentials file"))?;
            let pair =
                KeyPair::from_seed(seed).map_err(|_| unusable("has `creds` whose seed is not valid"))?;
            auth.jwt = Some(jwt.to_owned());
            auth.signature = Some(pair.sign(nonce).map_err(|_| unusable("has `creds` that can't sign"))?);
        } else if let Some(seed) = fields.remove("nkey") {
            let pair = KeyPair::from_seed(seed.trim())
                .map_err(|_| unusable("has an `nkey` that is no seed of a user (`SU…`)"))?;
            auth.nkey = Some(pair.public_key());
            auth.signature = Some(pair.sign(nonce).map_err(|_| unusable("has an `nkey` that can't sign"))?);
        }
        Ok(auth)
    }
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

    #[test]
    fn a_credentials_file_has_two_blocks() {
        let file = "-----BEGIN NATS USER JWT-----\neyJ0\n------END NATS USER JWT------\n\n*** IMPORTANT ***\n\n\
                    -----BEGIN USER NKEY SEED-----\nSUAI\n------END USER NKEY SEED------\n";
        assert_eq!(jwt_and_seed(file), Some(("eyJ0", "SUAI")));
        assert_eq!(jwt_and_seed("eyJ0"), None);
    }
}
