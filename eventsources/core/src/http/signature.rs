//! Signatures and tokens of callers, compared in constant time.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;
use zetes_runtime::SecretText;

/// How a provider signs: HMAC with this digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HmacDigest {
    Sha1,
    Sha256,
    Sha512,
}

impl HmacDigest {
    /// By the name that providers and manifests use.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Whether `signature` is that of the parts, one behind the other. Constant time; check before anything is parsed.
    pub fn is_signature(self, key: &SecretText, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.is_signature_by(key.expose_secret().as_bytes(), parts, signature)
    }

    /// As [`HmacDigest::is_signature`], with a key that is no text.
    pub fn is_signature_by(self, key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
        match self {
            Self::Sha1 => verify::<Hmac<sha1::Sha1>>(key, parts, signature),
            Self::Sha256 => verify::<Hmac<sha2::Sha256>>(key, parts, signature),
            Self::Sha512 => verify::<Hmac<sha2::Sha512>>(key, parts, signature),
        }
    }
}

fn verify<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return false };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(signature).is_ok()
}

/// Whether a token that is sent as it is, is the one that is expected. Constant time, but for its length.
pub fn is_token(given: &[u8], expected: &SecretText) -> bool {
    bool::from(given.ct_eq(expected.expose_secret().as_bytes()))
}
