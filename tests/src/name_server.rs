//! A name server that says what a test wants, over UDP and TCP on the same port.
//!
//! It writes its messages itself, byte by byte (RFC 1035), so that what reads them is tried against another hand.

use crate::reply::lock;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsQuestion {
    /// In lower case, without a dot at the end; the root is `.`.
    pub name: String,
    pub kind: RecordKind,
    pub over_tcp: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    A,
    Aaaa,
    Ns,
    /// Another one, by its number.
    Other(u16),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsRecord {
    /// The name has this address, of either version.
    Address(String, IpAddr),
    Cname(String, String),
    /// The zone is served by that name.
    Ns(String, String),
    /// Any other, with its type's number.
    Data {
        name: String,
        kind: u16,
        ttl_s: u32,
        data: Vec<u8>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsReply {
    /// These records; none of them: the name is there, and what is asked for is not.
    Records(Vec<DnsRecord>),
    /// These records, from the server's own data (flag AA).
    Authoritative(Vec<DnsRecord>),
    /// These records, which the server has validated (flag AD).
    Validated(Vec<DnsRecord>),
    /// No records, and the zone that says so.
    NoneIn(String),
    /// No records, and this code: 2 is SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    Code(u8),
    Silence,
    /// Over UDP nothing, and that there is more; over TCP these records.
    OverTcpAlone(Vec<DnsRecord>),
    /// These records, with the identifier of another question.
    WrongId(Vec<DnsRecord>),
    /// These records, as if another name had been asked.
    WrongQuestion(Vec<DnsRecord>),
    /// The question's identifier, and then these bytes.
    Garbage(Vec<u8>),
}

impl DnsReply {
    /// The address of `question`'s name, when `address` is of the wanted version; else no record.
    pub fn address(question: &DnsQuestion, address: IpAddr) -> Self {
        let wanted = match question.kind {
            RecordKind::A => address.is_ipv4(),
            RecordKind::Aaaa => address.is_ipv6(),
            RecordKind::Ns | RecordKind::Other(_) => false,
        };
        let record = DnsRecord::Address(question.name.clone(), address);
        Self::Records(if wanted { vec![record] } else { Vec::new() })
    }

    /// The root's name servers, as every resolver that works knows them.
    pub fn root() -> Self {
        Self::Records(vec![DnsRecord::Ns(".".into(), "a.root-servers.net".into())])
    }
}

type Script = dyn Fn(&DnsQuestion) -> DnsReply + Send + Sync;

/// A name server on loopback, for as long as the value lives.
pub struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<DnsQuestion>>>,
    _tasks: JoinSet<()>,
}

impl NameServer {
    /// A server on 127.0.0.1 that says to each question what `script` says.
    pub fn start(script: impl Fn(&DnsQuestion) -> DnsReply + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0), script)
    }

    /// The same on another address of this machine; the port 0 is a free one.
    pub fn start_at(
        address: SocketAddr,
        script: impl Fn(&DnsQuestion) -> DnsReply + Send + Sync + 'static,
    ) -> Self {
        let _context = crate::runtime().enter();
        let (udp, tcp) = bound(address);
        let address = udp.local_addr().expect("a bound socket has an address");
        let asked: Arc<Mutex<Vec<DnsQuestion>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let script: Arc<Script> = Arc::new(move |question| {
            lock(&seen).push(question.clone());
            script(question)
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&script)));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = tcp.accept().await {
                connections.spawn(serve_tcp(stream, Arc::clone(&script)));
            }
        });
        Self { address, asked, _tasks: tasks }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<DnsQuestion> {
        lock(&self.asked).clone()
    }
}

/// Both sockets on one port.
fn bound(address: SocketAddr) -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let udp = std::net::UdpSocket::bind(address)
            .unwrap_or_else(|error| panic!("`{address}` can't be bound: {error}"));
        let chosen = udp.local_addr().expect("a bound socket has an address");
        // The same port may be taken for TCP.
        let Ok(tcp) = std::net::TcpListener::bind(chosen) else { continue };
        udp.set_nonblocking(true)
            .and_then(|()| tcp.set_nonblocking(true))
            .expect("a socket takes the option");
        let udp = UdpSocket::from_std(udp).expect("a runtime is there");
        return (udp, TcpListener::from_std(tcp).expect("a runtime is there"));
    }
    panic!("no port of {} is free for both UDP and TCP", address.ip());
}

