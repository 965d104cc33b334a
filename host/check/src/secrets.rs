//! Where a [`SecretRef`] becomes a [`Secret`]: at the moment of its use, in the process that uses it.
//!
//! Nothing is cached, so that a rotated file or a restarted process has the new value at once. An error names the
//! variable or the file, never a value. Called by the checks (headers) and by the deliveries (channel settings).

use std::io;
use std::path::PathBuf;
use thiserror::Error;
use uptime_core::ErrorClass;
use uptime_core::secret::{Secret, SecretRef};

/// The largest file that is read as a secret. Keys and tokens are far below it; a device or a log is not.
pub const FILE_MAX_BYTES: u64 = 64 * 1024;

/// Why a secret has no value here.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The variable is not set.
    #[error("the environment variable `{name}` is not set")]
    NotSet {
        /// The variable.
        name: String,
    },
    /// The variable or the file is there, and its content is no text.
    #[error("`{from}` is not UTF-8 text")]
    NotText {
        /// The variable or the file.
        from: String,
    },
    /// The variable or the file is there and empty.
    #[error("`{from}` is empty")]
    Empty {
        /// The variable or the file.
        from: String,
        /// Which of the two.
        in_file: bool,
    },
    /// The file can't be read.
    #[error("the file `{}` can't be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is too large to be a secret.
    #[error("the file `{}` has more than {FILE_MAX_BYTES} bytes, which is no secret", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

impl SecretError {
    /// An operator has to give the value; trying again does not. But for a file that is just being written anew, or can't
    /// be read at this moment.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Empty { in_file: true, .. } => ErrorClass::Transient,
            Self::Unreadable { source, .. } if is_passing(source) => ErrorClass::Transient,
            _ => ErrorClass::Config,
        }
    }

    /// The way out.
    pub fn hint(&self) -> String {
        match self {
            Self::NotSet { name } => {
                format!(
                    "set `{name}` for this process: `Environment={name}=…` in its unit, or `export {name}=…` before it starts"
                )
            }
            Self::NotText { from } | Self::Empty { from, .. } => {
                format!("write the secret's text into `{from}`")
            }
            Self::Unreadable { path, source } if source.kind() == io::ErrorKind::NotFound => {
                format!("write the secret into `{}`, or correct the path", path.display())
            }
            Self::Unreadable { path, .. } => {
                format!("let this process's user read it: `chown` or `chmod` on `{}`", path.display())
            }
            Self::TooLarge { path } => {
                format!("point to a file with the secret alone instead of `{}`", path.display())
            }
        }
    }
}

/// Whether a file could be read a moment later without anybody's doing: descriptors or memory are short, or a disk
/// stumbled.
fn is_passing(error: &io::Error) -> bool {
    let lasts = [
        io::ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::NotADirectory,
        io::ErrorKind::IsADirectory,
        io::ErrorKind::InvalidInput,
        // Ours, for what is no regular file.
        io::ErrorKind::Unsupported,
    ];
    !lasts.contains(&error.kind())
}

/// The value that `reference` stands for, in this process, now.
///
/// # Errors
/// [`SecretError`], whose [`hint`](SecretError::hint) says what to set.
pub fn resolve(reference: &SecretRef) -> Result<Secret, SecretError> {
    match reference {
        SecretRef::Literal(value) => Ok(Secret::new(value.as_str())),
        SecretRef::Env { env } => from_variable(env, std::env::var_os(env)),
        SecretRef::File { file } => from_file(file.clone()),
    }
}

fn from_variable(name: &str, value: Option<std::ffi::OsString>) -> Result<Secret, SecretError> {
    let value = value.ok_or_else(|| SecretError::NotSet { name: name.to_owned() })?;
    let value = value.into_string().map_err(|_| SecretError::NotText { from: name.to_owned() })?;
    present(value, name, false)
}

fn from_file(path: PathBuf) -> Result<Secret, SecretError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    // Asked before it is opened: opening a pipe that nobody writes to would never return.
    let regular = std::fs::metadata(&path).and_then(|meta| {
        if meta.is_file() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::Unsupported, "it is not a regular file"))
        }
    });
    let read = regular
        .and_then(|()| std::fs::File::open(&path))
        .and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(source) => return Err(SecretError::Unreadable { path, source }),
        Ok(length) if length as u64 > FILE_MAX_BYTES => return Err(SecretError::TooLarge { path }),
        Ok(_) => {}
    }
    let from = path.display().to_string();
    let mut text = String::from_utf8(bytes).map_err(|_| SecretError::NotText { from: from.clone() })?;
    // An editor ends the last line with a newline; the secret has none.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    present(text, &from, true)
}

/// A secret that was meant to be there and is empty is an accident of deployment; it must not become an
/// unauthenticated request.
fn present(value: String, from: &str, in_file: bool) -> Result<Secret, SecretError> {
    if value.is_empty() {
        return Err(SecretError::Empty { from: from.to_owned(), in_file });
    }
    Ok(Secret::new(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn file(content: &[u8]) -> (tempfile::TempDir, SecretRef) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("token");
        std::fs::write(&file, content).expect("written");
        (directory, SecretRef::File { file })
    }

    #[test]
    fn a_files_last_newline_is_not_the_secrets() {
        for (content, secret) in
            [("word", "word"), ("word\n", "word"), ("word\r\n", "word"), ("two\nlines\n\n", "two\nlines\n")]
        {
            let (_directory, reference) = file(content.as_bytes());
            assert_eq!(resolve(&reference).expect(content).expose(), secret);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = SecretRef::Env { env: "UPTIME_TEST_NO_SUCH_VARIABLE".into() };
        let error = resolve(&missing).expect_err("not set");
        assert_eq!(error.to_string(), "the environment variable `UPTIME_TEST_NO_SUCH_VARIABLE` is not set");
        assert!(error.hint().contains("export UPTIME_TEST_NO_SUCH_VARIABLE="));

        let error = resolve(&SecretRef::File { file: "/no/such/file".into() }).expect_err("no file");
        assert!(error.to_string().starts_with("the file `/no/such/file` can't be read: "), "{error}");
        // Reading a device may never end.
        let error = resolve(&SecretRef::File { file: "/dev/zero".into() }).expect_err("a device");
        assert_eq!(error.to_string(), "the file `/dev/zero` can't be read: it is not a regular file");
        assert_eq!(error.class(), ErrorClass::Config);
    }

    #[test]
    fn what_can_be_no_secret_is_refused() {
        for content in [&b""[..], b"\n", b"\xff\xfe", &vec![b'x'; 65 * 1024]] {
            let (_directory, reference) = file(content);
            assert!(resolve(&reference).is_err(), "{} bytes", content.len());
        }
        assert!(matches!(from_variable("T", Some(OsString::new())), Err(SecretError::Empty { .. })));
        assert_eq!(from_variable("T", Some("v".into())).expect("set").expose(), "v");
        assert_eq!(resolve(&SecretRef::Literal(String::new())).expect("written so").expose(), "");
    }
}
