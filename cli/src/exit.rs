//! Exit codes, and the errors that a command ends with. `uptime help exit-codes` prints the table from here.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use uptime_core::ErrorClass;
use uptime_core::queue::TimeoutConflict;
use uptime_engine::deliveries::DeliveryError;
use uptime_notifier::NotifierError;
use uptime_notifier::registry::RegistryError;
use uptime_postgres::PostgresError;
use uptime_store::StoreError;

/// What a script learns from the exit code. A contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    No = 1,
    Usage = 2,
    Unknown = 3,
    Unavailable = 69,
    Bug = 70,
    TryAgain = 75,
    Config = 78,
}

impl Exit {
    /// Each with a line for people.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Ok, "success"),
        (
            Self::No,
            "the answer is no: a check is down, a queue is over its limit, a test message was refused, a plugin's test \
             differs",
        ),
        (Self::Usage, "invalid command line, or a name that nothing has"),
        (Self::Unknown, "unknown; only `check --nagios`, where 1 is a warning and 2 critical"),
        (Self::Unavailable, "the database or a service is unreachable"),
        (Self::Bug, "a bug in uptime"),
        (Self::TryAgain, "temporary failure: try again"),
        (Self::Config, "invalid configuration"),
    ];
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<ErrorClass> for Exit {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Transient => Self::Unavailable,
            ErrorClass::Permanent => Self::No,
            ErrorClass::Config => Self::Config,
            ErrorClass::Bug => Self::Bug,
        }
    }
}

pub type Result<T, E = CommandError> = std::result::Result<T, E>;

/// Why a command ended: `error: …`, perhaps more lines, and `hint: …`.
#[derive(Debug)]
pub struct CommandError {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
    /// Printed as it is, in place of `error: …`: diagnostics that say everything themselves.
    pub rendered: Option<String>,
    /// What a command that was asked for JSON answers all the same.
    pub json: Option<serde_json::Value>,
}

impl CommandError {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, rendered: None, json: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

macro_rules! constructors {
    ($($name:ident: $exit:ident),+) => {$(
        pub fn $name(message: impl Into<String>) -> CommandError {
            CommandError::new(Exit::$exit, message)
        }
    )+};
}

constructors!(answer_no: No, usage_error: Usage, unavailable: Unavailable, bug: Bug, config_error: Config);

/// What a file that can't be read means for a command that was given it.
pub fn unreadable(path: &Path, error: &std::io::Error) -> CommandError {
    config_error(format!("`{}` can't be read: {error}", path.display()))
}

pub fn unwritable(path: &Path, error: &std::io::Error) -> CommandError {
    config_error(format!("`{}` can't be written: {error}", path.display()))
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::new(error.class().into(), error.to_string()).hint(error.hint())
    }
}

impl From<PostgresError> for CommandError {
    fn from(error: PostgresError) -> Self {
        let exit = if error.is_transient() { Exit::TryAgain } else { Exit::Unavailable };
        Self { hint: error.hint(), ..Self::new(exit, error.to_string()) }
    }
}

macro_rules! errors {
    ($($error:ty),+) => {$(
        impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self { hint: error.hint().into(), ..Self::new(error.class().into(), error.to_string()) }
            }
        }
    )+};
}

errors!(NotifierError, RegistryError, DeliveryError);

impl From<TimeoutConflict> for CommandError {
    fn from(error: TimeoutConflict) -> Self {
        Self::new(Exit::Config, error.to_string()).hint(error.hint())
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Unavailable, error.to_string())
    }
}