async fn serve_udp(socket: UdpSocket, script: Arc<Script>) {
    let mut buffer = [0; 4_096];
    loop {
        // An error is that of an answer that nobody took.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(answer) = answer(&buffer[..length], false, &script) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn serve_tcp(mut stream: TcpStream, script: Arc<Script>) {
    while let Ok(length) = stream.read_u16().await {
        let mut message = vec![0; length.into()];
        if stream.read_exact(&mut message).await.is_err() {
            return;
        }
        if let Some(answer) = answer(&message, true, &script) {
            let mut framed =
                u16::try_from(answer.len()).expect("a test's answer is short").to_be_bytes().to_vec();
            framed.extend(answer);
            if stream.write_all(&framed).await.is_err() {
                return;
            }
        }
    }
}

/// The bytes that answer `message`; `None` for silence, and for what is no question.
fn answer(message: &[u8], over_tcp: bool, script: &Arc<Script>) -> Option<Vec<u8>> {
    const AUTHORITATIVE: u16 = 0x400;
    const TRUNCATED: u16 = 0x200;
    const VALIDATED: u16 = 0x20;
    let id = *message.first_chunk::<2>()?;
    let (question, bytes) = question(message, over_tcp)?;
    let answer = |id: [u8; 2], bytes: &[u8], flags: u16, records: &[DnsRecord]| {
        let count = u8::try_from(records.len()).expect("a test's answer is short");
        // An answer, recursion wanted and available; one question.
        let [high, low] = (0x8180 | flags).to_be_bytes();
        let mut answer = vec![id[0], id[1], high, low, 0, 1, 0, count, 0, 0, 0, 0];
        answer.extend_from_slice(bytes);
        for record in records {
            write_record(record, &mut answer);
        }
        Some(answer)
    };
    match script(&question) {
        DnsReply::Records(records) => answer(id, bytes, 0, &records),
        DnsReply::Authoritative(records) => answer(id, bytes, AUTHORITATIVE, &records),
        DnsReply::Validated(records) => answer(id, bytes, VALIDATED, &records),
        DnsReply::NoneIn(zone) => {
            let data = [dns_name("ns.example"), dns_name("root.example"), vec![0; 20]].concat();
            let soa = DnsRecord::Data { name: zone, kind: 6, ttl_s: 60, data };
            let mut answer = answer(id, bytes, 0, &[soa])?;
            // It stands in the authority section.
            answer.swap(7, 9);
            Some(answer)
        }
        DnsReply::OverTcpAlone(records) if over_tcp => answer(id, bytes, 0, &records),
        DnsReply::OverTcpAlone(_) => answer(id, bytes, TRUNCATED, &[]),
        DnsReply::Code(code) => answer(id, bytes, code.into(), &[]),
        DnsReply::WrongId(records) => answer([id[0], id[1] ^ 1], bytes, 0, &records),
        DnsReply::WrongQuestion(records) => {
            let other = [&dns_name("another.example"), &bytes[bytes.len() - 4..]].concat();
            answer(id, &other, 0, &records)
        }
        DnsReply::Garbage(garbage) => Some([&id, garbage.as_slice()].concat()),
        DnsReply::Silence => None,
    }
}

/// The question of a message, and its bytes.
fn question(message: &[u8], over_tcp: bool) -> Option<(DnsQuestion, &[u8])> {
    const HEADER_BYTES: usize = 12;
    let mut at = HEADER_BYTES;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        let label = message.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
    }
    let kind = match u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?) {
        1 => RecordKind::A,
        2 => RecordKind::Ns,
        28 => RecordKind::Aaaa,
        other => RecordKind::Other(other),
    };
    let name = if labels.is_empty() { ".".into() } else { labels.join(".") };
    Some((DnsQuestion { name, kind, over_tcp }, message.get(HEADER_BYTES..at + 4)?))
}

fn write_record(record: &DnsRecord, message: &mut Vec<u8>) {
    let (name, kind, ttl_s, value) = match record {
        DnsRecord::Address(name, IpAddr::V4(address)) => (name, 1, 60, address.octets().to_vec()),
        DnsRecord::Address(name, IpAddr::V6(address)) => (name, 28, 60, Ipv6Addr::octets(address).to_vec()),
        DnsRecord::Cname(name, of) => (name, 5, 60, dns_name(of)),
        DnsRecord::Ns(name, of) => (name, 2, 60, dns_name(of)),
        DnsRecord::Data { name, kind, ttl_s, data } => (name, *kind, *ttl_s, data.clone()),
    };
    let length = u16::try_from(value.len()).expect("a test's record is short");
    message.extend(dns_name(name));
    message.extend(kind.to_be_bytes());
    // The class of the Internet.
    message.extend([0, 1]);
    message.extend(ttl_s.to_be_bytes());
    message.extend(length.to_be_bytes());
    message.extend(value);
}

/// A name as messages have it.
pub fn dns_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).expect("a label is short"));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
