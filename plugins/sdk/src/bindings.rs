//! What wit-bindgen makes of `wit/notifier/0.1.0`.

#![allow(missing_docs, clippy::pedantic, reason = "generated; the documentation is in the WIT files")]

wit_bindgen::generate!({
    path: "../../wit/notifier/0.1.0",
    world: "notifier-plugin",
    additional_derives: [PartialEq, serde::Deserialize],
    pub_export_macro: true,
    export_macro_name: "export_component",
});
