//! The cookies that a check's redirects set (RFC 6265bis), kept for that check alone.
//!
//! A cookie goes back to the host that set it, whatever the port, or to all of its `Domain`. Which domains belong to
//! registries is not known here, but for those of one label. Count and size are bounded as curl bounds them.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use jiff::civil::DateTime;
use url::{Host, Url};

const COUNT_MAX: usize = 150;

/// The longest name and value together.
const PAIR_MAX_BYTES: usize = 4096;

const HEADER_MAX_BYTES: usize = 8190;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

#[derive(Clone, Default)]
pub(super) struct Cookies(Vec<Cookie>);

#[derive(Clone, PartialEq, Eq)]
struct Cookie {
    /// The host that set it, or its domain.
    host: String,
    host_only: bool,
    secure: bool,
    path: String,
    name: Vec<u8>,
    value: Vec<u8>,
}

/// What an answer says of a cookie.
enum Said {
    Set(Cookie),
    Unset(Cookie),
}

impl Cookies {
    /// Takes what the answer of `url` sets. `now` is UTC. Whether anything has changed by it.
    pub(super) fn take(&mut self, url: &Url, headers: &HeaderMap, now: DateTime) -> bool {
        let before = self.0.clone();
        for line in headers.get_all(SET_COOKIE) {
            match parse(line.as_bytes(), url, now) {
                Some(Said::Set(cookie)) => {
                    if let Some(known) = self.0.iter_mut().find(|known| known.is(&cookie)) {
                        *known = cookie;
                    } else if self.0.len() < COUNT_MAX {
                        self.0.push(cookie);
                    }
                }
                Some(Said::Unset(cookie)) => self.0.retain(|known| !known.is(&cookie)),
                None => {}
            }
        }
        before != self.0
    }

    /// All values that are kept, as far as they are text.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|cookie| str::from_utf8(&cookie.value).ok())
    }

    /// The `Cookie` header of a request for `url`, whose own is `own`: of a name that both have, what was set is newer.
    pub(super) fn header(&self, url: &Url, own: Option<&HeaderValue>) -> Option<HeaderValue> {
        let mut fitting: Vec<&Cookie> = self.0.iter().filter(|cookie| cookie.fits(url)).collect();
        if fitting.is_empty() {
            return own.cloned();
        }
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let own =
            own.map_or(&[][..], HeaderValue::as_bytes).split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let own =
            own.filter(|pair| !pair.is_empty() && !fitting.iter().any(|cookie| cookie.name == name(pair)));
        let mut pairs: Vec<Vec<u8>> = own.map(<[u8]>::to_vec).collect();
        pairs.extend(fitting.iter().map(|cookie| [&cookie.name, &b"="[..], &cookie.value].concat()));
        let mut header = Vec::new();
        for pair in pairs {
            if header.len() + 2 + pair.len() > HEADER_MAX_BYTES {
                break;
            }
            header.extend_from_slice(if header.is_empty() { b"" } else { b"; " });
            header.extend(pair);
        }
        let mut header = HeaderValue::from_bytes(&header).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

impl Cookie {
    /// Whether the one replaces the other.
    fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.path == other.path
            && self.host == other.host
            && self.host_only == other.host_only
    }

    fn fits(&self, url: &Url) -> bool {
        let below = url.path().strip_prefix(self.path.as_str());
        let is_here =
            if self.host_only { url.host_str() == Some(&*self.host) } else { belongs(url, &self.host) };
        is_here
            && (!self.secure || is_trustworthy(url))
            && below.is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'))
    }
}

