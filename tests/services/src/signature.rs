//! AWS's signature, version 4, for S3.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256};

const REGION: &str = "us-east-1";

#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
}

/// The headers that make a request a signed one. The query, if there is one, is in its canonical form.
#[expect(clippy::disallowed_methods, reason = "the server compares with its own clock")]
pub(crate) fn signed(
    key: Key<'_>,
    host: &str,
    method: &str,
    path: &str,
    body: &[u8],
) -> [(&'static str, String); 3] {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    signed_at(seconds, key, host, method, path, body)
}

fn signed_at(
    seconds: u64,
    key: Key<'_>,
    host: &str,
    method: &str,
    path: &str,
    body: &[u8],
) -> [(&'static str, String); 3] {
    let day = day(seconds / 86_400);
    let time = format!("{day}T{:02}{:02}{:02}Z", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let content = hex(digest(&SHA256, body).as_ref());
    let names = "host;x-amz-content-sha256;x-amz-date";
    let canonical = format!(
        "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{content}\nx-amz-date:{time}\n\n{names}\n{content}"
    );
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    let canonical = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let parts = [day.as_str(), REGION, "s3", "aws4_request"];
    let signing = parts.iter().fold(format!("AWS4{}", key.secret).into_bytes(), |key, part| hmac(&key, part));
    let signature = hex(&hmac(&signing, &format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical}")));
    let id = key.id;
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
    [("Authorization", authorization), ("X-Amz-Content-Sha256", content), ("X-Amz-Date", time)]
}

/// `YYYYMMDD` of a day after 1970-01-01, by years that begin in March.
fn day(since_1970: u64) -> String {
    let days = since_1970 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that AWS's documentation signs: `GET /?lifecycle` of a bucket.
    #[test]
    fn it_is_the_documented_one() {
        let key = Key { id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
        let host = "examplebucket.s3.amazonaws.com";
        let [(_, authorization), _, (_, time)] =
            signed_at(1_369_353_600, key, host, "GET", "/?lifecycle=", b"");
        assert_eq!(time, "20130524T000000Z");
        let signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
        assert!(authorization.ends_with(signature), "{authorization}");
    }

    #[test]
    fn days_have_their_dates() {
        for (since_1970, date) in
            [(0, "19700101"), (11_016, "20000229"), (20_453, "20251231"), (20_454, "20260101")]
        {
            assert_eq!(day(since_1970), date);
        }
    }
}
