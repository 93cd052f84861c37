//! What all servers of a test's own have in common: a process, a folder, an end.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::process::{Process, eventually};

/// Ports may be taken between their choice and their use.
const TRIES: u32 = 5;

/// How clients come in. As it stands: anybody, in the clear.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// Names with their passwords, who may do everything. With one or more, nobody else may come in.
    pub users: &'a [(&'a str, &'a str)],
    pub tls: Tls<'a>,
    /// Lines that are added to the server's own configuration.
    pub conf: &'a str,
}

#[derive(Clone, Copy, Debug, Default)]
pub enum Tls<'a> {
    #[default]
    Off,
    /// The server shows its certificate.
    Server(&'a Certificates),
    /// It also demands one of its authority from the client.
    Mutual(&'a Certificates),
}

/// A server of a test's own. It ends with the value, and its folder with it.
#[derive(Debug)]
pub struct Server<K> {
    // In the order in which they end: the process, what it needs, its folder.
    process: Process,
    pub(crate) kind: K,
    folder: TempDir,
}

/// What one kind of server has of its own.
pub trait Kind: Sized {
    const NAME: &'static str;
    /// What it writes when its ports are its own: on a port that was taken, somebody else might answer.
    const READY: &'static str;

    /// Its ports, and its configuration, which stands in the folder from then on.
    fn prepare(folder: &Path, settings: &Settings<'_>) -> Self;

    fn command(&self, folder: &Path) -> Command;

    /// Whether a question gets the answer of a server that is ready.
    fn answers(&self) -> bool;

    /// Once, after the first start.
    fn furnish(&mut self, _folder: &Path) {}
}

impl<'a> Tls<'a> {
    pub(crate) fn certificates(self) -> Option<&'a Certificates> {
        match self {
            Self::Off => None,
            Self::Server(certificates) | Self::Mutual(certificates) => Some(certificates),
        }
    }

    pub(crate) fn is_mutual(self) -> bool {
        matches!(self, Self::Mutual(_))
    }
}

impl<K: Kind> Server<K> {
    /// Starts one that lets everybody in, and returns when it answers.
    ///
    /// # Panics
    ///
    /// Where it does not start, with its log.
    pub fn start() -> Self {
        Self::start_with(&Settings::default())
    }

    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn start_with(settings: &Settings<'_>) -> Self {
        for _ in 0..TRIES {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let kind = K::prepare(folder.path(), settings);
            let process = Process::new(folder.path().join("log"));
            let mut server = Self { process, kind, folder };
            if server.launch() {
                server.kind.furnish(server.folder.path());
                return server;
            }
        }
        panic!("{}: no port stayed free in {TRIES} tries", K::NAME)
    }

    /// What it wrote since its first start.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Where its configuration and its data are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// SIGSTOP: connections stay and nothing answers, until [`Self::resume`] or [`Self::restart`].
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// Kills it if it runs, and starts it again on the same ports and the same data.
    ///
    /// # Panics
    ///
    /// Where it does not start, with its log.
    pub fn restart(&mut self) {
        eventually("the server to be back on its ports", || self.launch().then_some(()));
    }

    /// Waits until it answers; false where a port was somebody else's.
    fn launch(&mut self) -> bool {
        self.process.start(&mut self.kind.command(self.folder.path()));
        let what = format!("{} to answer or to end", K::NAME);
        let answers = eventually(&what, || {
            let ready = self.process.wrote(K::READY) && self.kind.answers();
            if ready { Some(true) } else { self.process.has_ended().then_some(false) }
        });
        assert!(answers || self.process.wrote("in use"), "{} ended:\n{}", K::NAME, self.log());
        answers
    }
}
