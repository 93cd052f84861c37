//! Header names as Go writes them, since manifests read them out of the data.

use std::collections::BTreeMap;

use axum::http::HeaderMap;

/// The `header` map of an event: canonical names, all values in order of arrival. `Host`, `Transfer-Encoding` and `Trailer` are
/// left out, the value of `Authorization` is masked (spec/event-sources.md 1.6, 1.10).
pub fn canonical_headers(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if matches!(name.as_str(), "host" | "transfer-encoding" | "trailer") {
            continue;
        }
        let value = if name == "authorization" {
            "*** Masked Auth Secret ***".to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        map.entry(canonical(name.as_str())).or_default().push(value);
    }
    if let Some(masked) = map.get_mut("Authorization") {
        masked.truncate(1);
    }
    map
}

/// `x-github-event` becomes `X-Github-Event`.
fn canonical(name: &str) -> String {
    let mut upper = true;
    let letters = name.chars().map(|c| {
        let c = if upper { c.to_ascii_uppercase() } else { c };
        upper = c == '-';
        c
    });
    letters.collect()
}
