//! URLs and their hosts, for the wire and for people.

use std::borrow::Cow;
use url::Url;

/// The host of a URL, IPv6 without brackets.
pub fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_matches(['[', ']'])
}

/// A URL of `http` without what logs in.
#[must_use]
pub fn without_login(url: &Url) -> Url {
    let mut url = url.clone();
    // Neither can fail: such a URL has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// A URL for people: no userinfo, no query, no fragment; each may hold a secret.
pub fn shown(url: &Url) -> String {
    let mut url = without_login(url);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// A name or an address as it stands in a URL.
pub fn bracketed(host: &str) -> Cow<'_, str> {
    if host.contains(':') { Cow::Owned(format!("[{host}]")) } else { Cow::Borrowed(host) }
}
