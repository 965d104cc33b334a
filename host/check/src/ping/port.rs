//! The sockets that all ping checks share, and the task that reads each.
//!
//! An answer counts only when identifier, sequence, sender and the random bytes of its payload are ours, so echoes of
//! other processes can't be mistaken for it, and only once: a duplicate, and an answer after its check, find nobody
//! who waits. A datagram socket is tried first: it needs no privilege where the system allows it. What can't be
//! delivered is told on a raw socket by the message itself, on Linux's datagram socket by its queue of errors.

#[cfg(target_os = "linux")]
mod error_queue;
#[cfg(target_os = "linux")]
mod filter;

use crate::errno;
use crate::icmp::{self, Echo, EchoAnswer, Version};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use uptime_core::check::{Failure, FailureClass};
use uuid::Uuid;

/// The part of a payload that makes an echo ours: 16 bytes of the socket's, 8 of the echo's.
const ECHO_ID_BYTES: usize = 24;

/// As much as the system gives: the answers to thousands of echoes may arrive at once.
const RECEIVE_BUFFER_BYTES: usize = 1024 * 1024;

/// The largest answer: an echo of 1472 bytes with its headers, and some room.
const PACKET_MAX_BYTES: usize = 2048;

/// How often a send is tried again that failed for want of something here.
const SEND_AGAIN: u8 = 4;

/// How long a full send buffer is given to drain, and a socket to be rid of its errors.
const BUFFER_WAIT: Duration = Duration::from_millis(1);

/// How many packets are read before others get their turn.
const READ_AT_ONCE: u8 = 64;

/// What the reader has for a check.
pub(super) enum EchoEvent {
    /// The echo of this place in the order of sending came back after this time.
    Reply(usize, Duration),
    /// One can't be delivered, says this host, for this reason.
    Undeliverable(IpAddr, &'static str),
}

/// An echo on its way.
struct PendingEcho {
    /// What its payload must bring back.
    token: u64,
    /// Its place among the echoes of its check.
    place: usize,
    sent_at: Instant,
    events: UnboundedSender<EchoEvent>,
}

/// By target and sequence.
type PendingEchoes = Mutex<HashMap<(IpAddr, u16), PendingEcho>>;

fn lock(pending: &PendingEchoes) -> MutexGuard<'_, HashMap<(IpAddr, u16), PendingEcho>> {
    // Every change is one insertion or removal, so a panic elsewhere leaves the map whole.
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The echoes that a check waits for; given up with it.
pub(super) struct Claims<'port> {
    pending: &'port PendingEchoes,
    keys: Vec<((IpAddr, u16), u64)>,
}

impl Drop for Claims<'_> {
    fn drop(&mut self) {
        let mut pending = lock(self.pending);
        for (key, token) in &self.keys {
            if pending.get(key).is_some_and(|pending| pending.token == *token) {
                pending.remove(key);
            }
        }
    }
}

/// What makes an echo ours, the same for all echoes of a socket.
#[derive(Clone, Copy)]
struct EchoId {
    ident: u16,
    /// Random; another process may have the same identifier.
    nonce: [u8; 16],
}

impl EchoId {
    /// The payload of an echo: the nonce, then the token, which no other echo of the socket has, then zeros.
    fn payload(self, token: u64, bytes: usize) -> Vec<u8> {
        let mut payload = vec![0; bytes.max(ECHO_ID_BYTES)];
        payload[..16].copy_from_slice(&self.nonce);
        payload[16..ECHO_ID_BYTES].copy_from_slice(&token.to_be_bytes());
        payload
    }

    /// The token of a reply to an echo of ours.
    fn token(self, echo: Echo, payload: &[u8]) -> Option<u64> {
        let token = payload.strip_prefix(&self.nonce)?.first_chunk::<8>()?;
        (echo.ident == self.ident).then(|| u64::from_be_bytes(*token))
    }
}

