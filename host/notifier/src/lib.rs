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
mod description;
mod egress;
mod error;
mod host;
mod kept;
mod limits;
mod plugin;
mod quarantine;
pub mod registry;
pub mod rehearsal;
mod sandbox;
mod secrets;
mod settings;
mod source;
mod wasi;

pub use call::RequestPreview;
pub use compile::{Compiler, compile_as_child};
pub use error::{AllowedIn, ConfigProblem, NotifierError};
pub use host::{Before, Delivery, HostOptions, NotifierHost, Receipt};
pub use limits::Limits;
pub use plugin::{componentize, is_built_in};
pub use secrets::CLEARED_MIN;
pub use settings::{ResolvedSetting, ResolvedSettings};
pub use source::{Component, Examination, Origin, PluginSource, read_regular, sha256};
