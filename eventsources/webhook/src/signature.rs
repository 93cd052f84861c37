//! Signatures and tokens, compared in constant time.

use eventsource_core::{Refusal, Request};
use hmac::Hmac;
use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;
use zetes_runtime::SecretText;

/// `<algorithm>=<hex>` over the raw body, as GitHub signs.
pub(crate) fn check(header: Option<&str>, secret: &SecretText, body: &[u8]) -> Result<(), Refusal> {
    let header = header.ok_or_else(|| Refusal::unauthenticated("missing signature"))?;
    let (algorithm, digits) = header
        .split_once('=')
        .ok_or_else(|| Refusal::unauthenticated("the signature has not the form <algorithm>=<hex>"))?;
    let signature =
        hex::decode(digits).map_err(|_| Refusal::unauthenticated("the signature is not in hex"))?;
    let key = secret.expose_secret().as_bytes();
    let valid = match algorithm {
        "sha1" => verify::<Hmac<sha1::Sha1>>(key, body, &signature),
        "sha256" => verify::<Hmac<sha2::Sha256>>(key, body, &signature),
        "sha512" => verify::<Hmac<sha2::Sha512>>(key, body, &signature),
        _ => {
            return Err(Refusal::unauthenticated(
                "the signature's algorithm is none of sha1, sha256, sha512",
            ));
        }
    };
    if valid { Ok(()) } else { Err(Refusal::unauthenticated("payload signature check failed")) }
}

fn verify<M: hmac::Mac + hmac::KeyInit>(key: &[u8], body: &[u8], signature: &[u8]) -> bool {
    <M as hmac::KeyInit>::new_from_slice(key)
        .is_ok_and(|mac| mac.chain_update(body).verify_slice(signature).is_ok())
}

/// A token that is sent as it is, as GitLab does.
pub(crate) fn check_token(header: Option<&str>, secret: &SecretText) -> Result<(), Refusal> {
    let matches =
        header.is_some_and(|header| bool::from(header.as_bytes().ct_eq(secret.expose_secret().as_bytes())));
    if matches { Ok(()) } else { Err(Refusal::unauthenticated("token mismatch")) }
}

/// A header that is text.
pub(crate) fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.headers.get(name).and_then(|value| value.to_str().ok())
}