/// One socket and the task that reads it.
pub(super) struct EchoSocket {
    version: Version,
    socket: Arc<UdpSocket>,
    /// Whether a send can fail by what became of an echo to somebody else.
    shares_errors: bool,
    echo_id: EchoId,
    /// Counts the echoes; its low bits are the sequence.
    next: AtomicU64,
    pending: Arc<PendingEchoes>,
    reader: JoinHandle<()>,
}

impl Drop for EchoSocket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl EchoSocket {
    pub(super) fn open(version: Version) -> Result<Self, Failure> {
        let nonce = Uuid::new_v4().into_bytes();
        let ours = u16::from_be_bytes([nonce[0], nonce[1]]);
        let (socket, kernels_ident) = open_socket(version, ours)?;
        let echo_id = EchoId { ident: kernels_ident.unwrap_or(ours), nonce };
        // Linux's datagram socket alone has what other echoes met as an error of its own.
        let shares_errors = kernels_ident.is_some();
        let socket = Arc::new(socket);
        let pending = Arc::new(PendingEchoes::default());
        let reader = Reader { version, socket: Arc::clone(&socket), echo_id, pending: Arc::clone(&pending) };
        let reader = tokio::spawn(reader.run());
        Ok(Self { version, socket, shares_errors, echo_id, next: AtomicU64::new(0), pending, reader })
    }

    /// What a check waits for on this socket: nothing yet.
    pub(super) fn claims(&self) -> Claims<'_> {
        Claims { pending: &self.pending, keys: Vec::new() }
    }

    /// Sends one echo with `bytes` of payload, the one of this `place` among those of its check; its answer goes to
    /// `events`. Tries until it is sent or its own way ends: the caller bounds it.
    pub(super) async fn send(
        &self,
        target: SocketAddr,
        place: usize,
        bytes: usize,
        events: &UnboundedSender<EchoEvent>,
        claims: &mut Claims<'_>,
    ) -> io::Result<()> {
        let token = self.next.fetch_add(1, Relaxed);
        let [.., high, low] = token.to_be_bytes();
        let echo = Echo { ident: self.echo_id.ident, sequence: u16::from_be_bytes([high, low]) };
        let message = icmp::request(self.version, echo, &self.echo_id.payload(token, bytes));
        let key = (target.ip(), echo.sequence);
        let pending = PendingEcho { token, place, sent_at: Instant::now(), events: events.clone() };
        // Whoever waited under this key for 65,536 echoes has lost his.
        lock(&self.pending).insert(key, pending);
        claims.keys.push((key, token));
        let mut failed = 0;
        loop {
            match self.socket.try_send_to(&message, target) {
                Ok(_) => return Ok(()),
                // Not by the socket's readiness: after an error it says that it can be written to, whatever is true.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A socket has one place for errors, and gives it to whoever calls next. Whether the way to this target
                // has an end is asked where no other echo's error can be.
                Err(error) if self.shares_errors && errno::is_told_by_icmp(&error) => {
                    errno::ask_route(target)?;
                }
                Err(_) if failed < SEND_AGAIN => failed += 1,
                Err(error) => return Err(error),
            }
            // The wait lets the reader take the errors that are on their way, or the tries find one after another.
            sleep(BUFFER_WAIT).await;
        }
    }
}

/// Reads a socket and hands each answer to the check that waits for it.
struct Reader {
    version: Version,
    socket: Arc<UdpSocket>,
    echo_id: EchoId,
    pending: Arc<PendingEchoes>,
}

