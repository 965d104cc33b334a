//! The plugin host from outside: real plugins, real sockets on loopback, hostile components.

mod alone;
mod compile;
mod delivery;
mod egress;
mod grants;
mod hostile;
mod interface;
mod log;
mod providers;
mod support;
mod wasi;
