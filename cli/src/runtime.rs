//! What a process stands on: its database, its signals, its file descriptors, and for one that runs on the loop of
//! rounds ([`service`]) with its heartbeat and metrics.

pub mod database;
pub mod descriptors;
pub mod heartbeat;
pub mod listen;
pub mod metrics;
pub mod service;
pub mod signals;
