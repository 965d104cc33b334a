//! The one rule for what is tried again, the same for every notifier.
//!
//! Tried again: no answer at all, 408, 425, 429 and the 5xx that pass. Not tried again: everything else that is no
//! success; 401, 403, 404 and 410 say besides that the channel itself is broken. A provider that names a time for the
//! next try is obeyed (the host caps it).
//!
//! Numbers are read by hand: what the standard library needs for `"1.5".parse::<f64>()` is a fifth of a small plugin.

use crate::json::Scalar;
use crate::{HttpError, NotifyError, Problem, Response, Retry};

/// No provider is waited for longer.
const DAY_MS: u64 = 86_400_000;

/// What an answer's status means. `words` are the provider's, for people; `body_after_ms` is the time that its body
/// named, if it did (see [`seconds`] and [`seconds_at`]).
///
/// # Errors
/// For every status but a 2xx.
pub fn of_status(response: &Response, words: &str, body_after_ms: Option<u64>) -> Result<(), NotifyError> {
    let status = response.status;
    let words = words.trim();
    let message =
        if words.is_empty() { format!("status {status}") } else { format!("status {status}: {words}") };
    let retry = |message| Retry::new(message, response.retry_after_ms.max(body_after_ms));
    Err(match status {
        200..=299 => return Ok(()),
        429 => NotifyError::RateLimited(retry(message)),
        408 | 425 | 500 | 502 | 503 | 504 | 520..=529 => NotifyError::Transient(retry(message)),
        401 | 403 => NotifyError::Unauthorized(message),
        404 | 410 => NotifyError::Gone(message),
        300..=399 => NotifyError::Permanent(format!("{message} (redirects are not followed)")),
        _ => NotifyError::Permanent(message),
    })
}

/// A success that does not say what the provider says: something stands between it and us. It is tried again, since a
/// message that comes twice is better than one that does not come.
pub fn not_theirs(provider: &str, response: &Response) -> NotifyError {
    let message =
        format!("status {}, but the answer is not {provider}'s: {}", response.status, response.words());
    NotifyError::Transient(Retry::new(message, None))
}

/// What it means that there was no answer.
impl From<HttpError> for NotifyError {
    fn from(error: HttpError) -> Self {
        let message = match error {
            HttpError::Denied(reason) | HttpError::Invalid(reason) => {
                return Self::Config(vec![Problem { key: None, message: reason }]);
            }
            HttpError::Dns(text)
            | HttpError::Connect(text)
            | HttpError::Tls(text)
            | HttpError::Other(text) => text,
            HttpError::Timeout => "no complete answer in time".into(),
        };
        Self::Transient(Retry::new(message, None))
    }
}

/// Milliseconds of a number of seconds such as `7` or `0.6405`, rounded up, at most a day. `None` for what is none.
pub fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let digit = |at: usize| fraction.as_bytes().get(at).map_or(0, |byte| u64::from(byte - b'0'));
    let more = fraction.bytes().skip(3).any(|byte| byte != b'0');
    let ms = digit(0) * 100 + digit(1) * 10 + digit(2) + u64::from(more);
    // A number that overflows is long enough.
    Some(
        whole
            .parse::<u64>()
            .map_or(DAY_MS, |whole| whole.saturating_mul(1_000).saturating_add(ms))
            .min(DAY_MS),
    )
}

/// The same for a number in a body's JSON, as [`Response::json_at`] finds it.
pub fn seconds_at(response: &Response, path: &[&str]) -> Option<u64> {
    match response.json_at(path)? {
        Scalar::Number(number) => seconds(&number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::answer;

    #[test]
    fn each_status_has_its_class() {
        let class = |status| match answer(status, "").verdict() {
            Ok(()) => "ok",
            Err(NotifyError::Config(_)) => "config",
            Err(NotifyError::Unauthorized(_)) => "unauthorized",
            Err(NotifyError::Gone(_)) => "gone",
            Err(NotifyError::RateLimited(_)) => "rate-limited",
            Err(NotifyError::Transient(_)) => "transient",
            Err(NotifyError::Permanent(_)) => "permanent",
        };
        for (statuses, expected) in [
            (&[200, 201, 204, 299][..], "ok"),
            (&[408, 425, 500, 502, 503, 504, 520, 522, 529], "transient"),
            (&[429], "rate-limited"),
            (&[401, 403], "unauthorized"),
            (&[404, 410], "gone"),
            (&[301, 302, 307, 400, 402, 405, 409, 413, 418, 422, 451, 501, 505, 600], "permanent"),
        ] {
            for status in statuses {
                assert_eq!(class(*status), expected, "{status}");
            }
        }
    }

    #[test]
    fn the_longer_of_two_waits_is_obeyed() {
        for (header, body, expected) in [
            (None, None, None),
            (None, Some(641), Some(641)),
            (Some(1_000), Some(2_250), Some(2_250)),
            (Some(3_000), Some(2_250), Some(3_000)),
        ] {
            let response = Response { retry_after_ms: header, ..answer(429, "") };
            let error = of_status(&response, "", body).expect_err("a 429");
            let NotifyError::RateLimited(retry) = error else { panic!("{error:?}") };
            assert_eq!(retry.after_ms, expected, "{header:?} {body:?}");
        }
    }

    #[test]
    fn seconds_are_read_and_rounded_up() {
        for (text, ms) in [
            ("7", Some(7_000)),
            ("0.6405", Some(641)),
            ("0.640", Some(640)),
            ("1.25", Some(1_250)),
            ("1.", Some(1_000)),
            ("0.0001", Some(1)),
            ("18446744073709551615.9", Some(DAY_MS)),
            ("", None),
            (".5", None),
            ("+1", None),
            ("-1", None),
            ("1.5.5", None),
            ("1,5", None),
            ("inf", None),
        ] {
            assert_eq!(seconds(text), ms, "{text}");
        }
        let limited = answer(429, r#"{"retry_after": 0.6405, "soon": "7", "past": -1}"#);
        assert_eq!(seconds_at(&limited, &["retry_after"]), Some(641));
        assert_eq!((seconds_at(&limited, &["soon"]), seconds_at(&limited, &["past"])), (None, None));
    }

    #[test]
    fn the_providers_words_are_in_the_message() {
        assert_eq!(
            of_status(&answer(400, ""), " no such chat\n", None),
            Err(NotifyError::Permanent("status 400: no such chat".into()))
        );
        assert_eq!(answer(404, "").verdict(), Err(NotifyError::Gone("status 404".into())));
        assert_eq!(
            answer(302, "gone\nthere").verdict(),
            Err(NotifyError::Permanent("status 302: gone there (redirects are not followed)".into()))
        );
    }
}
