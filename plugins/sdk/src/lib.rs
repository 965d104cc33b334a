//! What a notifier plugin for `uptime` is written with.
//!
//! A plugin implements [`Notifier`] and calls [`export!`]. Everything that it can reach is behind [`Host`], so its
//! tests run natively against [`testing::FakeHost`] without any WebAssembly. Beside that there are the things every
//! notifier needs and every notifier gets wrong: [`verdict`], the one rule for what is tried again; [`text`], for
//! cutting and escaping. The words for each event are composed by the host: [`Event::message`](Event).

#![warn(missing_docs)]

mod adapter;
#[doc(hidden)]
pub mod bindings;
mod describe;
mod exchange;
mod host;
pub mod json;
mod message;
mod settings;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod text;
pub mod verdict;

pub use bindings::uptime::notifier::http::{Encoding, HttpError, Method, Request, Response, Signature};
pub use bindings::uptime::notifier::log::Level;
pub use bindings::uptime::notifier::secrets::Piece;
pub use bindings::uptime::notifier::types::{
    Delivery, Description, Event, Fact, Field, FieldKind, Hash, HeaderPlace, Instant, Link, Message,
    NotifyError, Part, Phase, Place, Problem, Receipt, Retry, Setting, SettingValue, Severity, Value,
};
pub use host::Host;
pub use json::Json;
pub use serde_json;
pub use settings::Settings;

#[doc(hidden)]
pub mod __export {
    //! What [`export!`](crate::export) needs to name.
    pub use crate::adapter::Adapter;
    pub use crate::bindings;
}

/// A notifier.
pub trait Notifier {
    /// What it is, which settings its channels take and which hosts it asks for.
    fn describe() -> Description;

    /// What is wrong with a channel's settings. Missing and unknown keys, kinds and choices have been looked at.
    fn validate(settings: &Settings) -> Vec<Problem>;

    /// Tells the event. `Ok` when the provider has accepted the message.
    ///
    /// # Errors
    /// [`NotifyError`] says whether another try makes sense; [`verdict`] knows it for a status.
    fn notify(
        settings: &Settings,
        event: &Event,
        delivery: &Delivery,
        host: &mut dyn Host,
    ) -> Result<Receipt, NotifyError>;
}

/// Makes a component of a [`Notifier`]. Natively it makes nothing.
#[macro_export]
macro_rules! export {
    ($notifier:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = $crate::__export::Adapter<$notifier>;
    $crate::__export::bindings::export_component!(Component with_types_in $crate::__export::bindings);
        };
    };
}

/// The guide's example, compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../cli/guide/plugins.md")]
struct Guide;
