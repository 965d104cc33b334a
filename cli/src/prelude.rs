//! What nearly every command needs: its way to answer, its errors, and the types of what it tells of.

pub use crate::args::Global;
pub use crate::confirm::confirm;
pub use crate::exit::{
    CommandError, Exit, Result, answer_no, bug, config_error, unavailable, unreadable, unwritable,
    usage_error,
};
pub use crate::output::{BAD, Cell, Column, FAINT, GOOD, HINT, ODD, Printer, listed, rfc3339, with};
pub use anstyle::Style;
pub use jiff::Timestamp;
pub use serde_json::{Value, json};
pub use std::path::{Path, PathBuf};
pub use std::sync::Arc;
pub use std::time::Duration;
pub use uptime_core::text::{did_you_mean, printable};
pub use uptime_store::Store;
