//! Records of any type as resolvers have them, and the name servers of a zone. Here a resolver is a means: its own
//! trouble is ours.

use super::question::{DnsAnswer, Question, ask};
use super::server::DnsError;
use super::{HostLookup, dns_error, shown};
use crate::trace::{Deadline, Trace};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType};
use std::net::SocketAddr;
use tokio::time::timeout;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::IpFamily;

/// How many name servers of a zone are asked.
const ZONE_SERVERS_MAX: usize = 16;

impl HostLookup<'_> {
    /// What the monitor's resolver answers, or the first of this machine's name servers that has an answer, and which one
    /// that is. A code other than "here it is" and "there is none" counts when the server knows the root's name servers:
    /// then the trouble lies behind it.
    pub(crate) async fn ask(
        &self,
        question: Question<'_>,
        deadline: Deadline,
    ) -> Result<(SocketAddr, DnsAnswer), Failure> {
        let servers = match self.lookup.resolver {
            Some(server) => vec![server],
            None => self.resolver.name_servers().await.map(|(_, servers)| servers).unwrap_or_default(),
        };
        let host = text(question.name);
        let ours =
            |words: &str| Failure::new(FailureClass::Resolver, format!("looking up `{host}`: {words}"));
        let mut said = Err(ours("this machine has no name servers (see /etc/resolv.conf)"));
        let mut silent = None;
        for (server, shares) in servers.iter().zip((2..servers.len() + 2).rev()) {
            // The other shares are for the servers after it, and for the question whether this one works.
            let wait = deadline.left() / u32::try_from(shares).unwrap_or(u32::MAX);
            let next = match timeout(wait, ask(*server, question)).await {
                Ok(Ok(answer)) => match answer.message.metadata.response_code {
                    ResponseCode::NoError | ResponseCode::NXDomain => return Ok((*server, answer)),
                    _ if self.resolver.works(*server, wait).await => Ok((*server, answer)),
                    code => Err(dns_error::failure(&host, *server, &DnsError::Code(code), false)),
                },
                Ok(Err(why)) => Err(dns_error::failure(&host, *server, &DnsError::QueryError(why), false)),
                Err(_) => {
                    silent = Some(*server);
                    Err(ours(&format!("{} gave no answer", shown(*server))))
                }
            };
            if said.as_ref().is_err_and(|failure| failure.class.is_ours()) {
                said = next;
            }
        }
        if let (Err(failure), Some(server)) = (&said, silent)
            && failure.class.is_ours()
            && self.resolver.works(server, deadline.left() / 2).await
        {
            said = Err(dns_error::zone_is_silent(&host));
        }
        said
    }

    /// The addresses of the name servers of the zone that has `name`: of each server the first one, or with `ip = "all"`
    /// all of them.
    pub(crate) async fn zone_servers(
        &self,
        name: &Name,
        trace: &mut Trace,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let began = trace.enter({
            let host = text(name);
            move |waited, phases, limit| {
                phases.dns = Some(waited);
                let message = format!("looking up the name servers of `{host}`: no answer within {limit}");
                Failure::new(FailureClass::Resolver, message)
            }
        });
        let mut found: Vec<SocketAddr> = Vec::new();
        for server in self.servers_of_zone(name, trace.deadline).await? {
            let addresses = self.resolve(&text(&server), self.resolver.server_port, trace).await?;
            let wanted = if self.lookup.ip == IpFamily::All { addresses.len() } else { 1 };
            for address in addresses.into_iter().take(wanted) {
                if !found.contains(&address) {
                    found.push(address);
                }
            }
        }
        trace.hop.phases.dns = Some(began.elapsed());
        Ok(found)
    }

    async fn servers_of_zone(&self, name: &Name, deadline: Deadline) -> Result<Vec<Name>, Failure> {
        let mut zone = name.clone();
        loop {
            let (_, DnsAnswer { message, .. }) =
                self.ask(Question::new(&zone, RecordType::NS), deadline).await?;
            let code = message.metadata.response_code;
            if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
                return Err(dns_error::zone_fails(&text(name), code));
            }
            let of_zone = message.answers.iter().filter(|record| record.name == zone);
            let servers = of_zone.filter_map(|record| match &record.data {
                RData::NS(server) => Some(server.0.clone()),
                _ => None,
            });
            let servers: Vec<Name> = servers.take(ZONE_SERVERS_MAX).collect();
            if !servers.is_empty() {
                return Ok(servers);
            }
            if zone.is_root() {
                let message = format!("looking up the name servers of `{}`: there are none", text(name));
                return Err(Failure::new(FailureClass::Dns, message));
            }
            // Whoever says that there is none names the zone that says it (RFC 2308, 3).
            let is_apex = |name: &Name| *name != zone && name.zone_of(&zone);
            let apex = message
                .authorities
                .iter()
                .find(|record| record.record_type() == RecordType::SOA && is_apex(&record.name));
            zone = apex.map_or_else(|| zone.base_name(), |record| record.name.clone());
        }
    }
}

/// A name for people, and to be compared: in lower case, without the dot at its end, other bytes as RFC 1035 (5.1)
/// writes them.
pub(crate) fn text(name: &Name) -> String {
    if name.is_root() {
        return ".".into();
    }
    let byte = |byte: &u8| match byte {
        b'.' | b'\\' => format!("\\{}", char::from(*byte)),
        0x21..=0x7e => char::from(byte.to_ascii_lowercase()).to_string(),
        _ => format!("\\{byte:03}"),
    };
    let labels: Vec<String> = name.iter().map(|label| label.iter().map(byte).collect()).collect();
    labels.join(".")
}
