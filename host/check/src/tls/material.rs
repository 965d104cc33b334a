//! What a handshake needs beside the target: who is trusted, and who we are.
//!
//! Both come from files and take milliseconds to read, so they are kept, for each distinct pair of settings. A file
//! that was replaced counts from the next check on: each check asks for its files' time and size and nothing more.

use super::authorities::Authorities;
use super::files::{self, Problem};
use super::provider::provider;
use crate::cache::Cache;
use rustls::client::{ClientConfig, Resumption};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, RootCertStore};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::{ClientIdentity, TlsSpec};
use uptime_core::secret::SecretRef;
use uptime_core::secret::access::Access;

/// All that handshakes with the same files share.
#[derive(Debug)]
pub(super) struct TlsSettings {
    /// Without verifier and identity: they are each handshake's own.
    pub(super) config: ClientConfig,
    pub(super) authorities: Arc<Authorities>,
    /// The certificates of `ca`. One that a target shows itself is trusted as it is.
    pub(super) pinned: Vec<CertificateDer<'static>>,
    pub(super) identity: Option<Arc<CertifiedKey>>,
    pub(super) no_roots: Option<String>,
}

impl TlsSettings {
    /// With `authorities` and no identity; `no_roots` says why there may be none.
    pub(super) fn with(authorities: Authorities, no_roots: &str) -> Result<Self, TlsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self {
            config,
            no_roots: authorities.is_empty().then(|| no_roots.to_owned()),
            authorities: Arc::new(authorities),
            pinned: Vec::new(),
            identity: None,
        })
    }

    /// With what this machine trusts and no identity.
    pub(super) fn native() -> Result<Self, TlsError> {
        let mut found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // A single certificate that rustls can't read is no reason to trust none of the others.
        found.certs.retain(|certificate| roots.add(certificate.clone()).is_ok());
        let reason = found.errors.first().map_or_else(|| "none was found".to_owned(), ToString::to_string);
        Self::with(Authorities::new(roots, &found.certs)?, &reason)
    }

    /// With what `settings` name in place of what `native` has.
    fn read(native: &Self, settings: &Settings, access: &Access) -> Result<Self, Failure> {
        let mut material = Self {
            config: native.config.clone(),
            authorities: Arc::clone(&native.authorities),
            pinned: Vec::new(),
            identity: None,
            no_roots: native.no_roots.clone(),
        };
        if let Some(path) = &settings.ca {
            let (certificates, roots) = files::authorities(path, access).map_err(failure)?;
            let authorities = Authorities::new(roots, &certificates).map_err(|error| {
                let message = format!("`ca`: the file `{}` can't be used: {error}", path.display());
                Failure::new(FailureClass::Settings, message)
            })?;
            material.authorities = Arc::new(authorities);
            material.pinned = certificates;
            material.no_roots = None;
        }
        if let Some(client) = &settings.client {
            let chain = files::chain(client, access).map_err(failure)?;
            let identity = files::identity(client, chain, &provider(), access).map_err(failure)?;
            material.identity = Some(Arc::new(identity));
        }
        Ok(material)
    }
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

pub(super) struct Materials {
    native: Arc<TlsSettings>,
    /// Beside the stamps of the files that each was read from.
    read: Cache<Settings, (Vec<Option<Stamp>>, Arc<TlsSettings>)>,
}

impl Materials {
    pub(super) fn new(native: TlsSettings) -> Self {
        Self { native: Arc::new(native), read: Cache::default() }
    }

    /// What `spec` asks for.
    ///
    /// # Errors
    /// A failure of ours (`settings`) that names the file and the way out.
    pub(super) fn of(&self, spec: &TlsSpec, access: &Access) -> Result<Arc<TlsSettings>, Failure> {
        if spec.ca.is_none() && spec.client.is_none() {
            return Ok(Arc::clone(&self.native));
        }
        let settings = Settings { ca: spec.ca.clone(), client: spec.client.clone() };
        // Taken before the files are read: one that is replaced meanwhile is read again at the next check.
        let stamps = settings.stamps();
        let make = || Ok((stamps.clone(), Arc::new(TlsSettings::read(&self.native, &settings, access)?)));
        let (_, material) = self.read.get(&settings, |(kept, _)| *kept == stamps, make)?;
        Ok(material)
    }
}

/// Of ours: the target has no part in it.
fn failure(Problem { key, message, hint }: Problem) -> Failure {
    Failure::new(FailureClass::Settings, format!("`{key}`: {message}; {hint}"))
}
