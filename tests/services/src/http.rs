//! Questions over HTTP, one to a connection, without a client's libraries.

use std::io::{Read, Write};

use crate::certificates::Pem;
use crate::process::{connect, free_port};
use crate::server::Tls;
use crate::tls::connect_tls;

/// Where a server listens that speaks HTTP, or HTTPS instead.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    ca: Option<Pem>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Endpoint {
    /// For servers that can't demand a client's certificate.
    pub(crate) fn free(tls: Tls<'_>) -> Self {
        assert!(!tls.is_mutual(), "this server can't demand certificates");
        Self { port: free_port(), ca: tls.certificates().map(|certificates| certificates.ca.clone()) }
    }

    /// `host:port`; with TLS the host is a name.
    pub(crate) fn address(&self) -> String {
        let host = if self.ca.is_some() { "localhost" } else { "127.0.0.1" };
        format!("{host}:{}", self.port)
    }

    /// `http://<address>`, or `https://`.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// Nothing where no whole answer comes.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Answer> {
        let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let lines = lines.concat();
        let (host, length) = (self.address(), body.len());
        let head =
            format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n{lines}\r\n");
        let request = [head.as_bytes(), body].concat();
        match &self.ca {
            Some(ca) => exchange(connect_tls(self.port, ca, None)?, &request),
            None => exchange(connect(self.port)?, &request),
        }
    }
}

/// The body of a successful answer to GET.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    let answer = Endpoint { port, ca: None }.ask("GET", path, &[], b"")?;
    (answer.status == 200).then_some(answer.body)
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Option<Answer> {
    stream.write_all(request).ok()?;
    let mut bytes = Vec::new();
    // Some end TLS without a farewell, which is an error: the length decides.
    drop(stream.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let is_whole = length(head).is_none_or(|length| body.len() >= length);
    is_whole.then(|| Answer { status, body: body.to_owned() })
}

fn length(head: &str) -> Option<usize> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next()?.1.trim().parse().ok()
}
