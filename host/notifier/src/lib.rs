//! The plugin host: notifiers as sandboxed WebAssembly components.
//!
//! A notifier turns an event into requests to one provider. It runs with a clock, a log, a way to sign and a way to
//! send, each of them the host's, and with nothing else. Secrets do not enter it, its requests go where they were
//! granted, and each call ends within its limits in a typed result: [`NotifierError`] says which. The worker calls
//! [`NotifierHost::notify`], the command line the rest.

mod bindings;
mod cache;
mod call;
mod compile;
pub mod conformance;
mod convert;
mod delivery;
mod description;
mod egress;
mod error;
mod host;
mod kept;
mod limits;
mod plugin;
mod quarantine;
pub mod registry;
mod sandbox;
pub mod scripted;
mod secrets;
mod settings;
mod source;
mod trust;
mod wasi;

pub use compile::{Compiler, compile_as_child};
pub use delivery::{Delivery, Earlier, Receipt};
pub use egress::RequestPreview;
pub use error::{AllowedIn, ConfigProblem, NotifierError};
pub use host::{HostOptions, NotifierHost};
pub use limits::Limits;
pub use plugin::componentize;
pub use secrets::CLEARED_MIN;
pub use settings::{ResolvedSetting, ResolvedSettings};
pub use source::{Component, Inspection, Origin, PluginSource, is_built_in, read_regular, sha256};
