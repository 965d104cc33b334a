//! The ping check, and the sockets that all ping checks share.
//!
//! There is one socket per version of IP, opened at the first need, and one task that reads it and hands each answer
//! to the check that waits for it. An answer counts only when identifier, sequence, sender and the random bytes of
//! its payload are ours, so echoes of other processes can't be mistaken for it. A datagram socket is tried first: it
//! needs no privilege where the system allows it.

use crate::icmp::{self, Answer, Echo, Version};
use crate::resolve::Names;
use crate::trace::Trace;
use crate::{Means, errno};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::OnceCell;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout_at};
use uptime_core::check::{Failure, FailureClass};
use uptime_core::duration;
use uptime_core::monitor::PingSpec;
use uuid::Uuid;

/// From one echo to the next, when the deadline leaves room for it.
const SPACING: Duration = Duration::from_millis(200);

/// How long a straggler is waited for when other echoes came back sooner.
const STRAGGLER: Duration = Duration::from_secs(1);

/// As many bytes as `ping` sends.
const PAYLOAD_BYTES: usize = 56;

/// As much as the system gives: the answers to thousands of echoes may arrive at once.
const RECEIVE_BUFFER_BYTES: usize = 1024 * 1024;

pub(crate) async fn run(
    means: &Means,
    names: &Names<'_>,
    spec: &PingSpec,
    deadline: Instant,
    trace: &mut Trace,
) -> Result<Result<(), Failure>, Elapsed> {
    let addresses = match timeout_at(deadline, names.resolve(&spec.host, 0, trace)).await? {
        Ok(addresses) => addresses,
        Err(failure) => return Ok(Err(failure)),
    };
    let mut first_failure = None;
    for address in addresses {
        trace.hop.address = Some(address.ip());
        match means.pinger.ping(address, spec.count, deadline).await {
            Ok(echoes) => {
                trace.hop.phases.first_byte = echoes.mean();
                return Ok(judge(spec, address.ip(), &echoes));
            }
            // Nothing was sent: another address may do.
            Err(failure) => first_failure = first_failure.or(Some(failure)),
        }
    }
    Ok(Err(first_failure.unwrap_or_else(|| Failure::new(FailureClass::Dns, "there was no address to ping"))))
}

/// What became of the echoes of one check.
#[derive(Default)]
struct Answers {
    sent: u32,
    round_trips: Vec<Duration>,
    /// Who said that an echo can't be delivered, and why.
    undeliverable: Option<(IpAddr, &'static str)>,
    /// How many of them.
    undelivered: u32,
}

impl Answers {
    fn received(&self) -> u32 {
        u32::try_from(self.round_trips.len()).unwrap_or(u32::MAX)
    }

    fn open(&self) -> u32 {
        self.sent.saturating_sub(self.received()).saturating_sub(self.undelivered)
    }

    fn mean(&self) -> Option<Duration> {
        let sum: Duration = self.round_trips.iter().sum();
        sum.checked_div(self.received())
    }
}

fn judge(spec: &PingSpec, address: IpAddr, echoes: &Answers) -> Result<(), Failure> {
    let (sent, lost) = (echoes.sent, echoes.sent.saturating_sub(echoes.received()));
    let mean = echoes.mean();
    if mean.is_none()
        && let Some((from, reason)) = echoes.undeliverable
    {
        let message = format!("pinging {address}: {from} says {reason}");
        return Err(Failure::new(FailureClass::Unreachable, message));
    }
    if lost > 0 && lost * 100 >= u32::from(spec.loss_below) * sent {
        let failure = Failure::new(
            FailureClass::Loss,
            format!("pinging {address}: {lost} of {sent} echoes did not come back"),
        );
        return Err(
            failure.with(format!("a loss below {} %", spec.loss_below), format!("{} %", lost * 100 / sent))
        );
    }
    match (mean, spec.latency_below) {
        (Some(mean), Some(limit)) if mean >= limit => {
            let message = format!("pinging {address}: the mean round trip was {mean:.1?}");
            Err(Failure::new(FailureClass::Latency, message)
                .with(format!("below {}", duration::format(limit)), format!("{mean:.1?}")))
        }
        _ => Ok(()),
    }
}

/// The ping sockets of a process.
pub(crate) struct Pinger {
    v4: OnceCell<Port>,
    v6: OnceCell<Port>,
}

impl Pinger {
    pub(crate) fn new() -> Self {
        Self { v4: OnceCell::new(), v6: OnceCell::new() }
    }

