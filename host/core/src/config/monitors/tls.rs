//! The keys of whatever may speak TLS.

use super::super::kinds::{Boolean, Choice};
use super::super::references::Reference;
use super::super::table::{Table, keys};
use super::super::values::HOSTNAME;
use super::values::{Days, PEM, path};
use crate::monitor::{CertificateDays, ClientIdentity, TlsSpec, TlsVersion};

pub(super) const KEYS: [&str; 5] = ["verify", "ca", "client_certificate", "client_key", "server_name"];

pub(super) fn read(table: &mut Table<'_, '_>) -> TlsSpec {
    let file = "an absolute path such as `/etc/ssl/client.pem`";
    let authorities = path("an absolute path such as `/etc/ssl/own-ca.pem`", "\"/etc/ssl/own-ca.pem\"");
    let mut tls = TlsSpec::default();
    keys! { table:
        /// Fail when the certificate is not trusted; `false` only reports it.
        tls.verify = or(true, &Boolean);
        /// PEM file with trusted certificate authorities. Each worker reads its own machine's.
        tls.ca = optional("this machine's", &authorities);
        /// PEM file with the client certificate.
        let client_certificate = optional("none", &path(file, "\"/etc/ssl/client.pem\""));
        /// Key of the client certificate, as PEM.
        let client_key = optional("none", &Reference { literal: PEM, secret: true });
        /// Name for SNI that the certificate must match.
        tls.server_name = optional("the host's", &HOSTNAME);
    }
    if !tls.verify {
        let message = "`verify = false`: whoever is on the way can answer in the target's place".to_owned();
        table.warning_at(
            "verify",
            message,
            "for an authority of your own, write `ca = \"/etc/ssl/own-ca.pem\"`",
        );
    }
    for (there, missing, example) in [
        ("client_certificate", "client_key", "client_key = { file = \"/etc/ssl/client.key\" }"),
        ("client_key", "client_certificate", "client_certificate = \"/etc/ssl/client.pem\""),
    ] {
        if table.span_of(missing).is_none() {
            table.error_at(there, format!("`{there}` needs `{missing}`"), &format!("add `{example}`"));
        }
    }
    let client = client_certificate.zip(client_key);
    tls.client = client.map(|(certificate, key)| ClientIdentity { certificate, key });
    tls
}

/// The lowest version that will do, and when people are told of the certificates' end.
pub(super) fn expected(table: &mut Table<'_, '_>) -> (Option<TlsVersion>, CertificateDays) {
    keys! { table:
        /// Lowest TLS version that is accepted.
        let tls_version = optional("`\"1.2\"`", &Choice::of(TlsVersion::ALL));
        /// Degraded when a certificate expires within this many days (`warning`), down within `critical` days. A
        /// response without TLS is down unless this is the default.
        let certificate_days = optional("`14`", &Days).unwrap_or_default();
    }
    (tls_version, certificate_days)
}
