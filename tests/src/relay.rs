//! A port that leads to another one, as a name or a balancer does: it can be led elsewhere, and connections that are there stay
//! where they were.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

pub struct Relay {
    port: u16,
    to: Arc<AtomicU16>,
}

impl Relay {
    /// To a port on loopback.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let to = Arc::new(AtomicU16::new(port));
        let target = Arc::clone(&to);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is away refuses: so does the relay, in a word.
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target.load(Ordering::SeqCst)))
                else {
                    continue;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    std::thread::spawn(move || pump(from, to));
                }
            }
        });
        Self { port: own, to }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// New connections lead to another port.
    pub fn lead_to(&self, port: u16) {
        self.to.store(port, Ordering::SeqCst);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
