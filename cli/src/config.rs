//! The configuration: where it is, what it says, and the plugins that it names.

pub mod file;
pub mod locate;
pub mod plugins;
