//! `uptime check`: what to check, how, and what is expected, in the words that users of curl and of the monitoring
//! plugins know. Which flags are for which targets is said in `commands/check/flags.rs`. A value that may be a secret has
//! no parser here, whose errors would quote it: `commands/check/values.rs` looks at those.

use super::duration;
use clap::Args as ClapArgs;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use uptime_core::expectation::{HeaderCondition, JsonCondition, Pattern};
use uptime_core::monitor::{
    CertificateDays, HttpVersion, HttpVersions, IpFamily, StartTls, StatusRule, TlsVersion,
};
use uptime_core::{size, target};
use url::Url;

#[derive(Debug, ClapArgs)]
#[command(after_help = "Conditions are `PATH OPERATOR VALUE` and `NAME OPERATOR VALUE`, such as \
    `--expect-json \"$.status == 'ok'\"` or `--expect-header \"Content-Type contains 'json'\"`; operators: exists, \
    absent, ==, !=, <, <=, >, >=, contains, =~.\n\nWhat is written on a command line, others of this machine can see: \
    keep secrets in variables (--header-env, --bearer-env, …).")]
pub struct CheckArgs {
    /// `https://…`, `tcp://host:port`, `ping://host`, or the name of a monitor of the file
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Time limit for each check [default: 10s, or the monitor's own]
    #[arg(long, value_name = "D", value_parser = timeout)]
    pub timeout: Option<Duration>,
    /// Number of checks, one line each, with a summary
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Interval between checks; without `--count` until Ctrl-C [default: 1s]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub interval: Option<Duration>,
    /// Behave as a Nagios plugin: one line with performance data, exit code 0, 1 (degraded), 2 (down) or 3
    #[arg(long, conflicts_with_all = ["count", "interval", "format", "json"])]
    pub nagios: bool,
    #[command(flatten)]
    pub expect: ExpectArgs,
    #[command(flatten)]
    pub http: HttpArgs,
    #[command(flatten)]
    pub tls: TlsArgs,
    #[command(flatten)]
    pub tcp: TcpArgs,
    #[command(flatten)]
    pub ping: PingArgs,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "For all targets")]
pub struct ExpectArgs {
    /// Down unless the latency is below this; for ping the mean round trip
    #[arg(long, value_name = "D", value_parser = some_time)]
    pub expect_latency: Option<Duration>,
    /// Degraded when the latency is above this
    #[arg(long, value_name = "D", value_parser = duration)]
    pub warn_latency: Option<Duration>,
    /// Addresses to use: any, 4, 6, or all (each must be up)
    #[arg(long, value_name = "FAMILY", value_parser = one_of(IpFamily::ALL))]
    pub ip: Option<IpFamily>,
    /// Recursive name server to ask
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = name_server)]
    pub resolver: Option<SocketAddr>,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "For http")]
