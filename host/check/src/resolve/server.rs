//! The addresses that one name server gives for a name, A and AAAA at once, along its CNAMEs.

use super::question::{DnsAnswer, QueryError, Question, ask};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::timeout;
use uptime_core::monitor::IpFamily;

/// How many names one name may lead over.
const NAMES_MAX: usize = 16;

/// How long the other version of IP is waited for when one has its addresses. Some servers never say that a name has
/// no IPv6 address.
const OTHER_VERSION_WAIT: Duration = Duration::from_millis(500);

/// Why a server gives no addresses for a name.
#[derive(Debug)]
pub(crate) enum DnsError {
    NotAName,
    NoSuchName,
    /// The names lead back to one that was there before.
    Circle,
    /// They lead over more than [`NAMES_MAX`].
    TooLong,
    /// Another code than "here it is" and "there is none".
    Code(ResponseCode),
    /// There is no answer that could be read.
    QueryError(QueryError),
}

/// Those of its addresses of the wanted versions that `host` has; none is an answer as well.
pub(super) async fn addresses(
    server: SocketAddr,
    host: &str,
    family: IpFamily,
    v6_first: bool,
) -> Result<Vec<IpAddr>, DnsError> {
    let name = name(host)?;
    let a = of_kind(server, &name, RecordType::A);
    let aaaa = of_kind(server, &name, RecordType::AAAA);
    match family {
        IpFamily::V4 => a.await,
        IpFamily::V6 => aaaa.await,
        IpFamily::All => {
            let (a, aaaa) = tokio::join!(a, aaaa);
            both(a, aaaa, false, v6_first)
        }
        IpFamily::Any => {
            tokio::pin!(a, aaaa);
            let (a, aaaa) = tokio::select! {
                a = &mut a => {
                    let aaaa = other(&a, aaaa).await;
                    (a, aaaa)
                }
                aaaa = &mut aaaa => {
                    let a = other(&aaaa, a).await;
                    (a, aaaa)
                }
            };
            both(a, aaaa, true, v6_first)
        }
    }
}

type AddressResult = Result<Vec<IpAddr>, DnsError>;

/// What the other version has: waited for only a little when `one` has something.
async fn other(one: &AddressResult, other: impl Future<Output = AddressResult>) -> AddressResult {
    if one.as_ref().is_ok_and(|addresses| !addresses.is_empty()) {
        return timeout(OTHER_VERSION_WAIT, other).await.unwrap_or_else(|_| Ok(Vec::new()));
    }
    other.await
}

/// Both versions, or the one that has something: when that is enough, and when the server denies the name for the other
/// version alone, which is an old fault (RFC 4074, 4.2): it has no such address.
fn both(a: AddressResult, aaaa: AddressResult, one_is_enough: bool, v6_first: bool) -> AddressResult {
    match (a, aaaa) {
        (Ok(a), Ok(aaaa)) => Ok(if v6_first { [aaaa, a].concat() } else { [a, aaaa].concat() }),
        (Ok(found), Err(dns_error)) | (Err(dns_error), Ok(found))
            if !found.is_empty() && (one_is_enough || matches!(dns_error, DnsError::NoSuchName)) =>
        {
            Ok(found)
        }
        (Err(dns_error), _) | (_, Err(dns_error)) => Err(dns_error),
    }
}

/// The labels of `host` as they stand: any bytes (RFC 2181, 11), of which what a host's name should look like is no part.
pub(crate) fn name(host: &str) -> Result<Name, DnsError> {
    if host == "." {
        return Ok(Name::root());
    }
    let labels = host.strip_suffix('.').unwrap_or(host).split('.').map(str::as_bytes);
    // A name with a NUL can't be asked of this machine's resolver, so none can.
    if host.contains('\0') {
        return Err(DnsError::NotAName);
    }
    Name::from_labels(labels).map_err(|_| DnsError::NotAName)
}

/// The addresses of one version, asking on where the answer leads to a name and stops there.
async fn of_kind(server: SocketAddr, name: &Name, kind: RecordType) -> AddressResult {
    let mut names = vec![name.clone()];
    while let Some(name) = names.last().cloned() {
        let answer = ask(server, Question::new(&name, kind)).await.map_err(DnsError::QueryError)?.message;
        match answer.metadata.response_code {
            ResponseCode::NoError => {}
            ResponseCode::NXDomain => return Err(DnsError::NoSuchName),
            code => return Err(DnsError::Code(code)),
        }
        let known = names.len();
        let records = follow_names(&answer, &mut names, kind)?;
        let found: Vec<IpAddr> = records.iter().filter_map(|record| address(record)).collect();
        if !found.is_empty() || names.len() == known {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn address(record: &Record) -> Option<IpAddr> {
    match record.data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}

/// The records of the last of `names` in `answer`, or of the name that its CNAMEs lead to, which is then the last.
pub(crate) fn follow_names<'a>(
    answer: &'a Message,
    names: &mut Vec<Name>,
    kind: RecordType,
) -> Result<Vec<&'a Record>, DnsError> {
    loop {
        let Some(name) = names.last() else { return Ok(Vec::new()) };
        let of_name = || answer.answers.iter().filter(|record| record.name == *name);
        let found: Vec<&Record> = of_name().filter(|record| record.record_type() == kind).collect();
        let next = of_name().find_map(|record| match &record.data {
            RData::CNAME(of) => Some(of.0.clone()),
            _ => None,
        });
        match next {
            Some(next) if found.is_empty() => {
                if names.contains(&next) {
                    return Err(DnsError::Circle);
                }
                if names.len() == NAMES_MAX {
                    return Err(DnsError::TooLong);
                }
                names.push(next);
            }
            _ => return Ok(found),
        }
    }
}

/// Whether `server` knows the root's name servers: then it works, and has a way to the world's.
pub(super) async fn knows_the_root(server: SocketAddr) -> bool {
    let answer = ask(server, Question::new(&Name::root(), RecordType::NS)).await;
    answer.is_ok_and(|DnsAnswer { message, .. }| {
        message.metadata.response_code == ResponseCode::NoError && !message.answers.is_empty()
    })
}

/// The name of a code, as name servers' own logs have it.
pub(crate) fn mnemonic(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".into(),
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::NotAuth => "NOTAUTH".into(),
        other => format!("code {}", u16::from(other)),
    }
}
