//! The plugin host from outside: real plugins, real sockets on loopback, hostile components.

mod delivery;
mod egress;
mod grants;
mod hostile;
mod support;
mod wasi;