impl Reader {
    async fn run(self) {
        let mut packet = [0; PACKET_MAX_BYTES];
        loop {
            let Ok(ready) = self.socket.ready(Interest::READABLE | Interest::ERROR).await else {
                // The runtime ends.
                return;
            };
            if ready.is_error() {
                self.read_errors(&mut packet);
            }
            for _ in 0..READ_AT_ONCE {
                match self.socket.try_recv_from(&mut packet) {
                    Ok((length, from)) => {
                        if let Some(answer) = icmp::parse(self.version, &packet[..length]) {
                            self.hand_over(answer, from.ip());
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // The error of an echo, which the queue of errors tells better. It is gone by having been read.
                    Err(_) => {}
                }
            }
            // One who always has something to read must not be the only one who runs.
            tokio::task::consume_budget().await;
        }
    }

    fn hand_over(&self, answer: EchoAnswer<'_>, from: IpAddr) {
        let now = Instant::now();
        match answer {
            EchoAnswer::Reply { echo, payload } => {
                let Some(token) = self.echo_id.token(echo, payload) else { return };
                arrive(&self.pending, (from, echo.sequence), Some(token), |pending| {
                    EchoEvent::Reply(pending.place, now.saturating_duration_since(pending.sent_at))
                });
            }
            EchoAnswer::Undeliverable { echo, destination, reason } if echo.ident == self.echo_id.ident => {
                let key = (destination, echo.sequence);
                arrive(&self.pending, key, None, |_| EchoEvent::Undeliverable(from, reason));
            }
            EchoAnswer::Undeliverable { .. } => {}
        }
    }

    /// Takes what the kernel says of echoes that can't be delivered.
    #[cfg(target_os = "linux")]
    fn read_errors(&self, packet: &mut [u8]) {
        // Ends when the queue is empty, which also takes back that there is an error to read.
        while let Ok(taken) =
            self.socket.try_io(Interest::ERROR, || error_queue::take(&self.socket, self.version, packet))
        {
            if let Some((answer, from)) = taken {
                self.hand_over(answer, from);
            }
        }
    }

    /// Elsewhere there is no such queue.
    #[cfg(not(target_os = "linux"))]
    fn read_errors(&self, _packet: &mut [u8]) {
        let _ = self.socket.take_error();
    }
}

/// Gives the waiter of `key` what arrived. A message about an undeliverable echo quotes too little of it to have a
/// token; a reply must have the right one.
fn arrive(
    pending: &PendingEchoes,
    key: (IpAddr, u16),
    token: Option<u64>,
    event: impl Fn(&PendingEcho) -> EchoEvent,
) {
    let mut pending = lock(pending);
    if pending.get(&key).is_some_and(|pending| token.is_none_or(|token| pending.token == token))
        && let Some(pending) = pending.remove(&key)
    {
        // The check may be over; then nobody wants to know.
        let _ = pending.events.send(event(&pending));
    }
}

/// A socket for echoes, with `ours` as their identifier, or the one that the kernel chose.
fn open_socket(version: Version, ours: u16) -> Result<(UdpSocket, Option<u16>), Failure> {
    let datagram = open(version, Type::DGRAM, ours)
        .and_then(|socket| socket.local_addr().map(|local| (socket, local.port())));
    if let Ok((socket, ident)) = datagram {
        // Linux puts its own identifier into each message, and gives it as the port. Others leave ours.
        return Ok((socket, (ident != 0).then_some(ident)));
    }
    open(version, Type::RAW, ours).map(|socket| (socket, None)).map_err(|error| {
        let (class, words) = errno::classify(&error);
        let message = match class {
            FailureClass::Permission => "this process may not ping: run \
                `sysctl -w net.ipv4.ping_group_range='0 2147483647'`, or `setcap cap_net_raw+ep $(which uptime)`"
                .to_owned(),
            _ => format!("opening a socket to ping with: {words}"),
        };
        Failure::new(if class.is_ours() { class } else { FailureClass::Resources }, message)
    })
}

fn open(version: Version, kind: Type, ours: u16) -> io::Result<UdpSocket> {
    let (domain, protocol, any) = match version {
        Version::V4 => (Domain::IPV4, Protocol::ICMPV4, IpAddr::from([0; 4])),
        Version::V6 => (Domain::IPV6, Protocol::ICMPV6, IpAddr::from([0; 16])),
    };
    let socket = Socket::new(domain, kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    // Without the one, an echo that can't be delivered is as good as one that is lost; without the other, others' echoes
    // are read for nothing.
    #[cfg(target_os = "linux")]
    let _ = if kind == Type::DGRAM {
        error_queue::enable(&socket, version)
    } else {
        filter::attach(&socket, version, ours)
    };
    #[cfg(not(target_os = "linux"))]
    let _ = ours;
    // Less than asked for also works.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.bind(&SocketAddr::new(any, 0).into())?;
    // To std and tokio it is a socket that sends and receives datagrams, and that is all that they do with it.
    UdpSocket::from_std(StdUdpSocket::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;

    const ECHO_ID: EchoId = EchoId { ident: 7, nonce: *b"sixteen bytes of" };

    #[test]
    fn only_our_echoes_have_a_token() {
        let echo = Echo { ident: 7, sequence: 1 };
        let payload = ECHO_ID.payload(0x0102_0304_0506_0708, 56);
        assert_eq!(ECHO_ID.token(echo, &payload), Some(0x0102_0304_0506_0708));
        assert_eq!(ECHO_ID.token(Echo { ident: 8, ..echo }, &payload), None, "another identifier");
        let stranger = EchoId { nonce: *b"another process'", ..ECHO_ID };
        assert_eq!(
            ECHO_ID.token(echo, &stranger.payload(1, 56)),
            None,
            "another process with our identifier"
        );
        assert_eq!(
            (payload.len(), ECHO_ID.payload(1, 0).len(), ECHO_ID.payload(1, 1472).len()),
            (56, 24, 1472)
        );
        for length in 0..ECHO_ID_BYTES {
            assert_eq!(ECHO_ID.token(echo, &payload[..length]), None, "cut to {length} bytes");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_raw_socket_sees_what_can_be_its_own_alone() {
        for (version, target) in [
            (Version::V4, IpAddr::from([127, 0, 0, 1])),
            (Version::V6, IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
        ] {
            // Where this process may not have one there is nothing to see.
            let Ok(socket) = open(version, Type::RAW, 7) else { return };
            for ident in [6, 7] {
                let echo = Echo { ident, sequence: 1 };
                let sent = socket.send_to(&icmp::request(version, echo, b"x"), (target, 0)).await;
                sent.expect("the loopback takes it");
            }
            let mut packet = [0; PACKET_MAX_BYTES];
            let (length, _) = socket.recv_from(&mut packet).await.expect("its own comes back");
            let first = icmp::parse(version, &packet[..length]);
            assert_eq!(
                first,
                Some(EchoAnswer::Reply { echo: Echo { ident: 7, sequence: 1 }, payload: b"x" })
            );
        }
    }

    #[test]
    fn a_reply_must_be_to_the_echo_that_waits() {
        let (events, mut arrived) = unbounded_channel();
        let (target, stranger) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let pending = PendingEchoes::default();
        lock(&pending)
            .insert((target, 1), PendingEcho { token: 5, place: 0, sent_at: Instant::now(), events });
        let reply = |_: &PendingEcho| EchoEvent::Reply(0, Duration::ZERO);
        arrive(&pending, (stranger, 1), Some(5), reply);
        arrive(&pending, (target, 2), Some(5), reply);
        // An echo of 65,536 echoes ago.
        arrive(&pending, (target, 1), Some(4), reply);
        assert!(arrived.try_recv().is_err());
        arrive(&pending, (target, 1), Some(5), reply);
        assert!(arrived.try_recv().is_ok());
        arrive(&pending, (target, 1), Some(5), reply);
        assert!(arrived.try_recv().is_err(), "a duplicate counts once");
    }

    #[test]
    fn what_is_given_up_is_not_waited_for() {
        let key = (IpAddr::from([127, 0, 0, 1]), 1);
        let pending = PendingEchoes::default();
        let wait = |token| {
            let (events, _) = unbounded_channel();
            lock(&pending).insert(key, PendingEcho { token, place: 0, sent_at: Instant::now(), events });
            Claims { pending: &pending, keys: vec![(key, token)] }
        };
        let (first, second) = (wait(1), wait(2));
        drop(first);
        assert_eq!(lock(&pending).len(), 1, "the key has a new owner");
        drop(second);
        assert!(lock(&pending).is_empty());
    }
}
