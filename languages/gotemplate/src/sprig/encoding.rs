//! Base64, Base32, JSON and digests.

use std::sync::LazyLock;

use data_encoding::{DecodeError, Encoding, Specification};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::Table;
use super::texts::one;
use crate::function::Call;
use crate::value::Value;

pub(super) const FUNCTIONS: Table = &[
    ("b64enc", |call| one(call, |text| BASE64.encode(text.as_bytes()))),
    ("b64dec", |call| one(call, |text| decoded(&BASE64, "base64", text))),
    ("b32enc", |call| one(call, |text| BASE32.encode(text.as_bytes()))),
    ("b32dec", |call| one(call, |text| decoded(&BASE32, "base32", text))),
    ("sha1sum", |call| one(call, |text| hex::encode(Sha1::digest(text)))),
    ("sha256sum", |call| one(call, |text| hex::encode(Sha256::digest(text)))),
    ("sha512sum", |call| one(call, |text| hex::encode(Sha512::digest(text)))),
    ("adler32sum", |call| one(call, |text| adler2::adler32_slice(text.as_bytes()).to_string())),
    ("toJson", to_json),
    ("mustToJson", to_json),
    ("toRawJson", to_raw_json),
    ("mustToRawJson", to_raw_json),
    ("toPrettyJson", to_pretty_json),
    ("mustToPrettyJson", to_pretty_json),
    ("fromJson", |call| {
        call.expect(1)?;
        Ok(serde_json::from_str(&call.text(0)?).map_or(Value::Nil, Value::owned))
    }),
    ("mustFromJson", |call| {
        call.expect(1)?;
        serde_json::from_str(&call.text(0)?).map(Value::owned).map_err(|error| format!("no JSON: {error}"))
    }),
];

/// Line breaks in the text are skipped, and bits after the last byte not looked at, as Go does.
static BASE64: LazyLock<Encoding> =
    LazyLock::new(|| lenient("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"));
static BASE32: LazyLock<Encoding> = LazyLock::new(|| lenient("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"));

fn lenient(symbols: &str) -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str(symbols);
    specification.padding = Some('=');
    specification.ignore.push_str("\r\n");
    specification.check_trailing_bits = false;
    specification.encoding().expect("a constant")
}

/// What can't be decoded gives the text of the error: that is what the reference's templates see.
fn decoded(encoding: &Encoding, name: &str, text: &str) -> String {
    match encoding.decode(text.as_bytes()) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(DecodeError { position, .. }) => {
            let specification = encoding.specification();
            let is_foreign = |c: char| !specification.symbols.contains(c) && !"=\r\n".contains(c);
            format!("illegal {name} data at input byte {}", text.find(is_foreign).unwrap_or(position))
        }
    }
}

fn to_json<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(1)?;
    Ok(Value::text(zetes_gojson::to_string(&call.any(0).to_json())))
}

fn to_raw_json<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(1)?;
    Ok(Value::text(zetes_gojson::to_string_unescaped(&call.any(0).to_json())))
}

fn to_pretty_json<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(1)?;
    Ok(Value::text(zetes_gojson::to_string_indented(&call.any(0).to_json())))
}
