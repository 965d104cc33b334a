//! The hosts of the database's URL, of which one takes writes: `postgres://user@a:5432,b:5433/name` or `?host=a,b`, as libpq
//! writes them. sqlx knows single hosts, so a URL is taken apart into one for each host; which of them the pool leads to is
//! looked for when it is opened, and again whenever the server behind it is lost or takes no writes any more.

use crate::{Result, StoreError};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use nix::unistd::{Uid, User};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;
use tokio::time::timeout;
use uptime_core::ErrorClass;

/// How long each host has to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What a server that we reach directly is told with the connection, and a pooler refuses or keeps to itself.
const DIRECT: [(&str, &str); 1] = [("uptime.direct", "yes")];

/// What can hold every text: PostgreSQL's own, and bytes that it does not look at.
const ENCODINGS: [&str; 2] = ["UTF8", "SQL_ASCII"];

/// More would be no cluster of one database.
const HOSTS_MOST: usize = 16;

/// The hosts, in the order in which they are preferred.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(Vec<Host>);

#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub options: PgConnectOptions,
    /// Whether a pooler stands before it.
    pub pooled: bool,
    takes_writes: bool,
}

#[derive(Clone, Debug)]
struct Host {
    name: String,
    options: PgConnectOptions,
}

impl FromStr for Hosts {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self> {
        let hosts = split(url)?.into_iter().map(|(name, url)| {
            // Poolers do not know the digits, and nothing of ours needs them.
            let options =
                PgConnectOptions::from_str(&url)?.application_name("uptime").extra_float_digits(None);
            Ok(Host { name, options })
        });
        Ok(Self(hosts.collect::<Result<_>>()?))
    }
}

impl Hosts {
    pub fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// The way to the first of them that answers and takes writes: one that is away holds up nobody. A single one is taken as
    /// it is: who only reads can do so from a standby.
    pub async fn find(&self) -> Result<Endpoint> {
        if let [host] = self.0.as_slice() {
            return host.ask().await;
        }
        let ask = async |nth: usize| (nth, self.0[nth].ask().await);
        let mut asked: FuturesUnordered<_> = (0..self.0.len()).map(ask).collect();
        let (mut why, mut refused) = (BTreeMap::new(), None);
        while let Some((nth, answer)) = asked.next().await {
            let name = &self.0[nth].name;
            let reason = match answer {
                Ok(endpoint) if endpoint.takes_writes => return Ok(endpoint),
                Ok(_) => format!("`{name}` is a standby, or read-only"),
                Err(error) => {
                    let reason = format!("`{name}`: {error}");
                    refused = refused.or(Some(error).filter(|error| error.class() != ErrorClass::Transient));
                    reason
                }
            };
            why.insert(nth, reason);
        }
        // A wrong password is not mended by waiting for another host.
        let why: Vec<String> = why.into_values().collect();
        Err(refused.unwrap_or_else(|| StoreError::NoPrimary(why.join("; "))))
    }
}

impl Host {
    async fn ask(&self) -> Result<Endpoint> {
        let no_answer = |_| StoreError::Unreachable(format!("no answer within {} s", ANSWER_MAX.as_secs()));
        timeout(ANSWER_MAX, reach(&self.options)).await.map_err(no_answer)?
    }
}

/// The way to a server. A pooler keeps what a client says of a session to itself, or refuses to hear it; a server that we
/// reach directly knows it afterwards.
async fn reach(options: &PgConnectOptions) -> Result<Endpoint> {
    let direct = options.clone().options(DIRECT);
    let mut connection = match PgConnection::connect_with(&direct).await {
        Ok(connection) => connection,
        Err(error) if refuses_options(&error) => PgConnection::connect_with(options).await?,
        Err(error) => return Err(error.into()),
    };
    let row = sqlx::raw_sql(
        "SELECT current_setting('uptime.direct', true), current_setting('server_encoding'), current_setting('transaction_read_only')",
    )
    .fetch_one(&mut connection)
    .await?;
    let (heard, encoding, read_only): (Option<String>, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    connection.close().await?;
    if !ENCODINGS.contains(&encoding.as_str()) {
        return Err(StoreError::Encoding(encoding));
    }
    let pooled = heard.is_none_or(|heard| heard != "yes");
    let options = if pooled { options.clone() } else { direct };
    Ok(Endpoint { options, pooled, takes_writes: read_only == "off" })
}

/// "Unsupported startup parameter" is a violation of the protocol to some poolers and a feature that is not there to others.
fn refuses_options(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("08P01" | "0A000"))
}

fn wrong(message: impl Into<String>) -> StoreError {
    StoreError::Url(message.into())
}