pub struct HttpArgs {
    /// Accepted status codes, such as `2xx,304` [default: 2xx]
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',')]
    pub expect_status: Vec<StatusRule>,
    /// Text that the body must contain
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub expect_body: Vec<String>,
    /// Text that the body must not contain
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub expect_no_body: Vec<String>,
    /// Regular expression that the body must match
    #[arg(long, value_name = "REGEX")]
    pub expect_match: Vec<Pattern>,
    /// Condition on the JSON body
    #[arg(long, value_name = "CONDITION")]
    pub expect_json: Vec<JsonCondition>,
    /// Condition on a header
    #[arg(long, value_name = "CONDITION")]
    pub expect_header: Vec<HeaderCondition>,
    /// Down unless the body is smaller than this, such as `64KiB`
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub expect_size: Option<u64>,
    /// URL that redirects must end at
    #[arg(long, value_name = "URL", value_parser = web)]
    pub expect_final_url: Option<Url>,
    /// HTTP versions that are accepted
    #[arg(long, value_name = "V,…", value_delimiter = ',', value_parser = one_of(HttpVersion::ALL))]
    pub expect_http_version: Vec<HttpVersion>,
    /// Request method [default: GET, with `--data` POST]
    #[arg(long, short = 'X', value_name = "METHOD", value_parser = method)]
    pub method: Option<String>,
    /// Header of the request
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// Request header whose value is in an environment variable
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub header_env: Vec<String>,
    /// Body of the request
    #[arg(long, short = 'd', value_name = "TEXT")]
    pub data: Option<String>,
    /// User name, with `--password-env`
    #[arg(long, value_name = "NAME", requires = "password_env")]
    pub user: Option<String>,
    /// Variable with the user's password
    #[arg(long, value_name = "VARIABLE", requires = "user", conflicts_with = "bearer_env")]
    pub password_env: Option<String>,
    /// Variable with the bearer token
    #[arg(long, value_name = "VARIABLE")]
    pub bearer_env: Option<String>,
    /// Maximum number of redirects to follow [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=20))]
    pub redirects: Option<u8>,
    /// Allow redirects from https to http
    #[arg(long)]
    pub downgrade: bool,
    /// Allow redirects from a public address to a private, link-local or loopback one
    #[arg(long)]
    pub redirect_to_private: bool,
    /// HTTP version to use [default: auto]
    #[arg(long, value_name = "V", value_parser = one_of(HttpVersions::ALL))]
    pub http_version: Option<HttpVersions>,
    /// Request a compressed response
    #[arg(long)]
    pub compression: bool,
    /// Proxy, `http://host:port` or `socks5://host:port`
    #[arg(long, value_name = "URL", conflicts_with = "proxy_env")]
    pub proxy: Option<String>,
    /// Variable with the proxy's URL
    #[arg(long, value_name = "VARIABLE")]
    pub proxy_env: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "For https, and tcp with --tls or --starttls")]
pub struct TlsArgs {
    /// Degraded when the certificate expires within DAYS, down within the second number; 0 disables [default: 14]
    #[arg(long, value_name = "DAYS[,DAYS]", value_parser = certificate_days)]
    pub certificate_days: Option<CertificateDays>,
    /// Lowest TLS version that is accepted
    #[arg(long, value_name = "V", value_parser = one_of(TlsVersion::ALL))]
    pub expect_tls_version: Option<TlsVersion>,
    /// Accept a certificate that is not trusted
    #[arg(long, short = 'k')]
    pub no_verify: bool,
    /// PEM file with trusted certificate authorities [default: this machine's]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// PEM file with the client certificate
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub client_certificate: Option<PathBuf>,
    /// PEM file with the client certificate's key
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    pub client_key: Option<PathBuf>,
    /// Name for SNI that the certificate must match [default: the host's]
    #[arg(long, value_name = "NAME", value_parser = host)]
    pub server_name: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "For tcp")]
pub struct TcpArgs {
    /// Use TLS from the start
    #[arg(long)]
    pub tls: bool,
    /// Upgrade to TLS with this protocol's STARTTLS
    #[arg(long, value_name = "PROTOCOL", value_parser = one_of(StartTls::ALL))]
    pub starttls: Option<StartTls>,
    /// Text to expect before anything is sent
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub expect_banner: Option<String>,
    /// Bytes to send; `\r`, `\n`, `\t`, `\\` and `\x00` are escapes as in C
    #[arg(long, value_name = "TEXT", value_parser = escaped, conflicts_with = "send_env")]
    pub send: Option<Box<[u8]>>,
    /// Variable with the bytes to send
    #[arg(long, value_name = "VARIABLE")]
    pub send_env: Option<String>,
    /// Text to expect in the response
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub expect_text: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "For ping")]
pub struct PingArgs {
    /// Number of echo requests [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=20))]
    pub pings: Option<u8>,
    /// Interval between echo requests [default: 200ms]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub spacing: Option<Duration>,
    /// Payload size in bytes [default: 56]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(24..=1472))]
    pub size: Option<u16>,
    /// Down at this packet loss in percent [default: 100]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub expect_loss: Option<u8>,
    /// Degraded at this packet loss in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub warn_loss: Option<u8>,
    /// Down unless the shortest round trip is below this
    #[arg(long, value_name = "D", value_parser = some_time)]
    pub expect_min: Option<Duration>,
    /// Down unless the longest round trip is below this
    #[arg(long, value_name = "D", value_parser = some_time)]
    pub expect_max: Option<Duration>,
    /// Down unless the mean jitter is below this
    #[arg(long, value_name = "D", value_parser = some_time)]
    pub expect_jitter: Option<Duration>,
}

