//! The signature of GitHub, which Gitea and others have taken over.

use eventsource_core::{HmacDigest, Refusal};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use zetes_runtime::SecretText;

/// `<algorithm>=<hex>`, or the hex of a SHA-256 alone, over the raw body.
pub(crate) fn check(header: Option<&str>, secret: &SecretText, body: &[u8]) -> Result<(), Refusal> {
    let header = header.ok_or_else(|| Refusal::unauthenticated("missing signature"))?;
    // Gitea's own header has no prefix.
    let (algorithm, digits) = header.split_once('=').unwrap_or(("sha256", header));
    let signature =
        hex::decode(digits).map_err(|_| Refusal::unauthenticated("the signature is not in hex"))?;
    let digest = HmacDigest::named(algorithm).ok_or_else(|| {
        Refusal::unauthenticated("the signature's algorithm is none of sha1, sha256, sha512")
    })?;
    if digest.is_signature(secret, &[body], &signature) {
        Ok(())
    } else {
        Err(Refusal::unauthenticated("payload signature check failed"))
    }
}

/// A mark of a key that no provider shows again: where it differs from the one that is remembered, the hook is written anew. It tells no more of the key
/// than any signature does.
pub(crate) fn seal(secret: Option<&SecretText>) -> String {
    let Some(secret) = secret else { return String::new() };
    let key = secret.expose_secret().as_bytes();
    let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(b"zetes hook");
    hex::encode(mac.finalize().into_bytes())
}
