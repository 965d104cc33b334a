//! Everything that is SQL.
//!
//! One module for each thing that is kept: [`queue`] (jobs, whatever they are about), [`schedule`] (what is due),
//! [`catalogue`] (what the file says is to be watched and told), [`results`] (the one transaction behind a batch of
//! checks), [`notifications`] (deliveries and their tries), [`reading`] (what people look at). The store decides
//! nothing: judgement, retries and filters are its callers'. Between hosts the database's clock rules.

mod connection;
mod error;
mod row;

pub mod catalogue;
pub mod notifications;
pub mod queue;
pub mod reading;
pub mod results;
pub mod schedule;

pub use connection::{Sole, Store, Wakeups};
pub use error::StoreError;

pub use uptime_core::config::{MONITOR_CHECKS, NOTIFICATIONS};
