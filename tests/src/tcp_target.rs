//! A TCP service to be watched.

use crate::deadline::{DEADLINE, within};
use crate::listening::{Listening, Serve, bound, reserve};
use crate::reply::lock;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// A TCP server on loopback: up with a greeting, silent, or closed.
pub struct TcpTarget {
    listening: Listening<Greeter>,
    greeter: Arc<Greeter>,
}

struct Greeter {
    greeting: Mutex<Vec<u8>>,
    count: watch::Sender<usize>,
}

impl Serve for Greeter {
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let greeting = lock(&self.greeting).clone();
        self.count.send_modify(|count| *count += 1);
        if stream.write_all(&greeting).await.is_err() {
            return;
        }
        // Held until the client goes.
        let mut ignored = [0; 1_024];
        while stream.read(&mut ignored).await.is_ok_and(|length| length > 0) {}
    }
}

impl TcpTarget {
    /// A target on 127.0.0.1 that accepts and says nothing.
    pub fn start() -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into())
    }

    /// A target on another address of this machine.
    pub fn start_on(ip: IpAddr) -> Self {
        let greeter = Arc::new(Greeter { greeting: Mutex::default(), count: watch::Sender::new(0) });
        let _context = crate::runtime().enter();
        Self { listening: Listening::start(ip, Arc::clone(&greeter)), greeter }
    }

    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// As the command line takes it: `tcp://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("tcp://{}", self.address())
    }

    /// Accepts, and says `greeting` to each connection.
    pub fn greet(&self, greeting: impl Into<Vec<u8>>) {
        *lock(&self.greeter.greeting) = greeting.into();
        self.listening.open();
    }

    /// Accepts, and says nothing.
    pub fn silent(&self) {
        self.greet([]);
    }

    /// Refuses connections, and cuts those that are there.
    pub fn close(&self) {
        self.listening.close();
    }

    pub fn connections(&self) -> usize {
        *self.greeter.count.borrow()
    }

    /// Returns when `total` connections have been accepted since the start.
    ///
    /// # Panics
    /// After [`DEADLINE`].
    pub async fn wait_for_connections(&self, total: usize) {
        let mut count = self.greeter.count.subscribe();
        within(DEADLINE, count.wait_for(|now| *now >= total), || {
            format!("{total} connections at {}; there were {}", self.url(), self.connections())
        })
        .await
        .expect("because the greeter holds the sender");
    }
}

/// A port that does not answer at all, as behind a firewall that drops: its queue of connections is full.
pub struct DeafTarget {
    address: SocketAddr,
    _reserved: TcpSocket,
    full: Option<FullQueue>,
}

/// A listener that accepts nothing, and the connections that fill its queue.
struct FullQueue {
    listener: TcpListener,
    _queue: Vec<std::net::TcpStream>,
}

impl DeafTarget {
    /// A target on 127.0.0.1. Linux only: other systems refuse when the queue is full.
    pub fn start() -> Self {
        let mut target = Self::refusing();
        target.deafen();
        target
    }

    /// One that is not deaf yet: it refuses.
    pub fn refusing() -> Self {
        let (reserved, address) = {
            let _context = crate::runtime().enter();
            reserve(Ipv4Addr::LOCALHOST.into())
        };
        Self { address, _reserved: reserved, full: None }
    }

    /// Does not answer from now on.
    pub fn deafen(&mut self) {
        let address = self.address;
        let _context = crate::runtime().enter();
        let listener = bound(address).listen(0).expect("a port that is ours can be listened on");
        let patience = std::time::Duration::from_millis(200);
        let mut queue = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, patience) {
            queue.push(stream);
            assert!(queue.len() < 100, "the queue of {address} does not fill");
        }
        self.full = Some(FullQueue { listener, _queue: queue });
    }

    /// Refuses connections from now on, which is an answer.
    pub fn refuse(&mut self) {
        if let Some(full) = self.full.take() {
            // Closing is not enough: a child process between its `fork` and its `exec` has the socket too.
            let _ = rustix::net::shutdown(&full.listener, rustix::net::Shutdown::Both);
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As the command line takes it: `tcp://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }
}
