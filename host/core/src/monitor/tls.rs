//! How TLS is spoken with a target, and what its certificates must be.

use crate::check::{Failure, FailureClass, TlsEvidence};
use crate::secret::SecretRef;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsSpec {
    /// `false`: a certificate that is not trusted is told of, and is no failure.
    pub verify: bool,
    /// A PEM file with the authorities that are trusted, in place of this machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Who we are, for targets that want to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientIdentity>,
    /// The name that is asked for and that the certificate must have, in place of the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

impl Default for TlsSpec {
    fn default() -> Self {
        Self { verify: true, ca: None, client: None, server_name: None }
    }
}

impl TlsSpec {
    /// The key of ours, with its key in the file.
    pub(super) fn reference(&self) -> Option<(&'static str, &SecretRef)> {
        self.client.as_ref().map(|client| ("client_key", &client.key))
    }
}

/// A certificate of ours and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientIdentity {
    /// A PEM file with the certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The key, as PEM.
    pub key: SecretRef,
}

/// How many days before the end of the first certificate of the chain to end people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateDays {
    /// Degraded with fewer days left.
    pub warning: Option<u16>,
    /// Down with fewer days left.
    pub critical: Option<u16>,
}

impl Default for CertificateDays {
    /// A warning two weeks ahead: those who renew by themselves do so earlier.
    fn default() -> Self {
        Self { warning: Some(14), critical: None }
    }
}

impl CertificateDays {
    /// Whether there must be a certificate. Whoever asks for nothing, or for what is the default, may go without.
    pub fn is_asked_for(self) -> bool {
        self != Self::default() && (self.warning.is_some() || self.critical.is_some())
    }

    /// Judges the certificates that `host` showed, at the instant `now`: what is worth telling, or nothing.
    ///
    /// # Errors
    /// The failure of a target with fewer days left than `critical`, or whose certificate was trusted and has expired
    /// since.
    pub fn judge(self, shown: &TlsEvidence, host: &str, now: Timestamp) -> Result<Option<Failure>, Failure> {
        let Some(first) = shown.first_to_end() else { return Ok(None) };
        let (end, subject) = (first.not_after, &first.subject);
        if end < now && shown.trust_failure.is_none() {
            let message = format!("the certificate of `{host}` (`{subject}`) expired on {end}");
            let failure = Failure::new(FailureClass::TlsExpired, message);
            return Err(
                failure.with(format!("valid on {}", whole_seconds(now)), format!("valid until {end}"))
            );
        }
        let left = end.as_second().saturating_sub(now.as_second()).div_euclid(SECONDS_PER_DAY);
        let below = |limit: Option<u16>| limit.filter(|limit| left < i64::from(*limit));
        let (limit, is_critical) = match (below(self.critical), below(self.warning)) {
            (Some(limit), _) => (limit, true),
            (None, Some(limit)) => (limit, false),
            (None, None) => return Ok(None),
        };
        let ends = match left {
            ..0 => format!("expired on {end}"),
            0 => format!("ends within a day, on {end}"),
            _ => format!("ends in {}, on {end}", days(left)),
        };
        let failure = Failure::new(
            FailureClass::Certificate,
            format!("the certificate of `{host}` (`{subject}`) {ends}"),
        )
        .with(format!("at least {} left", days(i64::from(limit))), format!("{} left", days(left.max(0))));
        if is_critical { Err(failure) } else { Ok(Some(failure)) }
    }
}

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

fn days(count: i64) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

fn whole_seconds(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_second()).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Certificate;

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().expect("an instant")
    }

    fn shown(ends: &[(&str, bool)]) -> TlsEvidence {
        let certificate = |(end, counts): &(&str, bool)| Certificate {
            subject: "CN=a".into(),
            issuer: "CN=b".into(),
            names: Vec::new(),
            not_before: Timestamp::MIN,
            not_after: end.parse().expect("an instant"),
            sha256: String::new(),
            counts: *counts,
        };
        let chain = ends.iter().map(certificate).collect();
        TlsEvidence { chain, ..TlsEvidence::default() }
    }

    #[test]
    fn days_are_whole_and_the_first_end_counts() {
        let limits = CertificateDays { warning: Some(14), critical: Some(2) };
        let (two, fourteen) = ("at least 2 days left", "at least 14 days left");
        for (ends, told) in [
            (&[("2026-12-08T12:00:00Z", true)][..], None),
            (&[("2026-12-08T11:59:59Z", true)], Some((false, "ends in 13 days", fourteen, "13 days left"))),
            // The root that was sent along may end.
            (&[("2027-12-08T12:00:00Z", true), ("2020-01-01T00:00:00Z", false)], None),
            (
                &[("2027-12-08T12:00:00Z", true), ("2026-11-26T11:00:00Z", true)],
                Some((true, "ends in 1 day", two, "1 day left")),
            ),
            (&[("2026-11-24T12:00:01Z", true)], Some((true, "ends within a day", two, "0 days left"))),
        ] {
            let verdict = limits.judge(&shown(ends), "h", now());
            let (failure, is_critical) = match verdict {
                Ok(warning) => (warning, false),
                Err(failure) => (Some(failure), true),
            };
            let Some((critical, words, expected, got)) = told else {
                assert_eq!(failure, None, "{ends:?}");
                continue;
            };
            let failure = failure.expect(words);
            assert_eq!((failure.class, is_critical), (FailureClass::Certificate, critical), "{failure:?}");
            let begin = format!("the certificate of `h` (`CN=a`) {words}, on ");
            assert!(failure.message.starts_with(&begin), "{failure:?}");
            assert_eq!((failure.expected.as_deref(), failure.got.as_deref()), (Some(expected), Some(got)));
        }
    }

    #[test]
    fn what_expired_since_the_handshake_is_a_failure_without_any_limit() {
        let none = CertificateDays { warning: None, critical: None };
        let expired = shown(&[("2026-11-24T11:59:59Z", true)]);
        let failure = none.judge(&expired, "h", now()).expect_err("it was trusted and has expired");
        assert_eq!(failure.class, FailureClass::TlsExpired);
        assert_eq!(failure.message, "the certificate of `h` (`CN=a`) expired on 2026-11-24T11:59:59Z");
        // What was not trusted to begin with, and went on, is told by its verdict alone.
        let trust_failure = Some(Failure::new(FailureClass::TlsExpired, "expired"));
        assert_eq!(none.judge(&TlsEvidence { trust_failure, ..expired }, "h", now()), Ok(None));
        assert_eq!(none.judge(&shown(&[]), "h", now()), Ok(None));
    }
}
