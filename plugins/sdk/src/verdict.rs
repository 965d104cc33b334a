//! The one rule for what is tried again, the same for every notifier.
//!
//! Tried again: no answer at all, 408, 425, 429 and the 5xx that pass. Not tried again: everything else that is no
//! success; 401, 403, 404 and 410 say besides that the channel itself is broken. A provider that names a time for the
//! next try is obeyed (the host caps it).

use crate::text::parse_http_date;
use crate::{HttpError, NotifyError, Problem, Response, Retry};

/// What an answer's status means. `words` are the provider's, for people; `body_after_s` is the time in seconds that
/// its body named, if it did.
///
/// # Errors
/// For every status but a 2xx.
pub fn of_status(
    response: &Response,
    words: &str,
    body_after_s: Option<f64>,
    now_ms: u64,
) -> Result<(), NotifyError> {
    let status = response.status;
    let words = words.trim();
    let message =
        if words.is_empty() { format!("status {status}") } else { format!("status {status}: {words}") };
    let retry = |message| Retry { message, after_ms: retry_after_ms(response, body_after_s, now_ms) };
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

/// What it means that there was no answer.
pub fn no_answer(error: HttpError) -> NotifyError {
    let transient = |message: String| NotifyError::Transient(Retry { message, after_ms: None });
    match error {
        HttpError::Denied(reason) | HttpError::Invalid(reason) => {
            NotifyError::Config(vec![Problem { key: None, message: reason }])
        }
        HttpError::Dns(text) | HttpError::Connect(text) | HttpError::Tls(text) | HttpError::Other(text) => {
            transient(text)
        }
        HttpError::Timeout => transient("no complete answer in time".into()),
    }
}

/// When the provider wants to hear of us again: the later of its header (whole seconds or a date) and its body.
pub fn retry_after_ms(response: &Response, body_after_s: Option<f64>, now_ms: u64) -> Option<u64> {
    let header = response.header("retry-after").map(str::trim).and_then(|value| {
        seconds(value.parse().ok()).or_else(|| Some(parse_http_date(value)?.saturating_sub(now_ms)))
    });
    header.max(seconds(body_after_s))
}

/// Milliseconds of a number of seconds, if it is one that makes sense; at most a day.
pub fn seconds(seconds: Option<f64>) -> Option<u64> {
    const DAY_S: f64 = 86_400.0;
    let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a day")]
    Some((seconds.min(DAY_S) * 1_000.0).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::answer;

    fn class(status: u16) -> &'static str {
        match of_status(&answer(status, ""), "", None, 0) {
            Ok(()) => "ok",
            Err(NotifyError::RateLimited(_)) => "rate",
            Err(NotifyError::Transient(_)) => "retry",
            Err(NotifyError::Unauthorized(_)) => "unauthorized",
            Err(NotifyError::Gone(_)) => "gone",
            Err(NotifyError::Permanent(_)) => "permanent",
            Err(NotifyError::Config(_)) => "config",
        }
    }

    #[test]
    fn each_status_has_its_class() {
        for (statuses, expected) in [
            (&[200, 201, 204, 299][..], "ok"),
            (&[408, 425, 500, 502, 503, 504, 520, 522, 529], "retry"),
            (&[429], "rate"),
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
    fn the_time_of_the_next_try_in_each_form() {
        // 1994-11-06T08:49:37Z
        let date_ms = 784_111_777_000;
        for (header, body, expected) in [
            (None, None, None),
            (Some("30"), None, Some(30_000)),
            (Some(" 0 "), None, Some(0)),
            (Some("1.5"), None, Some(1_500)),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), None, Some(7_000)),
            (Some("Sun, 06 Nov 1994 08:49:07 GMT"), None, Some(0)),
            (Some("soon"), None, None),
            (Some("-3"), None, None),
            (Some("1e300"), None, Some(86_400_000)),
            (Some("nan"), None, None),
            (None, Some(0.6405), Some(641)),
            (Some("1"), Some(2.25), Some(2_250)),
            (None, Some(-1.0), None),
        ] {
            let mut response = answer(429, "");
            response.headers.extend(header.map(|value| ("retry-after".to_owned(), value.to_owned())));
            assert_eq!(retry_after_ms(&response, body, date_ms - 7_000), expected, "{header:?} {body:?}");
        }
    }

    #[test]
    fn the_providers_words_are_in_the_message() {
        assert_eq!(
            of_status(&answer(400, ""), " no such chat\n", None, 0),
            Err(NotifyError::Permanent("status 400: no such chat".into()))
        );
        assert_eq!(of_status(&answer(404, ""), "", None, 0), Err(NotifyError::Gone("status 404".into())));
    }
}