    /// Sends `count` echoes to `target` and collects the answers that come before `deadline`.
    async fn ping(&self, target: SocketAddr, count: u8, deadline: Instant) -> Result<Answers, Failure> {
        let port = match target.ip() {
            // Not kept when it fails: a permission that is given later counts from then on.
            IpAddr::V4(_) => self.v4.get_or_try_init(|| async { Port::open(Version::V4) }).await?,
            IpAddr::V6(_) => self.v6.get_or_try_init(|| async { Port::open(Version::V6) }).await?,
        };
        let (sender, mut answers) = unbounded_channel();
        let mut claims = Claims { waiters: &port.waiters, keys: Vec::new() };
        let mut echoes = Answers::default();
        let time_left = deadline.saturating_duration_since(Instant::now());
        let spacing = SPACING.min(time_left / 2 / u32::from(count).max(1));
        let mut last_sent = Instant::now();
        for _ in 0..count.max(1) {
            if echoes.sent > 0 {
                collect(&mut echoes, &mut answers, |_| Some(last_sent + spacing)).await;
            }
            last_sent = Instant::now();
            let sent = timeout_at(deadline, port.send(target, &sender, &mut claims)).await;
            match sent {
                Ok(Ok(())) => echoes.sent += 1,
                Ok(Err(error)) => {
                    return Err(errno::failure(&format!("pinging {}", target.ip()), &error, target.ip()));
                }
                Err(_) if echoes.sent == 0 => {
                    let message = format!("pinging {}: this machine could not send in time", target.ip());
                    return Err(Failure::new(FailureClass::Resources, message));
                }
                Err(_) => break,
            }
        }
        collect(&mut echoes, &mut answers, |echoes| {
            if echoes.open() == 0 {
                return None;
            }
            let slowest = echoes.round_trips.iter().max();
            Some(slowest.map_or(deadline, |slowest| deadline.min(last_sent + STRAGGLER.max(*slowest * 2))))
        })
        .await;
        Ok(echoes)
    }
}

/// Takes answers until the instant that `until` gives, looked at again after each; `None`: until now.
async fn collect(
    echoes: &mut Answers,
    answers: &mut UnboundedReceiver<Arrival>,
    until: impl Fn(&Answers) -> Option<Instant>,
) {
    while let Some(until) = until(echoes)
        && let Ok(Some(arrival)) = timeout_at(until, answers.recv()).await
    {
        match arrival {
            Arrival::Reply(round_trip) => echoes.round_trips.push(round_trip),
            Arrival::Undeliverable(from, reason) => {
                echoes.undelivered += 1;
                echoes.undeliverable = Some((from, reason));
            }
        }
    }
}

/// What the reader has for a check.
enum Arrival {
    Reply(Duration),
    Undeliverable(IpAddr, &'static str),
}

/// An echo on its way.
struct Waiter {
    /// What its payload must bring back.
    token: u64,
    sent_at: Instant,
    arrivals: UnboundedSender<Arrival>,
}

/// By target and sequence.
type Waiters = Mutex<HashMap<(IpAddr, u16), Waiter>>;

fn lock(waiters: &Waiters) -> MutexGuard<'_, HashMap<(IpAddr, u16), Waiter>> {
    // Every change is one insertion or removal, so a panic elsewhere leaves the map whole.
    waiters.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The echoes that a check waits for; given up with it.
struct Claims<'port> {
    waiters: &'port Waiters,
    keys: Vec<((IpAddr, u16), u64)>,
}

impl Drop for Claims<'_> {
    fn drop(&mut self) {
        let mut waiters = lock(self.waiters);
        for (key, token) in &self.keys {
            if waiters.get(key).is_some_and(|waiter| waiter.token == *token) {
                waiters.remove(key);
            }
        }
    }
}

/// What makes an echo ours, the same for all echoes of a socket.
#[derive(Clone, Copy)]
struct Seal {
    ident: u16,
    /// Random; another process may have the same identifier.
    nonce: [u8; 16],
}

impl Seal {
    /// The payload of an echo: the nonce, then the token, which no other echo of the socket has.
    fn payload(self, token: u64) -> [u8; PAYLOAD_BYTES] {
        let mut payload = [0; PAYLOAD_BYTES];
        payload[..16].copy_from_slice(&self.nonce);
        payload[16..24].copy_from_slice(&token.to_be_bytes());
        payload
    }

    /// The token of a reply to an echo of ours.
    fn token(self, echo: Echo, payload: &[u8]) -> Option<u64> {
        let token = payload.strip_prefix(&self.nonce)?.first_chunk::<8>()?;
        (echo.ident == self.ident).then(|| u64::from_be_bytes(*token))
    }
}

