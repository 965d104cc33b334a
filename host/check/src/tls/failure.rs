//! What an error of the TLS library says about the target, as tables.
//!
//! Each text says what to look at, in the words of those who run servers; the class is what rules and filters see.

use super::certificate::CertificateInfo;
use crate::errno;
use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription as Alert, CertificateError, Error as TlsError, OtherError, PeerIncompatible};
use std::io;
use uptime_core::check::{Failure, FailureClass};

/// Why the certificate of `host` is not trusted. `chain` is what the target showed.
pub(super) fn trust_failure(host: &str, error: &TlsError, chain: &[CertificateInfo]) -> Failure {
    let TlsError::InvalidCertificate(reason) = error else {
        return of_certificate(FailureClass::TlsHandshake, host, &format!("is not acceptable: {error}"));
    };
    let own = chain.first();
    let (class, words) = match reason {
        CertificateError::UnknownIssuer => return unknown_issuer(host, chain),
        CertificateError::BadSignature => {
            if let Some(failure) = chain.iter().find_map(|read| odd_rsa(host, read)) {
                return failure;
            }
            let issuer = own.map_or("the issuer that it names", |own| &own.certificate.issuer);
            let words = format!("is not signed by `{issuer}`, whose name it bears");
            return of_certificate(FailureClass::TlsUnknownIssuer, host, &words);
        }
        CertificateError::ExpiredContext { time, not_after: at }
        | CertificateError::NotValidYetContext { time, not_before: at } => {
            let (time, at) = (timestamp(*time), timestamp(*at));
            let is_over = at < time;
            let (class, is, until) = if is_over {
                (FailureClass::TlsExpired, "expired on", "until")
            } else {
                (FailureClass::TlsNotYetValid, "is not valid before", "from")
            };
            let by = |read: &CertificateInfo| {
                at == if is_over { read.certificate.not_after } else { read.certificate.not_before }
            };
            // It may be that of one above, whose time is not the target's own.
            let whose = match chain.iter().position(by) {
                Some(index) if index > 0 => {
                    format!("comes from `{}`, whose own ", chain[index].certificate.subject)
                }
                _ => String::new(),
            };
            return of_certificate(class, host, &format!("{whose}{is} {at}"))
                .with(format!("valid on {time}"), format!("valid {until} {at}"));
        }
        CertificateError::NotValidForNameContext { expected, .. } => {
            let names = own.map(|own| own.certificate.names.join(", ")).filter(|names| !names.is_empty());
            let words = match names {
                Some(_) => "is for another name",
                None => "is for no name at all (a common name alone has not counted for years)",
            };
            return of_certificate(FailureClass::TlsWrongName, host, words)
                .with(expected.to_str(), names.as_deref().unwrap_or("no name"));
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            return algorithm(host, chain);
        }
        CertificateError::Other(other) => return of_other(host, other, chain),
        CertificateError::Expired => (FailureClass::TlsExpired, "has expired"),
        CertificateError::NotValidYet => (FailureClass::TlsNotYetValid, "is not valid yet"),
        CertificateError::NotValidForName => (FailureClass::TlsWrongName, "is for another name"),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
            FailureClass::TlsHandshake,
            "is not meant for servers (its extended key usage lacks `serverAuth`)",
        ),
        CertificateError::Revoked => (FailureClass::TlsHandshake, "was revoked by its issuer"),
        CertificateError::BadEncoding => {
            (FailureClass::TlsHandshake, "can't be read: it is no X.509 certificate of version 3")
        }
        CertificateError::UnhandledCriticalExtension => {
            (FailureClass::TlsHandshake, "has a critical extension that nobody knows here")
        }
        other => (FailureClass::TlsHandshake, &*format!("is not acceptable: {other}")),
    };
    of_certificate(class, host, words)
}

/// Verdicts of webpki that rustls has no name for. Their type is not part of its interface; their names are what there
/// is.
const OTHERS: [(&str, FailureClass, &str); 5] = [
    (
        "CaUsedAsEndEntity",
        FailureClass::Unsupported,
        "is an authority's own (`CA:TRUE`), which this program takes from no server",
    ),
    (
        "NameConstraintViolation",
        FailureClass::TlsHandshake,
        "is for a name that its authority may not vouch for (name constraints)",
    ),
    (
        "PathLenConstraintViolated",
        FailureClass::TlsHandshake,
        "comes over more intermediate authorities than the one above them allows",
    ),
    (
        "EndEntityUsedAsCa",
        FailureClass::TlsHandshake,
        "is signed with a certificate that is no authority's (`CA:FALSE`)",
    ),
    (
        "UnsupportedCertVersion",
        FailureClass::TlsTooOld,
        "is of X.509 version 1 or 2, which is no longer safe",
    ),
];