/// The hosts' names, and a URL for each alone.
fn split(url: &str) -> Result<Vec<(String, String)>> {
    let schemes = ["postgres://", "postgresql://"];
    let scheme = schemes.into_iter().find(|scheme| url.starts_with(scheme));
    let scheme = scheme.ok_or_else(|| wrong("it does not begin with `postgres://`"))?;
    let rest = url.split('#').next().unwrap_or_default();
    let (rest, query) = rest[scheme.len()..].split_once('?').unwrap_or((&rest[scheme.len()..], ""));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (user, listed) = authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
    let (mut hosts, mut ports) = (None, None);
    let mut others = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let list = || {
            let text = percent_decode_str(value).decode_utf8_lossy().into_owned();
            text.split(',').map(str::to_owned).collect::<Vec<_>>()
        };
        match key {
            "host" | "hostaddr" => hosts = Some(list()),
            "port" => ports = Some(list()),
            "target_session_attrs" => match value {
                "any" | "read-write" | "primary" => {}
                "read-only" | "standby" | "prefer-standby" => {
                    return Err(wrong(format!(
                        "`target_session_attrs={value}` asks for a server that takes no writes, and `uptime` writes"
                    )));
                }
                _ => return Err(wrong("`target_session_attrs` is `read-write`, `primary` or `any`")),
            },
            "load_balance_hosts" if value == "disable" => {}
            "load_balance_hosts" => {
                return Err(wrong(
                    "`load_balance_hosts` has no use: of several hosts one takes writes, and `uptime` writes",
                ));
            }
            _ => others.push(pair),
        }
    }
    let user = with_user(user, others.iter().any(|pair| pair.starts_with("user=")));
    // One host with a port of its own, or a name and the ports of the query.
    let of_authority = || listed.split(',').map(str::to_owned).collect::<Vec<_>>();
    let hosts = hosts.unwrap_or_else(of_authority);
    if hosts.len() > HOSTS_MOST {
        return Err(wrong(format!("it has {} hosts, and {HOSTS_MOST} are the most", hosts.len())));
    }
    if hosts.len() > 1 && hosts.iter().any(String::is_empty) {
        return Err(wrong("one of its hosts has no name"));
    }
    let ports = ports.unwrap_or_default();
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err(wrong(format!("it has {} hosts and {} ports", hosts.len(), ports.len())));
    }
    let of = |(number, host): (usize, String)| {
        let mut query = others.clone();
        let (in_query, port);
        // A socket's folder, and an address of IPv6 without brackets, are no part of an authority.
        let authority =
            if host.starts_with('/') || (host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_ok()) {
                in_query = format!("host={}", utf8_percent_encode(&host, NON_ALPHANUMERIC));
                query.push(&in_query);
                "localhost"
            } else {
                host.as_str()
            };
        if let Some(number) = ports.get(number).or(ports.first()).filter(|port| !port.is_empty()) {
            port = format!("port={number}");
            query.push(&port);
        }
        let query = query.join("&");
        let url =
            format!("{scheme}{user}{authority}{path}{}{query}", if query.is_empty() { "" } else { "?" });
        (host, url)
    };
    Ok(hosts.into_iter().enumerate().map(of).collect())
}

/// The part of a URL before its hosts. Who names no user means the one of the operating system, whom sqlx does not ask for.
fn with_user(part: &str, is_in_query: bool) -> String {
    let is_named = !part.is_empty() && !part.starts_with([':', '@']) || is_in_query;
    if is_named || std::env::var_os("PGUSER").is_some() {
        return part.to_owned();
    }
    let Ok(Some(user)) = User::from_uid(Uid::effective()) else { return part.to_owned() };
    let name = utf8_percent_encode(&user.name, NON_ALPHANUMERIC);
    format!("{name}{}", if part.is_empty() { "@" } else { part })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(url: &str) -> Vec<(String, u16)> {
        let hosts: Hosts = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        let of = |host: Host| {
            let socket = host.options.get_socket().map(|path| path.display().to_string());
            (socket.unwrap_or_else(|| host.options.get_host().to_owned()), host.options.get_port())
        };
        hosts.0.into_iter().map(of).collect()
    }

    #[test]
    fn who_names_no_user_is_the_one_of_the_operating_system() {
        let own = User::from_uid(Uid::effective()).ok().flatten().expect("a user").name;
        let own = std::env::var("PGUSER").unwrap_or(own);
        for (url, user) in [
            ("postgres://h/d", own.as_str()),
            ("postgres://:p@h/d", &own),
            ("postgres:///d?host=/run/x,/run/y", &own),
            ("postgres://u@h/d", "u"),
            ("postgres://h/d?user=u", "u"),
        ] {
            let Hosts(hosts) = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
            assert!(hosts.iter().all(|host| host.options.get_username() == user), "{url}: {hosts:?}");
        }
    }

    #[test]
    fn each_host_has_a_way_of_its_own() {
        let several = [("a".to_owned(), 5_432), ("b".to_owned(), 5_433)];
        for url in [
            "postgres://u:p@a:5432,b:5433/name",
            "postgresql://u@/name?host=a,b&port=5432,5433",
            "postgres://u@a,b:5433/name?target_session_attrs=read-write",
            "postgres://u@x/name?host=a%2Cb&port=5432%2C5433&sslmode=disable",
        ] {
            assert_eq!(hosts(url), several, "{url}");
        }
        assert_eq!(hosts("postgres://u@a,b/name?port=6000"), [("a".into(), 6_000), ("b".into(), 6_000)]);
        assert_eq!(hosts("postgres://u@[::1]:6000/name"), [("[::1]".into(), 6_000)]);
        assert_eq!(hosts("postgres://u@x/n?hostaddr=::1,127.0.0.1").len(), 2);
        assert_eq!(hosts("postgres://u@/n?host=/run/a,/run/b")[1].0, "/run/b");
        assert_eq!(hosts("postgres://u%2Cv:p%40,w@a/n?application_name=x").len(), 1);
        assert_eq!(hosts("postgres://u@%2Frun%2Fa/n")[0].0, "/run/a");
    }

    #[test]
    fn what_there_is_not_is_refused_by_name() {
        for (url, words) in [
            ("mysql://a/b", "`postgres://`"),
            ("postgres://a,/b", "has no name"),
            ("postgres://a,b/c?port=1,2,3", "2 hosts and 3 ports"),
            ("postgres://a,b/c?target_session_attrs=standby", "`target_session_attrs=standby`"),
            ("postgres://a,b/c?target_session_attrs=secret", "`target_session_attrs`"),
            ("postgres://a,b/c?load_balance_hosts=random", "`load_balance_hosts`"),
        ] {
            let refused = url.parse::<Hosts>().expect_err(url).to_string();
            assert!(refused.contains(words) && !refused.contains("secret"), "{url}: {refused}");
        }
    }
}
