//! The keys of whatever may speak TLS.

use super::super::references::Reference;
use super::super::table::Table;
use super::super::takes::{Boolean, Choice};
use super::super::values::Hostname;
use super::values::{Days, FilePath, Pem};
use crate::monitor::{CertificateDays, ClientIdentity, TlsSpec, TlsVersion};

pub(super) const KEYS: [&str; 5] = ["verify", "ca", "client_certificate", "client_key", "server_name"];

pub(super) fn read(table: &mut Table<'_, '_>) -> TlsSpec {
    let verify = table.or(
        "verify",
        "A certificate that is not trusted is a failure; `false`: it is only told of.",
        true,
        &Boolean,
    );
    let ca = table.optional(
        "ca",
        "A PEM file with the authorities that are trusted; each worker reads its own machine's.",
        "this machine's",
        &FilePath { example: "/etc/ssl/own-ca.pem" },
    );
    let certificate = table.optional(
        "client_certificate",
        "A PEM file with the certificate that we show.",
        "none",
        &FilePath { example: "/etc/ssl/client.pem" },
    );
    let key = table.optional(
        "client_key",
        "The certificate's key, as PEM.",
        "none",
        &Reference { literal: Pem, secret: true },
    );
    let server_name = table.optional(
        "server_name",
        "The name that is asked for and that the certificate must have.",
        "the host's",
        &Hostname,
    );
    if !verify {
        table.advise(
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
            table.notes.missing(span, message, Some(format!("add `{example}`")));
        }
    }
    let client = certificate.zip(key).map(|(certificate, key)| ClientIdentity { certificate, key });
    TlsSpec { verify, ca, client, server_name }
}

/// The lowest version that will do.
pub(super) fn tls_version(table: &mut Table<'_, '_>) -> Option<TlsVersion> {
    table.optional(
        "tls_version",
        "The lowest version of TLS that will do.",
        "`\"1.2\"`",
        &Choice::of(TlsVersion::ALL),
    )
}

/// When people are told of the certificates' end.
pub(super) fn certificate_days(table: &mut Table<'_, '_>) -> CertificateDays {
    let days = table.optional(
        "certificate_days",
        "With fewer days until a certificate ends the target is degraded (`warning`), or down (`critical`). An answer without \
         TLS is down too, where this says anything but the default.",
        "`14`",
        &Days,
    );
    days.unwrap_or_default()
}
