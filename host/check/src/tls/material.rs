//! What a handshake needs beside the target: who is trusted, and who we are.
//!
//! Both come from files and take milliseconds to read, so they are kept, for each distinct pair of settings. A file
//! that was replaced counts from the next check on: each check asks for its files' time and size and nothing more.

use crate::secrets;
use rustls::client::{ClientConfig, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, RootCertStore};
use std::collections::HashMap;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::{ClientIdentity, TlsSpec};
use uptime_core::secret::SecretRef;

/// How many pairs of settings are kept. With more of them in use some are read anew at each check.
const KEPT_MAX: usize = 256;

/// The largest file of certificates. All authorities of a system are a quarter of it.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// All that handshakes with the same files share.
#[derive(Debug)]
pub(super) struct Material {
    /// Without verifier and identity: they are each handshake's own.
    pub(super) config: ClientConfig,
    pub(super) roots: Arc<RootCertStore>,
    /// `None` without any root: nothing can be verified.
    pub(super) verifier: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates of `ca`. One that a target shows itself is trusted as it is.
    pub(super) pinned: Vec<CertificateDer<'static>>,
    pub(super) identity: Option<Arc<CertifiedKey>>,
    /// Why there are no roots.
    pub(super) no_roots: Option<String>,
}

impl Material {
    /// With `roots` and no identity.
    pub(super) fn with_roots(roots: RootCertStore, no_roots: &str) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let none = roots.is_empty();
        let roots = Arc::new(roots);
        Ok(Self {
            config,
            verifier: verifier(&roots, &provider)?,
            roots,
            pinned: Vec::new(),
            identity: None,
            no_roots: none.then(|| no_roots.to_owned()),
        })
    }

    /// With what this machine trusts and no identity.
    pub(super) fn native() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // A single certificate that rustls can't read is no reason to trust none of the others.
        roots.add_parsable_certificates(found.certs);
        let reason = found.errors.first().map_or_else(|| "none was found".to_owned(), ToString::to_string);
        Self::with_roots(roots, &reason)
    }

    /// With what `settings` name in place of what `native` has.
    fn read(native: &Self, settings: &Settings) -> Result<Self, Failure> {
        let provider = native.config.crypto_provider();
        let mut material = Self {
            config: native.config.clone(),
            roots: Arc::clone(&native.roots),
            verifier: native.verifier.clone(),
            pinned: Vec::new(),
            identity: None,
            no_roots: native.no_roots.clone(),
        };
        if let Some(path) = &settings.ca {
            let authorities = certificates("ca", path)?;
            let mut roots = RootCertStore::empty();
            for authority in &authorities {
                roots.add(authority.clone()).map_err(|error| {
                    settings_failure("ca", path, &format!("has a certificate that can't be read ({error})"))
                })?;
            }
            material.roots = Arc::new(roots);
            material.verifier = verifier(&material.roots, provider)
                .map_err(|error| settings_failure("ca", path, &format!("can't be used ({error})")))?;
            material.pinned = authorities;
            material.no_roots = None;
        }
        if let Some(client) = &settings.client {
            material.identity = Some(Arc::new(identity(client, provider)?));
        }
        Ok(material)
    }
}

fn verifier(
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, TlsError> {
    if roots.is_empty() {
        return Ok(None);
    }
    WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .build()
        .map(Some)
        .map_err(|error| TlsError::General(error.to_string()))
}

/// The part of a [`TlsSpec`] that names files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Settings {
    ca: Option<PathBuf>,
    client: Option<ClientIdentity>,
}

impl Settings {
    fn files(&self) -> impl Iterator<Item = &Path> {
        let client = self.client.as_ref();
        let key = client.and_then(|client| match &client.key {
            SecretRef::File { file } => Some(file),
            SecretRef::Literal(_) | SecretRef::Env { .. } => None,
        });
        let certificate = client.map(|client| &client.certificate);
        [self.ca.as_ref(), certificate, key].into_iter().flatten().map(PathBuf::as_path)
    }

    /// What tells that a file was replaced. One that isn't there has a stamp too.
    fn stamps(&self) -> Vec<Option<Stamp>> {
        let stamp = |path| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len(), meta.ino()))
        };
        self.files().map(stamp).collect()
    }
}