fn of_other(host: &str, other: &OtherError, chain: &[CertificateInfo]) -> Failure {
    let verdict = format!("{:?}", other.0);
    if verdict == OTHERS[0].0 && chain.first().is_some_and(CertificateInfo::is_self_issued) {
        return self_signed(host);
    }
    match OTHERS.iter().find(|(known, ..)| *known == verdict) {
        Some((_, FailureClass::Unsupported, words)) => unsupported(host, words),
        Some((_, class, words)) => of_certificate(*class, host, words),
        None => of_certificate(FailureClass::TlsHandshake, host, &format!("is not acceptable: {verdict}")),
    }
}

fn of_certificate(class: FailureClass, host: &str, words: &str) -> Failure {
    Failure::new(class, format!("the certificate of `{host}` {words}"))
}

fn self_signed(host: &str) -> Failure {
    of_certificate(FailureClass::TlsSelfSigned, host, "is self-signed, and not trusted here")
}

/// The end of the way from the target's certificate up tells what is wrong with it.
fn unknown_issuer(host: &str, chain: &[CertificateInfo]) -> Failure {
    let failed = |words: &str| of_certificate(FailureClass::TlsUnknownIssuer, host, words);
    let Some(own) = chain.first() else {
        return failed("is from an issuer that is not trusted here");
    };
    if own.is_self_issued() {
        return self_signed(host);
    }
    // Those that count follow each other by their issuers; the last one's is the one that is not known.
    let counting = || chain.iter().filter(|read| read.certificate.counts);
    let top =
        counting().find(|read| read.is_self_issued() || !counting().any(|other| read.is_issued_by(other)));
    let top = top.unwrap_or(own);
    let issuer = &top.certificate.issuer;
    if top.is_self_issued() {
        failed(&format!("comes from `{issuer}`, an authority that is not trusted here"))
    } else {
        failed(&format!(
            "comes from `{issuer}`, which is not trusted here and was not sent along: probably an intermediate certificate is missing"
        ))
    }
}

fn algorithm(host: &str, chain: &[CertificateInfo]) -> Failure {
    let is_broken = |read: &&CertificateInfo| {
        let name = read.signed_with.to_ascii_lowercase();
        ["sha1", "md5", "md2"].iter().any(|broken| name.contains(broken))
    };
    match (chain.iter().filter(|read| read.certificate.counts).find(is_broken), chain.first()) {
        (Some(read), _) => {
            let words = format!("is signed with `{}`, which is no longer safe", read.signed_with);
            of_certificate(FailureClass::TlsTooOld, host, &words)
        }
        (None, own) => {
            let name = own.map_or("an algorithm", |own| &own.signed_with);
            unsupported(host, &format!("is signed in a way that this program can't verify (`{name}`)"))
        }
    }
}

/// A gap of ours. Whoever can do without the verdict still sees the rest.
fn unsupported(host: &str, words: &str) -> Failure {
    let words = format!("{words}; `verify = false` checks all the rest");
    of_certificate(FailureClass::Unsupported, host, &words)
}

/// RSA keys below are taken for broken (NIST SP 800-57), and refused by every browser.
const RSA_BITS_MIN: usize = 2048;

/// Larger ones are verified by others, and not by ring.
const RSA_BITS_MAX: usize = 8192;

/// The failure of a signature by an RSA key that is not taken, whatever it signed.
fn odd_rsa(host: &str, read: &CertificateInfo) -> Option<Failure> {
    let bits = read.rsa_bits?;
    if bits > RSA_BITS_MAX {
        return Some(unsupported(
            host,
            &format!("needs a key that this program can't verify (RSA of {bits} bits)"),
        ));
    }
    (bits < RSA_BITS_MIN).then(|| {
        of_certificate(FailureClass::TlsTooOld, host, "has a key that is too short to be safe")
            .with("RSA of 2048 bits", format!("RSA of {bits} bits"))
    })
}

/// Why the target did not prove that it has the key of its certificate.
pub(super) fn signature_failure(host: &str, error: &TlsError, own: Option<&CertificateInfo>) -> Failure {
    if let Some(failure) = own.and_then(|own| odd_rsa(host, own)) {
        return failure;
    }
    let unproven = format!("`{host}` does not prove that it has the key of its certificate");
    match error {
        TlsError::InvalidCertificate(CertificateError::BadSignature) => handshake(unproven),
        TlsError::InvalidCertificate(_) => trust_failure(host, error, own.map_or(&[], std::slice::from_ref)),
        error => handshake(format!("{unproven}: {error}")),
    }
}

/// What is known of a handshake that ended before its time.
pub(super) struct Attempt<'a> {
    /// Who was spoken to.
    pub(super) host: &'a str,
    /// Who was asked for.
    pub(super) name: &'a str,
    pub(super) protocols: &'a str,
    pub(super) answered: bool,
    /// Whether it asked for ours, and whether we have one.
    pub(super) asked_for_ours: bool,
    pub(super) has_ours: bool,
}

