//! What the product speaks to, each in a process of its own: targets for its checks, and a receiver of its webhooks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uptime_tests::{WebhookSink, serve_until_released};

/// Loopback addresses that the targets are spread over: one has 28,000 ports for connections, this many have enough.
const ADDRESSES: u8 = 16;

/// Checks in a row that a failing target answers alike. Two changes in twenty are no flapping.
const ALIKE: u64 = 10;

const UP: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
const DOWN: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 6\r\n\r\nbroken";

const FAILING: &str = "/failing/";

/// Where a monitor's target is, for the port that [`serve_targets`] prints.
pub fn target_url(port: &str, monitor: u32, is_failing: bool) -> String {
    let path = if is_failing { format!("{FAILING}{monitor}") } else { "/".into() };
    format!("http://127.0.0.{}:{port}{path}", 1 + monitor % u32::from(ADDRESSES))
}

/// Serves targets that are checked every `interval`.
pub fn serve_targets(interval: Duration) {
    // One thread does for twenty thousand requests a second, and costs less than two.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let listener = |address: u8, port: u16| {
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, address), port));
        runtime.block_on(TcpListener::bind(address)).expect("a port on loopback can be listened on")
    };
    let first = listener(1, 0);
    let port = first.local_addr().expect("a listener has an address").port();
    let others = (2..=ADDRESSES).map(|address| listener(address, port));
    for listener in std::iter::once(first).chain(others) {
        runtime.spawn(async move {
            loop {
                // A client that went away before it was accepted is no trouble.
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, interval));
                }
            }
        });
    }
    thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    serve_until_released(&port.to_string(), String::new);
}

/// Answers a connection's one request and closes it: the port that waits afterwards (`TIME_WAIT`) is the server's then.
async fn answer(mut stream: TcpStream, interval: Duration) -> io::Result<()> {
    let (mut request, mut length) = ([0; 2_048], 0);
    while !request[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut request[length..]).await? {
            0 => return Ok(()),
            read => length += read,
        }
    }
    let path = str::from_utf8(&request[..length]).ok().and_then(|request| request.split(' ').nth(1));
    let monitor = path.and_then(|path| path.strip_prefix(FAILING)?.parse().ok());
    let is_down = monitor.is_some_and(|monitor| is_down(monitor, interval, SystemTime::now()));
    stream.write_all(if is_down { DOWN } else { UP }).await
}

/// Whether a failing monitor's target is down. Neighbours change seven checks apart, so that incidents come evenly.
fn is_down(monitor: u64, interval: Duration, now: SystemTime) -> bool {
    let now = now.duration_since(UNIX_EPOCH).expect("it is after 1970").as_nanos();
    let check = now / interval.as_nanos().max(1) + 7 * u128::from(monitor);
    check / u128::from(ALIKE) % 2 == 1
}

/// Receives webhooks, and reports the [`Opening`]s among them.
pub fn serve_receiver() {
    let sink = WebhookSink::start();
    serve_until_released(&sink.origin(), || {
        let openings = sink.received().into_iter().filter_map(|received| {
            let event = received.json();
            let incident = event["incident"]["id"].as_i64().filter(|_| event["type"] == "down")?;
            let at = SystemTime::now() - received.at.elapsed();
            let at_us = at.duration_since(UNIX_EPOCH).expect("it is after 1970").as_micros();
            Some(format!("{incident} {at_us}\n"))
        });
        openings.collect()
    });
}

/// An incident's opening as the receiver heard of it.
pub struct Opening {
    pub incident: String,
    /// Microseconds since 1970.
    pub at_us: f64,
}

impl Opening {
    /// Reads the receiver's report.
    pub fn read_all(report: &str) -> Vec<Self> {
        let fields = report.lines().filter_map(|line| line.split_once(' '));
        let opening = |(incident, at_us): (&str, &str)| Self {
            incident: incident.into(),
            at_us: at_us.parse().expect("the receiver prints a number"),
        };
        fields.map(opening).collect()
    }
}