/// When a file was written, its size and its number in the file system.
type Stamp = (SystemTime, u64, u64);

struct Kept {
    material: Arc<Material>,
    stamps: Vec<Option<Stamp>>,
    last_used: u64,
}

/// The materials of a process.
pub(super) struct Materials {
    native: Arc<Material>,
    kept: Mutex<(HashMap<Settings, Kept>, u64)>,
}

impl Materials {
    pub(super) fn new(native: Material) -> Self {
        Self { native: Arc::new(native), kept: Mutex::default() }
    }

    /// What `spec` asks for.
    ///
    /// # Errors
    /// A failure of ours (`settings`) that names the file and the way out.
    pub(super) fn of(&self, spec: &TlsSpec) -> Result<Arc<Material>, Failure> {
        if spec.ca.is_none() && spec.client.is_none() {
            return Ok(Arc::clone(&self.native));
        }
        let settings = Settings { ca: spec.ca.clone(), client: spec.client.clone() };
        // Taken before the files are read: one that is replaced meanwhile is read again at the next check.
        let stamps = settings.stamps();
        if let Some(material) = self.kept(&settings, &stamps) {
            return Ok(material);
        }
        let material = Arc::new(Material::read(&self.native, &settings)?);
        self.keep(settings, Arc::clone(&material), stamps);
        Ok(material)
    }

    fn kept(&self, settings: &Settings, stamps: &[Option<Stamp>]) -> Option<Arc<Material>> {
        let (kept, uses) = &mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get_mut(settings).filter(|found| found.stamps == stamps)?;
        *uses += 1;
        found.last_used = *uses;
        Some(Arc::clone(&found.material))
    }

    fn keep(&self, settings: Settings, material: Arc<Material>, stamps: Vec<Option<Stamp>>) {
        let (kept, uses) = &mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *uses += 1;
        if kept.len() >= KEPT_MAX && !kept.contains_key(&settings) {
            let oldest =
                kept.iter().min_by_key(|(_, kept)| kept.last_used).map(|(settings, _)| settings.clone());
            oldest.map(|settings| kept.remove(&settings));
        }
        kept.insert(settings, Kept { material, stamps, last_used: *uses });
    }
}

/// The certificates of the PEM file `path`, at least one. `key` is the setting that names it.
fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let bytes =
        bytes_of(path).map_err(|error| settings_failure(key, path, &format!("can't be read: {error}")))?;
    let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(settings_failure(key, path, "has no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(settings_failure(key, path, &format!("is no PEM file: {error}"))),
    }
}

fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    // Asked before it is opened: opening a pipe that nobody writes to would never return.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let length = std::fs::File::open(path)?.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if length as u64 > FILE_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 1 MiB"));
    }
    Ok(bytes)
}

fn identity(client: &ClientIdentity, provider: &CryptoProvider) -> Result<CertifiedKey, Failure> {
    let chain = certificates("client_certificate", &client.certificate)?;
    let failed = |why: String| Failure::new(FailureClass::Settings, format!("`client_key`: {why}"));
    let pem = secrets::resolve(&client.key).map_err(|error| failed(format!("{error}; {}", error.hint())))?;
    let key = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| {
        // What the reader says could quote a line of the key.
        failed(if pem.expose().contains("ENCRYPTED") {
            "the key has a passphrase: write it without one (`openssl pkey -in KEY -out PLAIN`)".to_owned()
        } else {
            "it is no key in PEM form (`-----BEGIN PRIVATE KEY-----`)".to_owned()
        })
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        TlsError::InconsistentKeys(_) => failed(format!(
            "the key is not that of the certificate in `{}`: name the two that belong together",
            client.certificate.display()
        )),
        error => {
            failed(format!("the key can't be used ({error}): RSA of 2048 bits, P-256, P-384 and Ed25519 can"))
        }
    })
}

fn settings_failure(key: &str, path: &Path, why: &str) -> Failure {
    let message = format!("`{key}`: the file `{}` {why}; correct the path or the file", path.display());
    Failure::new(FailureClass::Settings, message)
}
