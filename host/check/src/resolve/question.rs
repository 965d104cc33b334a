//! One question to one name server: over UDP, again when nothing comes, and over TCP when the answer was cut.
//!
//! Nothing here ends by itself when the server is silent: whoever asks bounds it. An answer counts only when it comes
//! from the server's own address (the socket is connected), bears the question's random identifier and repeats the
//! question; whatever else comes is passed over, or is the server's fault, but never a verdict about the target.

use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long the first datagram's answer is waited for before it is sent again; twice as long after each.
const RESEND_AFTER: Duration = Duration::from_secs(1);

/// The longest wait before it is sent again.
const RESEND_AFTER_MAX: Duration = Duration::from_secs(4);

/// Without EDNS no answer over UDP is larger than 512 bytes. Some servers do not know that.
const DATAGRAM_MAX_BYTES: usize = 4096;

/// The bit of a header's third byte that says: there is more than this.
const TRUNCATED: u8 = 2;

#[derive(Debug)]
pub(crate) enum QueryError {
    Io(io::Error),
    /// The answer is too long for UDP, and over TCP there is none.
    Tcp(io::Error),
    /// What came is not DNS, or not the answer to this question.
    Garbage(&'static str),
}

/// What is asked: for the `kind` of records of `name`.
#[derive(Clone, Copy)]
pub(crate) struct Question<'n> {
    pub(crate) name: &'n Name,
    pub(crate) kind: RecordType,
    /// Whether the server may ask others.
    pub(crate) recursive: bool,
    /// Whether it shall say if it has validated the answer (RFC 6840, 5.7).
    pub(crate) validated: bool,
}

impl<'n> Question<'n> {
    /// A question that a resolver answers.
    pub(crate) fn new(name: &'n Name, kind: RecordType) -> Self {
        Self { name, kind, recursive: true, validated: false }
    }
}

/// What came, and whether UDP was too small for it.
pub(crate) struct DnsAnswer {
    pub(crate) message: Message,
    pub(crate) over_tcp: bool,
}

pub(crate) async fn ask(server: SocketAddr, question: Question<'_>) -> Result<DnsAnswer, QueryError> {
    let query = Query::query(question.name.clone(), question.kind);
    let mut message = Message::query();
    message.add_query(query.clone());
    message.metadata.recursion_desired = question.recursive;
    message.metadata.authentic_data = question.validated;
    let id = message.metadata.id;
    // Only a name that is too long can't be written, and such a name can't be made.
    let bytes = message.to_vec().map_err(|_| QueryError::Garbage("the question can't be written"))?;
    let answer = over_udp(server, &bytes, id, &query).await?;
    match answer {
        Some(message) => Ok(DnsAnswer { message, over_tcp: false }),
        None => Ok(DnsAnswer { message: over_tcp(server, &bytes, id, &query).await?, over_tcp: true }),
    }
}

/// `None`: the answer was cut, and is to be had over TCP.
async fn over_udp(
    server: SocketAddr,
    bytes: &[u8],
    id: u16,
    query: &Query,
) -> Result<Option<Message>, QueryError> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await.map_err(QueryError::Io)?;
    socket.connect(server).await.map_err(QueryError::Io)?;
    let mut buffer = vec![0; DATAGRAM_MAX_BYTES];
    let mut resend_after = RESEND_AFTER;
    loop {
        socket.send(bytes).await.map_err(QueryError::Io)?;
        let answer = async {
            loop {
                let length = socket.recv(&mut buffer).await.map_err(QueryError::Io)?;
                let datagram = &buffer[..length];
                if !bears(datagram, id) {
                    continue;
                }
                if datagram.get(2).is_some_and(|flags| flags & TRUNCATED != 0) {
                    return Ok(None);
                }
                return read(datagram, query).map(Some);
            }
        };
        if let Ok(answer) = timeout(resend_after, answer).await {
            return answer;
        }
        resend_after = (resend_after * 2).min(RESEND_AFTER_MAX);
    }
}

async fn over_tcp(server: SocketAddr, bytes: &[u8], id: u16, query: &Query) -> Result<Message, QueryError> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        // As everywhere here: no port is left in `TIME_WAIT`.
        stream.set_zero_linger()?;
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
        let mut answer = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    let answer = exchange.await.map_err(QueryError::Tcp)?;
    if !bears(&answer, id) {
        return Err(QueryError::Garbage("answered another question"));
    }
    read(&answer, query)
}

fn bears(message: &[u8], id: u16) -> bool {
    message.first_chunk::<2>() == Some(&id.to_be_bytes())
}

fn read(bytes: &[u8], query: &Query) -> Result<Message, QueryError> {
    let message = Message::from_vec(bytes).map_err(|_| QueryError::Garbage("answered what is not DNS"))?;
    // A server that refuses need not repeat the question.
    let refused = message.queries.is_empty() && message.metadata.response_code != ResponseCode::NoError;
    if message.metadata.message_type != MessageType::Response
        || !(refused || message.queries == std::slice::from_ref(query))
    {
        return Err(QueryError::Garbage("answered another question"));
    }
    Ok(message)
}