/// The name in `name=value`.
fn name(pair: &[u8]) -> &[u8] {
    pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

/// A line of `Set-Cookie` in an answer of `url`. `None`: one that no browser takes from there.
fn parse(line: &[u8], url: &Url, now: DateTime) -> Option<Said> {
    let mut parts = line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let pair = parts.next()?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (name(pair), pair[equals + 1..].trim_ascii());
    if name.is_empty() || name.len() + value.len() > PAIR_MAX_BYTES {
        return None;
    }
    let (mut path, mut domain, mut is_secure) = (None, None, false);
    let (mut expires, mut max_age) = (None, None);
    for part in parts.map(String::from_utf8_lossy) {
        let (key, said) = part.split_once('=').unwrap_or((&part, ""));
        let said = said.trim();
        // Of those that are said twice the last counts.
        match key.trim().to_ascii_lowercase().as_str() {
            "path" => path = said.starts_with('/').then(|| said.to_owned()),
            "domain" => {
                domain = Some(said.trim_start_matches('.').to_ascii_lowercase()).filter(|of| !of.is_empty());
            }
            "secure" => is_secure = true,
            "expires" => expires = instant(said).or(expires),
            "max-age" => max_age = is_positive(said).or(max_age),
            _ => {}
        }
    }
    let prefixed =
        |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    let host = url.host_str()?;
    let is_refused = |domain: &str| domain != host && !(domain.contains('.') && belongs(url, domain));
    let refused = domain.as_deref().is_some_and(is_refused)
        || is_secure && !is_trustworthy(url)
        || prefixed(b"__Secure-") && !is_secure
        || prefixed(b"__Host-") && !(is_secure && domain.is_none() && path.as_deref() == Some("/"));
    if refused {
        return None;
    }
    let path = path.unwrap_or_else(|| {
        // All that is beside the page (RFC 6265bis, 5.1.4).
        let folder = url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        if folder.is_empty() { "/".to_owned() } else { folder.to_owned() }
    });
    let domain = domain.filter(|domain| domain.contains('.'));
    let cookie = Cookie {
        host_only: domain.is_none(),
        host: domain.unwrap_or_else(|| host.to_owned()),
        secure: is_secure,
        path,
        name: name.to_vec(),
        value: value.to_vec(),
    };
    let has_ended = max_age.map_or(expires.is_some_and(|expires| expires <= now), |lasts| !lasts);
    Some(if has_ended { Said::Unset(cookie) } else { Said::Set(cookie) })
}

/// Whether the host of `url` is in `domain`.
fn belongs(url: &Url, domain: &str) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => {
            host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
        _ => url.host_str() == Some(domain),
    }
}

/// Where a `Secure` cookie may come from and go to: nobody listens on the loopback.
fn is_trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

/// Whether a `Max-Age` is one, and above 0.
fn is_positive(said: &str) -> Option<bool> {
    let digits = said.strip_prefix('-').unwrap_or(said);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.len() == said.len() && digits.bytes().any(|byte| byte != b'0'))
}

/// The instant in an `Expires`, in UTC, in any of the forms that are about (RFC 6265bis, 5.1.1).
fn instant(said: &str) -> Option<DateTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for word in said.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == ':')) {
        let number = || word.parse::<i16>().ok();
        if time.is_none() && word.contains(':') {
            let mut parts = word.split(':').map(|part| part.parse::<i8>().ok());
            time = Some((parts.next()??, parts.next()??, parts.next()??));
        } else if day.is_none() && word.len() <= 2 && number().is_some() {
            day = word.parse::<i8>().ok();
        } else if month.is_none()
            && let Some(found) = month_of(word)
        {
            month = Some(found);
        } else if year.is_none() {
            year = number();
        }
    }
    let year = match year? {
        year @ 70..=99 => 1900 + year,
        year @ 0..=69 => 2000 + year,
        year => year,
    };
    let (hour, minute, second) = time?;
    DateTime::new(year, month?, day?, hour, minute, second, 0).ok()
}

/// The number of the month that `word` begins like.
fn month_of(word: &str) -> Option<i8> {
    let begin = word.get(..3)?.to_ascii_lowercase();
    (1..).zip(MONTHS).find_map(|(number, month)| (month == begin).then_some(number))
}