fn name_server(text: &str) -> Result<SocketAddr, String> {
    target::name_server(text).ok_or_else(|| "it is an address, and perhaps a port".into())
}

/// No body is smaller than nothing.
fn bytes(text: &str) -> Result<u64, String> {
    let bytes = text.parse().ok().or_else(|| size::parse(text).ok()).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "write a number of bytes that is not 0, or such as `64KiB`".into())
}

/// Nothing takes less than no time.
fn some_time(text: &str) -> Result<Duration, String> {
    let limit = duration(text)?;
    if limit.is_zero() { Err("nothing is below it".into()) } else { Ok(limit) }
}

fn web(text: &str) -> Result<Url, String> {
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| "write a URL such as `https://example.com/start`".into())
}

fn host(text: &str) -> Result<String, String> {
    let host = url::Host::parse(text).map_err(|_| "write a name such as `db.example.com`")?;
    Ok(host.to_string())
}

fn method(text: &str) -> Result<String, String> {
    let letters =
        !text.is_empty() && text.len() <= 20 && text.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
    if letters { Ok(text.to_ascii_uppercase()) } else { Err("a method is a word such as `POST`".into()) }
}

fn certificate_days(text: &str) -> Result<CertificateDays, String> {
    let form = || format!("`{text}` is no number of days: write `21`, or `21,7`");
    let days =
        |text: &str| text.trim().parse::<u16>().map(|days| (days > 0).then_some(days)).map_err(|_| form());
    let (warning, critical) = match text.split_once(',') {
        Some((warning, critical)) => (days(warning)?, days(critical)?),
        None => (days(text)?, None),
    };
    match (warning, critical) {
        (Some(warning), Some(critical)) if critical >= warning => {
            Err("people are warned first: the first number is the larger one".into())
        }
        _ => Ok(CertificateDays { warning, critical }),
    }
}

/// As long as the file lets a check take.
/// A word of an enum; help and completions list them.
fn one_of<T>(all: &[T]) -> impl TypedValueParser<Value = T> + use<T>
where
    T: Copy + Into<&'static str> + FromStr<Err = String> + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(|each| (*each).into())).try_map(|word| word.parse())
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = duration(text)?;
    if (Duration::from_millis(100)..=Duration::from_mins(10)).contains(&timeout) {
        Ok(timeout)
    } else {
        Err("a check takes from `100ms` to `10m`".into())
    }
}

fn escaped(text: &str) -> Result<Box<[u8]>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let mut after = rest[at + 1..].chars();
        match after.next() {
            Some('r') => bytes.push(b'\r'),
            Some('n') => bytes.push(b'\n'),
            Some('t') => bytes.push(b'\t'),
            Some('\\') => bytes.push(b'\\'),
            Some('x') => {
                let digits: String = after.by_ref().take(2).collect();
                let byte = u8::from_str_radix(&digits, 16)
                    .ok()
                    .filter(|_| digits.len() == 2 && digits.chars().all(|c| c.is_ascii_hexdigit()));
                bytes.push(byte.ok_or("two hexadecimal digits come after `\\x`")?);
            }
            _ => return Err("a backslash begins `\\r`, `\\n`, `\\t`, `\\x00`, or is `\\\\`".into()),
        }
        rest = after.as_str();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_has_the_escapes_of_c() {
        assert_eq!(
            escaped(r"PING\r\n\\\x00\xfFä"),
            Ok([b"PING\r\n\\\x00\xff", "ä".as_bytes()].concat().into())
        );
        for wrong in [r"\", r"\q", r"\x", r"\x0", r"\xä0", r"\x+1"] {
            assert!(escaped(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn days_are_one_number_or_two() {
        let days = |text| certificate_days(text).map(|days| (days.warning, days.critical));
        assert_eq!(days("21"), Ok((Some(21), None)));
        assert_eq!(days("21,7"), Ok((Some(21), Some(7))));
        assert_eq!(days("0"), Ok((None, None)));
        assert_eq!(days("0,7"), Ok((None, Some(7))));
        assert!(days("7,21").is_err() && days("x").is_err() && days("").is_err());
    }
}
