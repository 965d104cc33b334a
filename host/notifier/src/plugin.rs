//! The plugins there are, and how one is made ready: compiled at its first use, its version of the interface looked
//! up, its description asked for once.

use crate::bindings::NotifierPluginPre;
use crate::call::Call;
use crate::egress::Policy;
use crate::error::{AllowedIn, NotifierError};
use crate::limits::Limits;
use crate::quarantine::CircuitBreaker;
use crate::sandbox;
use crate::settings::{self, ResolvedSettings};
use crate::source::{COMPONENT_MOST, Origin, PluginSource};
use std::time::Instant;
use tokio::sync::{OnceCell, Semaphore};
use uptime_core::grant::HostGrant;
use uptime_core::notifier::Description;
use url::Url;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

/// The interface that a plugin exports, and the versions of it that this host speaks.
const INTERFACE: &str = "uptime:notifier/notifier";
const VERSIONS: [&str; 1] = ["0.1.0"];

/// Makes a component of a core module that bears its interface in a custom section, as wit-bindgen has the compiler
/// write it. The component is checked as a whole.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, String> {
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| format!("{error:#}"))
}

pub(crate) struct Plugin {
    pub(crate) name: String,
    pub(crate) source: PluginSource,
    pub(crate) limits: Limits,
    pub(crate) ready: OnceCell<Ready>,
    pub(crate) described: OnceCell<Described>,
    /// One permit a call.
    pub(crate) slots: Semaphore,
    pub(crate) quarantine: CircuitBreaker,
}

pub(crate) struct Ready {
    pub(crate) guest: NotifierPluginPre<Call>,
    /// The version of the interface that it is built for.
    pub(crate) interface: String,
    pub(crate) sha256: String,
    pub(crate) size: usize,
}

/// What a plugin has said of itself.
pub(crate) struct Described {
    /// The name that it gives itself. Nobody goes by it once the plugin is there: an operator may have chosen another.
    pub(crate) own_name: String,
    /// With the name that it goes by.
    pub(crate) description: Description,
}

impl Plugin {
    pub(crate) fn new(source: PluginSource, limits: &Limits) -> Self {
        let limits = limits.with(&source.limits);
        Self {
            name: source.name.clone(),
            slots: Semaphore::new(limits.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            source,
            limits,
            quarantine: CircuitBreaker::default(),
            ready: OnceCell::new(),
            described: OnceCell::new(),
        }
    }

    /// What a call for a channel with these settings and grants may reach. What a plugin asks for is granted to those
    /// that are part of the program; for any other it takes the operator's word, too.
    pub(crate) fn policy(
        &self,
        description: &Description,
        settings: &ResolvedSettings,
        allow: &[HostGrant],
    ) -> Policy {
        let is_ours = self.source.origin == Origin::BuiltIn;
        let asked = description.hosts.iter().filter(|_| is_ours).filter_map(|host| host.parse().ok());
        Policy {
            granted: asked.chain(settings::origins(description, settings)).collect(),
            allowed: self.source.allow.iter().chain(allow).cloned().collect(),
            proxy: None,
        }
    }

    /// Takes note of how a call ended: one for a channel, or the question what the plugin is.
    pub(crate) fn note<T>(&self, channel: Option<&str>, answer: &Result<T, NotifierError>) {
        let failed = answer.as_ref().is_err_and(NotifierError::is_the_plugins_fault);
        self.quarantine.note(&self.name, channel, self.limits.failures, failed, Instant::now());
    }

    /// Where an operator would allow `origin`: what the plugin asks for, for all its channels.
    pub(crate) fn allowed_in(&self, description: &Description, origin: &str) -> AllowedIn {
        let asks = Url::parse(origin).is_ok_and(|url| {
            let hosts = description.hosts.iter().filter_map(|host| host.parse::<HostGrant>().ok());
            hosts.into_iter().any(|host| host.covers(&url))
        });
        match self.source.origin {
            Origin::Installed if asks => AllowedIn::Grant,
            Origin::File if asks => AllowedIn::PluginTable,
            _ => AllowedIn::Channel,
        }
    }
}

/// What a file is by its size and its first bytes, when that is no component: wasmtime's words for it are long.
pub(crate) fn recognise(bytes: &[u8]) -> Result<(), String> {
    match bytes {
        _ if bytes.len() as u64 > COMPONENT_MOST => {
            Err(format!("it is larger than {} MiB", COMPONENT_MOST >> 20))
        }
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', _, _, _, _, ..] => Err("it is a core module, not a component".into()),
        _ => Err("it is no WebAssembly".into()),
    }
}

/// A compiled component, its imports resolved, and its version of the interface; the reason when it is no plugin for
/// this host.
pub(crate) fn link(
    engine: &Engine,
    linker: &Linker<Call>,
    component: &Component,
) -> Result<(NotifierPluginPre<Call>, String), String> {
    let ty = component.component_type();
    let version = ty
        .exports(engine)
        .find_map(|(name, _)| name.strip_prefix(INTERFACE)?.strip_prefix('@').map(str::to_owned))
        .ok_or_else(|| format!("it does not export `{INTERFACE}`"))?;
    if !VERSIONS.contains(&version.as_str()) {
        return Err(format!(
            "it is built for version {version} of the interface, and this program speaks {}",
            VERSIONS.join(", ")
        ));
    }
    let guest = linker.instantiate_pre(component).and_then(NotifierPluginPre::new);
    guest.map(|guest| (guest, version)).map_err(|error| sandbox::one_line(&error))
}
