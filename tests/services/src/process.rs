//! A child process that ends with its value, and waiting.

use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::PATIENCE;

const PAUSE: Duration = Duration::from_millis(5);
/// Around one question to a server.
const ANSWER: Duration = Duration::from_secs(5);

/// Waits until `condition` gives something.
///
/// # Panics
///
/// After [`PATIENCE`], saying what it waited for.
#[expect(clippy::disallowed_methods, reason = "servers don't live by a paused clock")]
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited {} s for: {what}", PATIENCE.as_secs());
        sleep(PAUSE);
    }
}

/// A port that was free a moment ago.
///
/// # Panics
///
/// Where the kernel has none left.
pub fn free_port() -> u16 {
    free_ports::<1>()[0]
}

/// Different ones.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = std::array::from_fn::<_, N, _>(|_| {
        TcpListener::bind("127.0.0.1:0").expect("the kernel has free ports")
    });
    listeners.map(|listener| listener.local_addr().expect("a bound listener has an address").port())
}

pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A connection whose reads and writes take a limited time.
pub(crate) fn connect(port: u16) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&local(port), ANSWER).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    Some(stream)
}

/// A server in the background. Its output goes to a file, and no pipe can fill up.
#[derive(Debug)]
pub(crate) struct Process {
    child: Option<Child>,
    log: PathBuf,
    /// Where in the log the last start begins.
    begin: usize,
}

impl Process {
    pub(crate) fn new(log: PathBuf) -> Self {
        Self { child: None, log, begin: 0 }
    }

    pub(crate) fn start(&mut self, command: &mut Command) {
        self.kill();
        self.begin = self.bytes().len();
        let log =
            OpenOptions::new().create(true).append(true).open(&self.log).expect("a log in our own folder");
        let other = log.try_clone().expect("a file can be cloned");
        command.stdin(Stdio::null()).stdout(log).stderr(other);
        let program = Path::new(command.get_program()).display().to_string();
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("{program}: {error}")));
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("the server runs").id();
        let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "{pid} can be sent {name}");
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        eventually("the server to stop", || self.has_ended().then_some(()));
        self.child = None;
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Whether this is in its log since it was last started.
    pub(crate) fn wrote(&self, text: &str) -> bool {
        let bytes = self.bytes();
        bytes.get(self.begin..).is_some_and(|bytes| String::from_utf8_lossy(bytes).contains(text))
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
