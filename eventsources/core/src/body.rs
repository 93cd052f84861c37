//! How the payload of a message becomes the `body` of an event (spec/event-sources.md 1.9).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A payload as it stands under `body`.
#[derive(Clone, Copy, Debug)]
pub enum Body<'p> {
    /// `jsonBody: true`: the JSON value, as it was written.
    Json(&'p RawValue),
    /// `jsonBody: false`: base64 text, standard alphabet, padded.
    Base64(&'p [u8]),
    /// There is no payload: `null`.
    Absent,
}

impl<'p> Body<'p> {
    /// The payload in the form that `jsonBody` asks for.
    ///
    /// # Errors
    /// JSON was asked for, and it is none: the message is [unreadable](crate::Draft::unreadable).
    pub fn of(payload: &'p [u8], json_body: bool) -> Result<Self, NotJson> {
        if json_body {
            serde_json::from_slice(payload).map(Self::Json).map_err(NotJson)
        } else {
            Ok(Self::Base64(payload))
        }
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(value) => value.serialize(serializer),
            Self::Base64(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            Self::Absent => serializer.serialize_unit(),
        }
    }
}

/// A payload that is no JSON where `jsonBody` says that it is.
#[derive(Debug, thiserror::Error)]
#[error("`jsonBody` is set and the payload is no JSON: {0}")]
pub struct NotJson(serde_json::Error);

#[cfg(test)]
mod tests {
    use super::*;

    fn body(payload: &[u8], json_body: bool) -> String {
        Body::of(payload, json_body)
            .map_or_else(|error| error.to_string(), |body| serde_json::to_string(&body).unwrap())
    }

    #[test]
    fn a_payload_is_json_as_written_or_base64_text() {
        assert_eq!(body(b"{\"n\":12345678901234567890}", true), "{\"n\":12345678901234567890}");
        assert_eq!(body(b"\xff\xfe", false), "\"//4=\"");
        assert_eq!(body(b"", false), "\"\"");
        assert_eq!(serde_json::to_string(&Body::Absent).unwrap(), "null");
    }

    #[test]
    fn what_is_no_json_is_told_where_json_is_asked_for() {
        for payload in [&b""[..], b"{", b"\xff", b"1 2"] {
            let told = body(payload, true);
            assert!(told.starts_with("`jsonBody` is set and the payload is no JSON: "), "{told}");
        }
    }
}
