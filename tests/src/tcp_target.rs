//! A TCP service to be watched.

use crate::listening::{Listening, Serve, bound, reserve};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A TCP server on loopback: it accepts and says nothing, or is closed.
pub struct TcpTarget(Listening<Silent>);

struct Silent;

impl Serve for Silent {
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        // Held until the client goes.
        let mut ignored = [0; 1_024];
        while stream.read(&mut ignored).await.is_ok_and(|length| length > 0) {}
    }
}

impl TcpTarget {
    /// A target on 127.0.0.1.
    pub fn start() -> Self {
        let _context = crate::runtime().enter();
        Self(Listening::start(Ipv4Addr::LOCALHOST.into(), Arc::new(Silent)))
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// As the command line takes it: `tcp://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("tcp://{}", self.address())
    }

    /// Refuses connections, and cuts those that are there.
    pub fn close(&self) {
        self.0.close();
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
