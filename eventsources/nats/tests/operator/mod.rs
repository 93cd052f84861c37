//! Signs accounts and users, as `nsc` does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// Who signs accounts, and two that it has signed.
pub(crate) struct Operator {
    key: KeyPair,
    system: KeyPair,
    pub(crate) account: KeyPair,
}

impl Operator {
    pub(crate) fn new() -> Self {
        Self { key: KeyPair::new_operator(), system: KeyPair::new_account(), account: KeyPair::new_account() }
    }

    /// What makes a server know the accounts.
    pub(crate) fn conf(&self) -> String {
        let limits = json!({"subs": -1, "conn": -1, "data": -1, "payload": -1});
        let account = json!({"type": "account", "version": 2, "limits": limits});
        let preloaded = [&self.account, &self.system]
            .map(|one| format!("{}: {}", one.public_key(), jwt(&self.key, one, &account)));
        format!(
            "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {} }}",
            jwt(&self.key, &self.key, &json!({"type": "operator", "version": 2})),
            self.system.public_key(),
            preloaded.join(", "),
        )
    }
}

/// The text of a credentials file for a new user of this account.
pub(crate) fn credentials(account: &KeyPair) -> String {
    let user = KeyPair::new_user();
    let claims = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
    format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        jwt(account, &user, &claims),
        user.seed().unwrap()
    )
}

fn jwt(issuer: &KeyPair, subject: &KeyPair, claims: &Value) -> String {
    let claims = json!({
        "jti": "x", "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(), "name": "test",
        "nats": claims,
    });
    let header = URL_SAFE_NO_PAD.encode("{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}");
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
