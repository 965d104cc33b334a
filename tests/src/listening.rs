//! A port on loopback that can be closed and opened again.
//!
//! The port stays ours while it is closed: a second socket is bound to it and never listens, so connections are
//! refused and nobody else is given the number. Used by every target and sink.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// What is done with each connection.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Speaks until the connection is done. Aborted when the port is closed.
    fn serve(self: Arc<Self>, stream: TcpStream) -> impl Future<Output = ()> + Send;
}

/// The port, and what serves it while it is open.
pub(crate) struct Listening<S> {
    address: SocketAddr,
    _reserved: TcpSocket,
    served_by: Arc<S>,
    open: Mutex<Option<Open>>,
}

/// How to end an accept loop, and how it says that it has ended.
struct Open {
    stop: oneshot::Sender<()>,
    stopped: mpsc::Receiver<()>,
}

impl<S: Serve> Listening<S> {
    /// A free port on `ip`, open.
    pub(crate) fn start(ip: IpAddr, served_by: Arc<S>) -> Self {
        let (reserved, address) = reserve(ip);
        let listening = Self { address, _reserved: reserved, served_by, open: Mutex::new(None) };
        listening.open();
        listening
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn open(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() {
            return;
        }
        let _context = crate::runtime().enter();
        let listener = bound(self.address).listen(1_024).expect("a port that is ours can be listened on");
        let (stop, stopping) = oneshot::channel();
        let (stopped_sender, stopped) = mpsc::channel();
        let served_by = Arc::clone(&self.served_by);
        crate::runtime().spawn(async move {
            accept(listener, served_by, stopping).await;
            // Nobody may be waiting for it.
            let _ = stopped_sender.send(());
        });
        *open = Some(Open { stop, stopped });
    }

    /// Refuses connections from now on, and cuts those that are there. Returns when it is so.
    pub(crate) fn close(&self) {
        let Some(open) = self.open.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let _ = open.stop.send(());
        open.stopped.recv_timeout(Duration::from_secs(30)).expect("the accept loop ends when it is told to");
    }
}

impl<S> Drop for Listening<S> {
    fn drop(&mut self) {
        if let Some(open) = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = open.stop.send(());
        }
    }
}

/// A free port on `ip`, and the socket that keeps it.
pub(crate) fn reserve(ip: IpAddr) -> (TcpSocket, SocketAddr) {
    let socket = bound(SocketAddr::new(ip, 0));
    let address = socket.local_addr().expect("a bound socket has an address");
    (socket, address)
}

/// A socket bound to `address`, beside others that are.
pub(crate) fn bound(address: SocketAddr) -> TcpSocket {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.expect("a socket can be made");
    socket.set_reuseaddr(true).expect("a socket takes the option");
    socket.bind(address).unwrap_or_else(|error| panic!("`{address}` can't be bound: {error}"));
    socket
}

async fn accept<S: Serve>(listener: TcpListener, served_by: Arc<S>, mut stopping: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A client that went away before it was accepted is no trouble of ours.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(Arc::clone(&served_by).serve(stream));
                }
            }
            Some(_) = connections.join_next() => {}
            _ = &mut stopping => break,
        }
    }
    // Closing is not enough: a child process between its `fork` and its `exec` has the socket too.
    let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
    drop(listener);
    connections.shutdown().await;
}
