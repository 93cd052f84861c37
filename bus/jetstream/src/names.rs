//! Texts as tokens of subjects and names of consumers.

use std::fmt::Write as _;

use bus_core::ConsumerName;
use sha2::{Digest as _, Sha256};
use zetes_api::{DependencyName, EventId, ObjectName};

/// A token, or a consumer's name, that would be longer than this many bytes becomes a digest.
const LONGEST: usize = 200;
/// Records stand on so many subjects, by their events' ids.
const BUCKETS: u32 = 4_096;

/// One token of a subject: every byte outside `[A-Za-z0-9_-]` as `=XX`. No text at all is `=`, and a long one is `==` and its digest.
pub(crate) fn token(text: &str) -> String {
    escaped(text, |byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// As [`token`], but readable in a header of any length, and never a digest.
pub(crate) fn header(text: &str) -> String {
    escape(text, |byte| byte.is_ascii_graphic() && byte != b'=')
}

/// What [`token`] or [`header`] made; `None` for a digest.
pub(crate) fn original(escaped: &str) -> Option<String> {
    if escaped == "=" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// The name of a trigger's consumer: `<sensor>_<trigger>`, `_` being escaped in both.
pub(crate) fn consumer(name: &ConsumerName) -> String {
    let part = |text: &str| escape(text, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let whole = format!("{}_{}", part(name.sensor.as_str()), part(name.trigger.as_str()));
    if whole.len() > LONGEST { digest(&name.to_string()) } else { whole }
}

/// What a consumer is described as on the server; it tells the name where that is a digest or Argo's.
pub(crate) fn description(name: &ConsumerName) -> String {
    name.to_string()
}

/// Whose consumer this is, by its description.
pub(crate) fn described(description: &str) -> Option<ConsumerName> {
    let mut parts = description.splitn(3, '/');
    let (namespace, sensor, trigger) = (parts.next()?, parts.next()?, parts.next()?);
    Some(ConsumerName { namespace: namespace.into(), sensor: sensor.into(), trigger: trigger.into() })
}

/// `group-<FNV-1a of sensor, trigger and dependency>`, as Argo Events names a consumer.
pub(crate) fn argo_consumer(name: &ConsumerName, dependency: &DependencyName) -> String {
    let text = format!("{}-{}-{dependency}", name.sensor, name.trigger);
    let hash =
        text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("group-{hash}")
}

/// A stream's name has no `.`; object names have no `_`, so no two buses share one.
pub(crate) fn stream(namespace: &str, bus: &ObjectName) -> String {
    format!("zetes_{namespace}_{}", bus.as_str().replace('.', "__"))
}

/// The token under which records about an event stand.
pub(crate) fn record_bucket(id: &EventId) -> String {
    let digest = Sha256::digest(id.as_str());
    let number = digest.first_chunk().map_or(0, |first: &[u8; 4]| u32::from_le_bytes(*first)) % BUCKETS;
    format!("{number:03x}")
}

fn escaped(text: &str, is_plain: fn(u8) -> bool) -> String {
    if text.is_empty() {
        return "=".to_owned();
    }
    let escaped = escape(text, is_plain);
    if escaped.len() > LONGEST { digest(text) } else { escaped }
}

fn escape(text: &str, is_plain: fn(u8) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a text can't fail.
            let _written = write!(escaped, "={byte:02X}").is_ok();
        }
    }
    escaped
}

fn digest(text: &str) -> String {
    format!("=={}", hex::encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(sensor: &str, trigger: &str) -> ConsumerName {
        ConsumerName { namespace: "ci".into(), sensor: sensor.into(), trigger: trigger.into() }
    }

    #[test]
    fn a_token_is_one_token_and_reads_back() {
        for (text, expected) in [
            ("push", "push"),
            ("a_b-C9", "a_b-C9"),
            ("", "="),
            ("we.ird *>/ näme", "we=2Eird=20=2A=3E=2F=20n=C3=A4me"),
            ("=20", "=3D20"),
        ] {
            assert_eq!(token(text), expected);
            assert_eq!(original(expected).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_long_text_becomes_a_digest_that_no_text_escapes_to() {
        let long = token(&"x".repeat(201));
        assert!(long.starts_with("==") && long.len() < LONGEST, "{long}");
        assert_eq!(original(&long), None);
        assert_eq!(token(&"x".repeat(200)).len(), 200);
    }

    #[test]
    fn no_two_triggers_share_a_consumer() {
        assert_eq!(consumer(&name("a", "b_c")), "a_b=5Fc");
        assert_ne!(consumer(&name("a", "b_c")), consumer(&name("a_b", "c")));
        let described = described(&description(&name("a", "b/c")));
        assert_eq!(described, Some(name("a", "b/c")));
    }

    #[test]
    fn argo_events_names_are_known() {
        assert_eq!(argo_consumer(&name("my-sensor", "my-trigger"), &"dep".into()), "group-2436703340");
        assert_eq!(argo_consumer(&name("http", "http"), &"dep".into()), "group-4174172596");
    }

    #[test]
    fn a_header_has_no_blank_and_no_line_break() {
        let text = header("a b\r\nc=ä/");
        assert_eq!(text, "a=20b=0D=0Ac=3D=C3=A4/");
        assert_eq!(original(&text).as_deref(), Some("a b\r\nc=ä/"));
    }
}
