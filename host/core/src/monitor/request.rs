//! What a request may be given from outside: headers, and the proxy that it goes through.
//!
//! The file and the command line ask here, so that both take the same. No answer quotes a value: it may be a secret.

use crate::text::printable;
use crate::uri;
use url::Url;

/// Headers that the request's framing decides.
const OURS: [&str; 7] =
    ["connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"];

/// The longest value of a header, in bytes.
pub const HEADER_MOST: usize = 8_000;

/// Why a name can't be that of a header that is sent, and the way out.
pub(crate) fn header_problem(name: &str) -> Option<(String, &'static str)> {
    // RFC 9110's `token`.
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let shown = printable(name, 60);
    if name.is_empty() || name.len() > 100 || !name.chars().all(is_token) {
        let hint = "letters, digits and `-`, such as `X-Api-Key`";
        return Some((format!("`{shown}` is no name of a header"), hint));
    }
    let is_ours = OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours));
    is_ours.then(|| (format!("the header `{shown}` is set by `uptime` itself"), "leave it out"))
}

/// Whether a text can be a header's value: RFC 9110's `field-value`, of at most [`HEADER_MOST`] bytes.
pub fn is_header_value(text: &str) -> bool {
    text.len() <= HEADER_MOST && !text.chars().any(|c| c.is_control() && c != '\t')
}

/// No host has one of these, but the places of programs that fill something in do: `${NAME}`, `{{ name }}`, `$(NAME)`.
pub(crate) fn has_placeholder(host: &str) -> bool {
    host.contains(['$', '{', '}', '(', ')'])
}

/// What to do about one.
pub(crate) const NOT_FILLED_IN: &str = "nothing is filled in: write the host itself";

/// A proxy, `http://host:port` or `socks5://host:port`.
///
/// # Errors
/// What is wrong with it.
pub fn proxy(text: &str) -> Result<Url, &'static str> {
    let scheme = "it begins with `http://` or `socks5://`";
    let url = Url::parse(text).map_err(|_| scheme)?;
    if !matches!(url.scheme(), "http" | "socks5") {
        return Err(scheme);
    }
    if has_placeholder(uri::host(&url)) {
        return Err(NOT_FILLED_IN);
    }
    if uri::host(&url).is_empty() || url.port_or_known_default().is_none() {
        return Err("a host and a port come after `://`");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("nothing comes after the port");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_what_a_request_can_carry() {
        let problem = |name: &str| header_problem(name).map(|(_, hint)| hint);
        assert_eq!(problem("X-Api-Key"), None);
        for wrong in ["", "X Key", "X:", "Schlüssel", &"x".repeat(101)] {
            assert!(problem(wrong).is_some_and(|hint| hint.starts_with("letters")), "{wrong}");
        }
        for ours in ["Content-Length", "TE", "connection"] {
            assert_eq!(problem(ours), Some("leave it out"), "{ours}");
        }
        assert!(is_header_value("") && is_header_value("a\tb ä"));
        assert!(!is_header_value("a\r\nb") && !is_header_value(&"x".repeat(HEADER_MOST + 1)));
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        for right in ["http://p.example:3128", "http://p.example/", "socks5://u:p@127.0.0.1:1080"] {
            assert!(proxy(right).is_ok(), "{right}");
        }
        for wrong in
            ["p.example:3128", "https://p.example", "socks5://p.example", "http://p.example/a", "http://"]
        {
            assert!(proxy(wrong).is_err(), "{wrong}");
        }
    }
}
