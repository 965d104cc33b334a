//! The PEM files that a check reads: who is trusted, and who we are.
//!
//! For the checks, to which a file that can't be used is a failure of ours, and beforehand for whoever asks whether the
//! settings are right ([`problems`]). No key is shown.

use super::provider::provider;
use crate::secrets::{self, SecretError};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::io;
use std::path::Path;
use uptime_core::monitor::{ClientIdentity, TlsSpec};
use uptime_core::secret::access::Access;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// The largest file of certificates. All authorities of a system are a quarter of it.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

#[derive(Debug)]
pub struct Problem {
    /// The setting that names it, as the configuration calls it.
    pub key: &'static str,
    pub message: String,
    pub hint: String,
}

impl Problem {
    fn new(key: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { key, message: message.into(), hint: hint.into() }
    }
}

/// What is wrong with the files that `spec` names, here and now. A key in a variable that is not set is none: the environment
/// of whoever runs the checks is another.
pub fn problems(spec: &TlsSpec, access: &Access) -> Vec<Problem> {
    let ca = spec.ca.as_deref().and_then(|path| authorities(path, access).err());
    let client = spec.client.as_ref().and_then(|client| {
        let chain = match chain(client, access) {
            Ok(chain) => chain,
            Err(problem) => return Some(problem),
        };
        let elsewhere = matches!(secrets::resolve(&client.key, access), Err(SecretError::NotSet { .. }));
        if elsewhere { None } else { identity(client, chain, &provider(), access).err() }
    });
    ca.into_iter().chain(client).collect()
}

/// The certificates of the file `path`, and a store with them.
pub(super) fn authorities(
    path: &Path,
    access: &Access,
) -> Result<(Vec<CertificateDer<'static>>, RootCertStore), Problem> {
    let authorities = certificates("ca", path, access)?;
    let mut roots = RootCertStore::empty();
    for authority in &authorities {
        roots.add(authority.clone()).map_err(|error| {
            let message =
                format!("the file `{}` has a certificate that can't be read: {error}", path.display());
            Problem::new("ca", message, "leave that certificate out of the file")
        })?;
    }
    Ok((authorities, roots))
}

/// The certificates that we show.
pub(super) fn chain(
    client: &ClientIdentity,
    access: &Access,
) -> Result<Vec<CertificateDer<'static>>, Problem> {
    certificates("client_certificate", &client.certificate, access)
}

pub(super) fn identity(
    client: &ClientIdentity,
    chain: Vec<CertificateDer<'static>>,
    provider: &CryptoProvider,
    access: &Access,
) -> Result<CertifiedKey, Problem> {
    let problem = |message: &str, hint: &str| Problem::new("client_key", message, hint);
    let pem =
        secrets::resolve(&client.key, access).map_err(|error| problem(&error.to_string(), &error.hint()))?;
    // What the reader says could quote a line of the key.
    let key = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| {
        if pem.expose().contains("ENCRYPTED") {
            problem("the key has a passphrase", "write it without one: `openssl pkey -in KEY -out PLAIN`")
        } else {
            problem("it is no key in PEM form", "it begins with `-----BEGIN PRIVATE KEY-----`")
        }
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => problem(
            &format!("the key is not that of the certificate in `{}`", client.certificate.display()),
            "name the two that belong together",
        ),
        error => problem(
            &format!("the key can't be used: {error}"),
            "RSA of 2048 bits, P-256, P-384 and Ed25519 can",
        ),
    })
}

fn certificates(
    key: &'static str,
    path: &Path,
    access: &Access,
) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let shown = path.display();
    let bytes = secrets::read(path, FILE_MAX_BYTES, access).map_err(|error| {
        let hint = match &error {
            SecretError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "correct the path, or write the file".into()
            }
            SecretError::TooLarge { .. } => "name a file with certificates alone".into(),
            error => error.hint(),
        };
        Problem::new(key, error.to_string(), hint)
    })?;
    let form = "it has certificates between `-----BEGIN CERTIFICATE-----` and `-----END CERTIFICATE-----`";
    // The names that OpenSSL has for it too, and the mark that editors put before a text.
    let text = String::from_utf8_lossy(&bytes).replace("\u{feff}", "");
    let text =
        text.replace("X509 CERTIFICATE-", "CERTIFICATE-").replace("TRUSTED CERTIFICATE-", "CERTIFICATE-");
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes())
        .map(|found| found.map(|certificate| without_notes(&certificate)))
        .collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(Problem::new(key, format!("the file `{shown}` has no certificate in PEM form"), form))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(Problem::new(key, format!("the file `{shown}` is no PEM file: {error}"), form)),
    }
}

/// A certificate without what OpenSSL notes behind it in a `TRUSTED CERTIFICATE`.
fn without_notes(certificate: &CertificateDer<'_>) -> CertificateDer<'static> {
    let notes = X509Certificate::from_der(certificate).map_or(0, |(notes, _)| notes.len());
    certificate[..certificate.len() - notes].to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};
    use uptime_core::secret::SecretRef;

    /// Each with its key, and message and hint in one.
    fn said(spec: &TlsSpec) -> Vec<(&'static str, String)> {
        let problems = problems(spec, &Access::operator()).into_iter();
        problems.map(|problem| (problem.key, format!("{}; {}", problem.message, problem.hint))).collect()
    }

    #[test]
    fn files_are_right_or_named_with_what_is_wrong() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let Made { cert, signing_key: key } =
            generate_simple_self_signed(["a.example".into()]).expect("a pair");
        let other = generate_simple_self_signed(["b.example".into()]).expect("a pair").signing_key;
        let pem = file("own.pem", &cert.pem());
        let spec = |ca: &Path, key: SecretRef| TlsSpec {
            ca: Some(ca.to_owned()),
            client: Some(ClientIdentity { certificate: pem.clone(), key }),
            ..TlsSpec::default()
        };
        let literal = |text: &str| SecretRef::Literal(text.into());
        assert_eq!(said(&spec(&pem, literal(&key.serialize_pem()))), []);
        // Whoever runs the checks may have it.
        assert_eq!(said(&spec(&pem, SecretRef::Env { env: "UPTIME_TEST_NO_SUCH_VARIABLE".into() })), []);

        let begins = |found: Vec<(&str, String)>, key: &str, begin: &str| {
            assert!(
                matches!(&found[..], [(of, said)] if *of == key && said.starts_with(begin)),
                "{begin}: {found:?}"
            );
        };
        let mixed = format!(
            "the key is not that of the certificate in `{}`; name the two that belong together",
            pem.display()
        );
        let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nsecret\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (key, begin) in [
            (other.serialize_pem().as_str(), mixed.as_str()),
            ("secret", "it is no key in PEM form; "),
            (locked, "the key has a passphrase; "),
        ] {
            begins(said(&spec(&pem, literal(key))), "client_key", begin);
        }
        let broken = file("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let none = "has no certificate in PEM form; it has certificates between `-----BEGIN CERTIFICATE-----` and \
                    `-----END CERTIFICATE-----`";
        for (path, problem) in [
            (folder.path().to_owned(), "can't be read: it is not a regular file; "),
            (file("text.pem", "text"), none),
            (broken, "has a certificate that can't be read: "),
        ] {
            let found = said(&spec(&path, literal(&key.serialize_pem())));
            begins(found, "ca", &format!("the file `{}` {problem}", path.display()));
        }
    }
}
