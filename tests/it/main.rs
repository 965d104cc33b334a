//! The whole program: the built binary, a real PostgreSQL, real sockets, real components.

mod apply;
mod bounds;
mod canary;
mod check;
mod config;
mod crashes;
mod dependencies;
mod digests;
mod five_channels;
mod installation;
mod listen;
mod maintenance;
mod notices;
mod pipeline;
mod plugin_authors;
mod plugin_registry;
mod pooler;
mod queue;
mod readme;
mod schedule;
mod service;
mod sight;
mod stops;
mod torture;
mod up;
