//! A proxy that cuts connections when a test says so.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use crate::process::{eventually, local};

/// At the same time; more are closed at once.
const CONNECTIONS: usize = 64;
const CONNECT: Duration = Duration::from_secs(5);

/// Passes on what comes to its address. Cut, it refuses connections as a machine does where nothing listens.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    target: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cut: bool,
    stalled: bool,
    /// Both ends of each connection in hand, by number.
    connections: Vec<(u64, TcpStream, TcpStream)>,
    accepted: u64,
}

impl Proxy {
    /// On a port of the kernel's choice, in front of this address. Nothing need listen there yet.
    ///
    /// # Panics
    ///
    /// Where the kernel has no port.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(local(0)).expect("the kernel has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mut proxy = Self { address, target, shared: Arc::default(), accepting: None };
        proxy.accept(listener);
        proxy
    }

    /// In front of a local port.
    ///
    /// # Panics
    ///
    /// As [`Self::to`].
    pub fn to_port(port: u16) -> Self {
        Self::to(local(port))
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops all connections and refuses new ones.
    ///
    /// # Panics
    ///
    /// Where the thread that accepts has.
    pub fn cut(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.state().cut = true;
        // Wakes the thread that accepts; the listener ends with it.
        drop(TcpStream::connect_timeout(&self.address, CONNECT));
        accepting.join().expect("the thread that accepts does not panic");
        self.drop_connections();
    }

    /// Drops all connections; new ones are welcome.
    pub fn drop_connections(&self) {
        for (_, client, server) in self.shared.state().connections.drain(..) {
            close(&client);
            close(&server);
        }
        self.shared.changed.notify_all();
    }

    /// Accepts again, on the same port.
    ///
    /// # Panics
    ///
    /// Where the port is somebody else's now.
    pub fn heal(&mut self) {
        if self.accepting.is_some() {
            return;
        }
        let listener = eventually("the proxy's port", || TcpListener::bind(self.address).ok());
        self.shared.state().cut = false;
        self.accept(listener);
    }

    /// Holds back all bytes, in both directions: nothing fails and nothing arrives.
    pub fn stall(&self) {
        self.shared.state().stalled = true;
    }

    /// Lets go what was held back.
    pub fn resume(&self) {
        self.shared.state().stalled = false;
        self.shared.changed.notify_all();
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.state().accepted
    }

    fn accept(&mut self, listener: TcpListener) {
        let (shared, target) = (self.shared.clone(), self.target);
        self.accepting = Some(spawn(move || {
            for client in listener.incoming() {
                if shared.state().cut {
                    return;
                }
                if let Ok(client) = client {
                    connected(&shared, client, target);
                }
            }
        }));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the state")
    }

    /// Waits while bytes are held back; false once the connection was dropped.
    fn may_pass(&self, number: u64) -> bool {
        let known = |state: &State| state.connections.iter().any(|(other, ..)| *other == number);
        let state = self.changed.wait_while(self.state(), |state| state.stalled && known(state));
        known(&state.expect("no thread panics while it holds the state"))
    }
}

/// Two threads for a connection, one for each direction, that end when it does.
fn connected(shared: &Arc<Shared>, client: TcpStream, target: SocketAddr) {
    // Where the target is down, the client sees its connection closed.
    let Ok(server) = TcpStream::connect_timeout(&target, CONNECT) else { return };
    let mut state = shared.state();
    state.accepted += 1;
    let number = state.accepted;
    if state.connections.len() >= CONNECTIONS {
        return;
    }
    let clone = |stream: &TcpStream| stream.try_clone().expect("a socket can be cloned");
    // Small writes are not to wait for an acknowledgement that the other side delays.
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    state.connections.push((number, clone(&client), clone(&server)));
    drop(state);
    for (from, to) in [(clone(&client), clone(&server)), (server, client)] {
        let shared = shared.clone();
        spawn(move || pass(&shared, number, from, to));
    }
}

fn pass(shared: &Shared, number: u64, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        if !shared.may_pass(number) || to.write_all(bytes).is_err() {
            break;
        }
    }
    close(&from);
    close(&to);
    shared.state().connections.retain(|(other, ..)| *other != number);
}

/// It may be closed already.
fn close(stream: &TcpStream) {
    drop(stream.shutdown(Shutdown::Both));
}
