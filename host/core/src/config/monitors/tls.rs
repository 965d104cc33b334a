//! The keys of whatever may speak TLS.

use super::super::kinds::{Boolean, Choice};
use super::super::references::Reference;
use super::super::table::Table;
use super::super::values::HOSTNAME;
use super::values::{Days, PEM, path};
use crate::monitor::{CertificateDays, ClientIdentity, TlsSpec, TlsVersion};

pub(super) const KEYS: [&str; 5] = ["verify", "ca", "client_certificate", "client_key", "server_name"];

pub(super) fn read(table: &mut Table<'_, '_>) -> TlsSpec {
    let verify = table.or(
        "verify",
        "Fail when the certificate is not trusted; `false` only reports it.",
        true,
        &Boolean,
    );
    let ca = table.optional(
        "ca",
        "PEM file with trusted certificate authorities. Each worker reads its own machine's.",
        "this machine's",
        &path("an absolute path such as `/etc/ssl/own-ca.pem`", "\"/etc/ssl/own-ca.pem\""),
    );
    let certificate = table.optional(
        "client_certificate",
        "PEM file with the client certificate.",
        "none",
        &path("an absolute path such as `/etc/ssl/client.pem`", "\"/etc/ssl/client.pem\""),
    );
    let key = table.optional(
        "client_key",
        "Key of the client certificate, as PEM.",
        "none",
        &Reference { literal: PEM, secret: true },
    );
    let server_name = table.optional(
        "server_name",
        "Name for SNI that the certificate must match.",
        "the host's",
        &HOSTNAME,
    );
    if !verify {
        table.warning_at(
            "verify",
            "`verify = false`: whoever is on the way can answer in the target's place".into(),
            "for an authority of your own, write `ca = \"/etc/ssl/own-ca.pem\"`",
        );
    }
    for (there, missing, example) in [
        ("client_certificate", "client_key", "client_key = { file = \"/etc/ssl/client.key\" }"),
        ("client_key", "client_certificate", "client_certificate = \"/etc/ssl/client.pem\""),
    ] {
        if let Some(span) = table.span_of(there).filter(|_| table.span_of(missing).is_none()) {
            let message = format!("`{there}` needs `{missing}`");
            table.notes.error(span, message, Some(format!("add `{example}`")));
        }
    }
    let client = certificate.zip(key).map(|(certificate, key)| ClientIdentity { certificate, key });
    TlsSpec { verify, ca, client, server_name }
}

/// The lowest version that will do.
pub(super) fn tls_version(table: &mut Table<'_, '_>) -> Option<TlsVersion> {
    table.optional(
        "tls_version",
        "Lowest TLS version that is accepted.",
        "`\"1.2\"`",
        &Choice::of(TlsVersion::ALL),
    )
}

/// When people are told of the certificates' end.
pub(super) fn certificate_days(table: &mut Table<'_, '_>) -> CertificateDays {
    let days = table.optional(
        "certificate_days",
        "Degraded when a certificate expires within this many days (`warning`), down within `critical` days. A \
         response without TLS is down unless this is the default.",
        "`14`",
        &Days,
    );
    days.unwrap_or_default()
}
