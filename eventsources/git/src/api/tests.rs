//! Addresses and answers, without a provider.

use super::*;

#[test]
fn the_providers_own_words_are_told() {
    let rows = [
        (r#"{"message":"Not Found","documentation_url":"x"}"#, "Not Found"),
        (
            r#"{"message":"Validation Failed","errors":[{"code":"custom","message":"Hook already exists"}]}"#,
            "Validation Failed; Hook already exists",
        ),
        (
            r#"{"errors":[{"context":null,"message":"Project X does not exist."}]}"#,
            "Project X does not exist.",
        ),
        (r#"{"type":"error","error":{"message":"Access denied"}}"#, "Access denied"),
        (r#"{"message":{"url":["is blocked"]}}"#, ""),
        ("Unauthorized\n", "Unauthorized"),
        ("<html><body>Bad gateway", ""),
        ("", ""),
    ];
    for (answer, expected) in rows {
        assert_eq!(message(answer.as_bytes()), expected, "{answer}");
    }
}

#[test]
fn the_next_page_is_found_among_the_links() {
    let link = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, HeaderValue::from_static(value));
        next_page(&headers)
    };
    let two =
        r#"<https://api.example.com/x?page=2>; rel="next", <https://api.example.com/x?page=9>; rel="last""#;
    assert_eq!(link(two).as_deref(), Some("https://api.example.com/x?page=2"));
    assert_eq!(link(r#"<https://api.example.com/x?page=1>; rel="prev""#), None);
    assert_eq!(link("nonsense"), None);
    assert_eq!(next_page(&HeaderMap::new()), None);
}

#[test]
fn a_segment_holds_no_slash_and_no_question_mark() {
    assert_eq!(segment("group/sub.project?x"), "group%2Fsub.project%3Fx");
    assert_eq!(segment("{0f1e}"), "%7B0f1e%7D");
}

#[test]
fn an_address_is_one_that_http_can_reach() {
    for fine in ["https://git.example.com", "http://localhost:3000/api/v3/"] {
        assert_eq!(not_an_address(fine), None, "{fine}");
    }
    for wrong in ["git.example.com", "localhost:3000", "ssh://git.example.com", "https://", ""] {
        assert!(not_an_address(wrong).is_some(), "{wrong}");
    }
}
