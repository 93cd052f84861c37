//! Base64, Base32, JSON and digests.

use data_encoding::{BASE32, BASE64};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::texts::one;
use super::{Table, bases};
use crate::function::Call;
use crate::value::{Value, lossy};

pub(super) const FUNCTIONS: Table = &[
    ("b64enc", |call| one(call, |text| BASE64.encode(text.as_bytes()))),
    ("b64dec", |call| one(call, |text| decoded(bases::base64(text), "base64"))),
    ("b32enc", |call| one(call, |text| BASE32.encode(text.as_bytes()))),
    ("b32dec", |call| one(call, |text| decoded(bases::base32(text), "base32"))),
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

/// What can't be decoded gives the text of the error: that is what the reference's templates see.
fn decoded(decoded: Result<Vec<u8>, usize>, name: &str) -> String {
    match decoded {
        Ok(bytes) => lossy(&bytes),
        Err(at) => format!("illegal {name} data at input byte {at}"),
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