impl Attempt<'_> {
    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        let host = self.host;
        let Some(tls) = library_error(error) else {
            let (class, words) = errno::classify(error);
            let class = if class.is_ours() { class } else { FailureClass::TlsHandshake };
            return Failure::new(class, format!("the TLS handshake with `{host}` broke off: {words}"));
        };
        match tls {
            TlsError::AlertReceived(alert) => self.refused(*alert),
            TlsError::InvalidMessage(_) if !self.answered => {
                handshake(format!("`{host}` does not speak TLS on this port")).with("TLS", "something else")
            }
            TlsError::PeerIncompatible(reason) => incompatible(host, reason),
            TlsError::NoCertificatesPresented => handshake(format!("`{host}` shows no certificate")),
            other => handshake(format!("the TLS handshake with `{host}` failed: {other}")),
        }
    }

    fn refused(&self, alert: Alert) -> Failure {
        let host = self.host;
        if alert == Alert::CertificateRequired || self.asked_for_ours && is_about_ours(alert) {
            return Failure::new(FailureClass::TlsClientCertificate, about_ours(host, alert, self.has_ours));
        }
        match alert {
            Alert::UnrecognisedName => {
                let message = format!("`{host}` says that it has no certificate for `{}`", self.name);
                Failure::new(FailureClass::TlsWrongName, message).with(self.name, "unrecognized_name")
            }
            Alert::ProtocolVersion => old_versions(host),
            // Before it showed a certificate. What this program lacks is no outage; but most servers that have nothing for a
            // name say `handshake_failure` too, and that has to wake somebody.
            Alert::InsufficientSecurity | Alert::HandshakeFailure if !self.answered => {
                let (class, or_name) = match alert {
                    Alert::InsufficientSecurity => (FailureClass::Unsupported, String::new()),
                    _ => (FailureClass::TlsHandshake, format!(", or has no certificate for `{}`", self.name)),
                };
                let message =
                    format!("`{host}` accepts none of the cipher suites that this program supports{or_name}");
                Failure::new(class, message).with("a cipher suite in common", alert_name(alert))
            }
            Alert::NoApplicationProtocol => {
                handshake(format!("`{host}` speaks another protocol over TLS than was asked for"))
                    .with(self.protocols, "none of them")
            }
            // What servers say, each in its own way, who have nothing for the name that they were asked for.
            Alert::AccessDenied | Alert::InternalError if !self.answered => {
                let message = format!(
                    "`{host}` ended the TLS handshake before it showed a certificate: perhaps it has none for `{}`",
                    self.name
                );
                handshake(message).with("a certificate", alert_name(alert))
            }
            alert => handshake(format!("`{host}` ended the TLS handshake: `{}`", alert_name(alert))),
        }
    }
}

fn handshake(message: String) -> Failure {
    Failure::new(FailureClass::TlsHandshake, message)
}

fn old_versions(host: &str) -> Failure {
    let message = format!("`{host}` speaks no version of TLS that is still safe");
    Failure::new(FailureClass::TlsTooOld, message).with("TLS 1.2 or newer", "an older one")
}

fn incompatible(host: &str, reason: &PeerIncompatible) -> Failure {
    match reason {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => old_versions(host),
        reason => {
            handshake(format!("`{host}` and this monitor have no way to speak TLS in common: {reason:?}"))
        }
    }
}

/// The failure of a connection whose handshake was done on our side, should the target refuse it only then, as TLS 1.3
/// lets it: class and words. `None`: the connection broke for another reason.
pub(crate) fn late_refusal(host: &str, error: &io::Error) -> Option<(FailureClass, String)> {
    let words = match library_error(error)? {
        TlsError::AlertReceived(alert) if is_about_ours(*alert) => {
            let has_ours = *alert != Alert::CertificateRequired;
            return Some((FailureClass::TlsClientCertificate, about_ours(host, *alert, has_ours)));
        }
        TlsError::AlertReceived(alert) => {
            format!("`{host}` ended the TLS connection: `{}`", alert_name(*alert))
        }
        other => format!("the TLS connection with `{host}` broke: {other}"),
    };
    Some((FailureClass::TlsHandshake, words))
}

fn library_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// The alerts with which a target that asked for our certificate says what it thinks of it (RFC 8446, 6.2).
fn is_about_ours(alert: Alert) -> bool {
    matches!(
        alert,
        Alert::HandshakeFailure
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired
    )
}

fn about_ours(host: &str, alert: Alert, has_ours: bool) -> String {
    let alert = alert_name(alert);
    if has_ours {
        format!("`{host}` does not accept our client certificate: `{alert}`")
    } else {
        format!("`{host}` wants a client certificate (`{alert}`): set `client_certificate` and `client_key`")
    }
}

/// `handshake_failure`, as the RFCs write it.
fn alert_name(alert: Alert) -> String {
    let Some(name) = alert.as_str() else { return format!("alert {}", u8::from(alert)) };
    let mut text = String::with_capacity(name.len() + 4);
    let mut before = 'A';
    for c in name.chars() {
        if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
        before = c;
    }
    text
}

fn timestamp(time: UnixTime) -> Timestamp {
    let seconds = i64::try_from(time.as_secs()).ok();
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}
