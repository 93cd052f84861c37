//! Signatures by the `openssl` program: nothing of what is tested makes them.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// What `openssl` writes for this input.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    let piped = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the openssl program");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The HMAC of a text, by a key that is text.
pub(crate) fn hmac(digest: &str, key: &str, text: &[u8]) -> Vec<u8> {
    let key = format!("hexkey:{}", hex::encode(key));
    openssl(&["dgst", &format!("-{digest}"), "-mac", "HMAC", "-macopt", &key, "-binary"], text)
}