/// One socket and the task that reads it.
struct Port {
    version: Version,
    socket: Arc<UdpSocket>,
    seal: Seal,
    /// Counts the echoes; its low bits are the sequence.
    next: AtomicU64,
    waiters: Arc<Waiters>,
    reader: JoinHandle<()>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Port {
    fn open(version: Version) -> Result<Self, Failure> {
        let (socket, kernels_ident) = open_socket(version)?;
        let nonce = Uuid::new_v4().into_bytes();
        let seal = Seal { ident: kernels_ident.unwrap_or(u16::from_be_bytes([nonce[0], nonce[1]])), nonce };
        let socket = Arc::new(socket);
        let waiters = Arc::new(Waiters::default());
        let reader = tokio::spawn(read(version, Arc::clone(&socket), seal, Arc::clone(&waiters)));
        Ok(Self { version, socket, seal, next: AtomicU64::new(0), waiters, reader })
    }

    /// Sends one echo whose answer goes to `arrivals`.
    async fn send(
        &self,
        target: SocketAddr,
        arrivals: &UnboundedSender<Arrival>,
        claims: &mut Claims<'_>,
    ) -> io::Result<()> {
        let token = self.next.fetch_add(1, Relaxed);
        let [.., high, low] = token.to_be_bytes();
        let echo = Echo { ident: self.seal.ident, sequence: u16::from_be_bytes([high, low]) };
        let message = icmp::request(self.version, echo, &self.seal.payload(token));
        let key = (target.ip(), echo.sequence);
        let waiter = Waiter { token, sent_at: Instant::now(), arrivals: arrivals.clone() };
        // Whoever waited under this key for 65,536 echoes has lost his.
        lock(&self.waiters).insert(key, waiter);
        claims.keys.push((key, token));
        self.socket.send_to(&message, target).await.map(drop)
    }
}

/// Hands each answer to the check that waits for it.
async fn read(version: Version, socket: Arc<UdpSocket>, seal: Seal, waiters: Arc<Waiters>) {
    let mut packet = [0; 2048];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut packet).await else {
            // An error of an earlier send may come up here. Were it to stay, this must not spin.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let now = Instant::now();
        match icmp::parse(version, &packet[..length]) {
            Some(Answer::Reply { echo, payload }) => {
                let Some(token) = seal.token(echo, payload) else { continue };
                arrive(&waiters, (from.ip(), echo.sequence), Some(token), |waiter| {
                    Arrival::Reply(now.saturating_duration_since(waiter.sent_at))
                });
            }
            Some(Answer::Undeliverable { echo, destination, reason }) if echo.ident == seal.ident => {
                arrive(&waiters, (destination, echo.sequence), None, |_| {
                    Arrival::Undeliverable(from.ip(), reason)
                });
            }
            _ => {}
        }
    }
}

/// Gives the waiter of `key` what arrived. A message about an undeliverable echo quotes too little of it to have a
/// token; a reply must have the right one.
fn arrive(waiters: &Waiters, key: (IpAddr, u16), token: Option<u64>, arrival: impl Fn(&Waiter) -> Arrival) {
    let mut waiters = lock(waiters);
    if waiters.get(&key).is_some_and(|waiter| token.is_none_or(|token| waiter.token == token))
        && let Some(waiter) = waiters.remove(&key)
    {
        // The check may be over; then nobody wants to know.
        let _ = waiter.arrivals.send(arrival(&waiter));
    }
}

