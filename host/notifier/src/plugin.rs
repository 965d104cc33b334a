//! The plugins there are, and how one is made ready: compiled at its first use, its version of the interface looked
//! up, its description asked for once.

use crate::bindings::NotifierPluginPre;
use crate::call::Call;
use crate::limits::Limits;
use std::borrow::Cow;
use tokio::sync::{OnceCell, Semaphore};
use uptime_core::notifier::Description;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

/// The interface that a plugin exports, and the versions of it that this host speaks.
const INTERFACE: &str = "uptime:notifier/notifier";
const VERSIONS: [&str; 1] = ["0.1.0"];

/// The notifiers that are part of the program, as `.ci/plugins` has built them.
pub(crate) const BUILT_IN: [(&str, &[u8]); 4] = [
    ("discord", include_bytes!("../../../plugins/built/discord.wasm")),
    ("slack", include_bytes!("../../../plugins/built/slack.wasm")),
    ("telegram", include_bytes!("../../../plugins/built/telegram.wasm")),
    ("webhook", include_bytes!("../../../plugins/built/webhook.wasm")),
];

/// One plugin.
pub(crate) struct Plugin {
    pub(crate) name: String,
    pub(crate) bytes: Cow<'static, [u8]>,
    pub(crate) limits: Limits,
    pub(crate) ready: OnceCell<NotifierPluginPre<Call>>,
    pub(crate) description: OnceCell<Description>,
    /// One permit a call.
    pub(crate) slots: Semaphore,
}

impl Plugin {
    pub(crate) fn new(name: impl Into<String>, bytes: impl Into<Cow<'static, [u8]>>, limits: Limits) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
            slots: Semaphore::new(limits.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            limits,
            ready: OnceCell::new(),
            description: OnceCell::new(),
        }
    }
}

/// The largest component that is compiled. A Python interpreter is 20 to 40 MiB of it.
const COMPONENT_MAX: usize = 64 << 20;

/// What a file is by its size and its first bytes, when that is no component: wasmtime's words for it are long.
pub(crate) fn look(bytes: &[u8]) -> Result<(), String> {
    match bytes {
        _ if bytes.len() > COMPONENT_MAX => Err(format!("it is larger than {} MiB", COMPONENT_MAX >> 20)),
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', _, _, _, _, ..] => Err("it is a core module, not a component".into()),
        _ => Err("it is no WebAssembly".into()),
    }
}

/// A compiled component, its imports resolved; the reason when it is no plugin for this host.
pub(crate) fn link(
    engine: &Engine,
    linker: &Linker<Call>,
    component: &Component,
) -> Result<NotifierPluginPre<Call>, String> {
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
    linker.instantiate_pre(component).and_then(NotifierPluginPre::new).map_err(|error| one_line(&error))
}

/// An error of wasmtime with its causes.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    uptime_core::check::printable(&format!("{error:#}"), 500)
}
