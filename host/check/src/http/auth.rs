//! Who asks: the `Authorization` of a request (RFC 7617, RFC 6750).

use super::fault::unusable;
use crate::redaction::Redaction;
use crate::secrets;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use uptime_core::check::Failure;
use uptime_core::monitor::{Auth, HttpSpec};
use uptime_core::secret::access::Access;
use uptime_core::secret::{Secret, SecretRef};
use url::Url;

/// The header that `auth`, or else the URL's userinfo, asks for. What nobody may see goes to `redaction`.
pub(super) fn header(
    spec: &HttpSpec,
    redaction: &mut Redaction,
    access: &Access,
) -> Result<Option<HeaderValue>, Failure> {
    match &spec.auth {
        Some(Auth::Basic { user, password }) => {
            let password = resolve(password, "password", access)?;
            basic(user.as_bytes(), password.expose().as_bytes(), redaction).map(Some)
        }
        Some(Auth::Bearer { token }) => {
            let token = resolve(token, "token", access)?;
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| {
                unusable("the token of `auth` has characters that no header may have".to_owned())
            })?;
            value.set_sensitive(true);
            redaction.secret(token.expose());
            Ok(Some(value))
        }
        None => match login(&spec.url) {
            Some((user, password)) => basic(&user, &password, redaction).map(Some),
            None => Ok(None),
        },
    }
}

/// User and password of a URL, without the escapes.
pub(super) fn login(url: &Url) -> Option<(Vec<u8>, Vec<u8>)> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    Some((decode(url.username()), decode(url.password().unwrap_or_default())))
}

pub(super) fn basic(user: &[u8], password: &[u8], redaction: &mut Redaction) -> Result<HeaderValue, Failure> {
    let encoded = BASE64_STANDARD.encode([user, password].join(&b':'));
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))
        .map_err(|_| unusable("the user can't be sent".to_owned()))?;
    value.set_sensitive(true);
    redaction.secret(&encoded);
    redaction.secret(&String::from_utf8_lossy(password));
    Ok(value)
}

fn resolve(reference: &SecretRef, what: &str, access: &Access) -> Result<Secret, Failure> {
    secrets::resolve_line(reference, access).map_err(|error| {
        unusable(format!("the {what} of `auth` has no value: {error}; hint: {}", error.hint()))
    })
}