/// A socket for echoes, and the identifier when the kernel chose it.
fn open_socket(version: Version) -> Result<(UdpSocket, Option<u16>), Failure> {
    let (domain, protocol, any) = match version {
        Version::V4 => (Domain::IPV4, Protocol::ICMPV4, IpAddr::from([0; 4])),
        Version::V6 => (Domain::IPV6, Protocol::ICMPV6, IpAddr::from([0; 16])),
    };
    let open = |kind: Type| -> io::Result<UdpSocket> {
        let socket = Socket::new(domain, kind, Some(protocol))?;
        socket.set_nonblocking(true)?;
        // Less than asked for also works.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        socket.bind(&SocketAddr::new(any, 0).into())?;
        // To std and tokio it is a socket that sends and receives datagrams, and that is all that they do with it.
        UdpSocket::from_std(StdUdpSocket::from(socket))
    };
    let datagram =
        open(Type::DGRAM).and_then(|socket| socket.local_addr().map(|local| (socket, local.port())));
    if let Ok((socket, ident)) = datagram {
        // Linux puts its own identifier into each message, and gives it as the port. Others leave ours.
        return Ok((socket, (ident != 0).then_some(ident)));
    }
    open(Type::RAW).map(|socket| (socket, None)).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: Seal = Seal { ident: 7, nonce: *b"sixteen bytes of" };

    #[test]
    fn only_our_echoes_have_a_token() {
        let echo = Echo { ident: 7, sequence: 1 };
        let payload = SEAL.payload(0x0102_0304_0506_0708);
        assert_eq!(SEAL.token(echo, &payload), Some(0x0102_0304_0506_0708));
        assert_eq!(SEAL.token(Echo { ident: 8, ..echo }, &payload), None, "another identifier");
        let stranger = Seal { nonce: *b"another process'", ..SEAL };
        assert_eq!(SEAL.token(echo, &stranger.payload(1)), None, "another process with our identifier");
        for length in 0..24 {
            assert_eq!(SEAL.token(echo, &payload[..length]), None, "cut to {length} bytes");
        }
    }

    #[test]
    fn a_reply_must_be_to_the_echo_that_waits() {
        let (arrivals, mut arrived) = unbounded_channel();
        let (target, stranger) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let waiters = Waiters::default();
        lock(&waiters).insert((target, 1), Waiter { token: 5, sent_at: Instant::now(), arrivals });
        let reply = |_: &Waiter| Arrival::Reply(Duration::ZERO);
        arrive(&waiters, (stranger, 1), Some(5), reply);
        arrive(&waiters, (target, 2), Some(5), reply);
        // An echo of 65,536 echoes ago.
        arrive(&waiters, (target, 1), Some(4), reply);
        assert!(arrived.try_recv().is_err());
        arrive(&waiters, (target, 1), Some(5), reply);
        assert!(arrived.try_recv().is_ok());
        arrive(&waiters, (target, 1), Some(5), reply);
        assert!(arrived.try_recv().is_err(), "a duplicate counts once");
    }

    #[test]
    fn what_is_given_up_is_not_waited_for() {
        let key = (IpAddr::from([127, 0, 0, 1]), 1);
        let waiters = Waiters::default();
        let wait = |token| {
            let (arrivals, _) = unbounded_channel();
            lock(&waiters).insert(key, Waiter { token, sent_at: Instant::now(), arrivals });
            Claims { waiters: &waiters, keys: vec![(key, token)] }
        };
        let (first, second) = (wait(1), wait(2));
        drop(first);
        assert_eq!(lock(&waiters).len(), 1, "the key has a new owner");
        drop(second);
        assert!(lock(&waiters).is_empty());
    }

    #[test]
    fn loss_and_latency_are_judged_by_their_limits() {
        let ms = Duration::from_millis;
        let address = IpAddr::from([192, 0, 2, 1]);
        for (sent, round_trips, loss_below, latency_below, class) in [
            (3, vec![ms(10); 3], 100, None, None),
            (3, vec![ms(10)], 100, None, None),
            (3, vec![], 100, None, Some(FailureClass::Loss)),
            (4, vec![ms(10); 3], 25, None, Some(FailureClass::Loss)),
            (4, vec![ms(10); 3], 26, None, None),
            (3, vec![ms(10); 3], 0, None, None),
            (2, vec![ms(10), ms(30)], 100, Some(ms(20)), Some(FailureClass::Latency)),
            (2, vec![ms(10), ms(30)], 100, Some(ms(21)), None),
        ] {
            let spec =
                PingSpec { loss_below, latency_below, ..uptime_core::target::ping("192.0.2.1".into()) };
            let echoes = Answers { sent, round_trips, ..Answers::default() };
            let found = judge(&spec, address, &echoes).err().map(|failure| failure.class);
            assert_eq!(found, class, "{spec:?}");
        }
        let spec = uptime_core::target::ping("192.0.2.1".into());
        let router = IpAddr::from([192, 0, 2, 254]);
        let echoes = Answers {
            sent: 3,
            undeliverable: Some((router, "host unreachable")),
            undelivered: 3,
            ..Answers::default()
        };
        let failure = judge(&spec, address, &echoes).expect_err("nothing came back");
        assert_eq!(failure.message, "pinging 192.0.2.1: 192.0.2.254 says host unreachable");
        assert_eq!((failure.class, echoes.open()), (FailureClass::Unreachable, 0));
        let failure =
            judge(&spec, address, &Answers { sent: 3, ..Answers::default() }).expect_err("nothing came back");
        assert_eq!(failure.message, "pinging 192.0.2.1: 3 of 3 echoes did not come back");
        assert_eq!(
            (failure.expected.as_deref(), failure.got.as_deref()),
            (Some("a loss below 100 %"), Some("100 %"))
        );
    }
}
