//! Where a [`SecretRef`] becomes a [`Secret`]: at the moment of its use, in the process that uses it.
//!
//! References come from rows of the database, and whoever writes those is not whoever owns this host: each is held against
//! an [`Access`]. Nothing is cached, so that a rotated file or a restarted process has the new value at once. An error
//! names the variable or the file, never a value. Called by the checks and by the deliveries (channel settings).

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use std::io;
use std::path::{Component, Path, PathBuf};
use thiserror::Error;
use uptime_core::ErrorClass;
use uptime_core::secret::access::{Access, Denied};
use uptime_core::secret::{Secret, SecretRef};

/// The largest file that is read as a secret. Keys and tokens are far below it; a device or a log is not.
pub const FILE_MAX_BYTES: u64 = 64 * 1024;

/// Why a secret has no value here.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    #[error("the environment variable `{name}` is not set")]
    NotSet { name: String },
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
    #[error("the file `{}` can't be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The file is too large to be what it should be.
    #[error("the file `{}` has more than {most} bytes", path.display())]
    TooLarge { path: PathBuf, most: u64 },
    /// There is a control character in a value that goes into one line.
    #[error("{from} has a line break or another control character in it")]
    Control {
        /// The variable or the file.
        from: String,
    },
    /// It can be used, and they may be a slip.
    #[error("{from} has blanks at its end")]
    Blanks {
        /// The variable or the file.
        from: String,
    },
    /// A row of the database asks for what this host does not let it use.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl SecretError {
    /// An operator has to give the value; trying again does not. But for a file that is just being written anew, or can't
    /// be read at this moment, and for what this host does not allow yet: that is one line in its file away, other hosts may
    /// allow it already, and what waits for it is sent then.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Empty { in_file: true, .. } | Self::Denied(_) => ErrorClass::Transient,
            Self::Unreadable { source, .. } if is_passing(source) => ErrorClass::Transient,
            _ => ErrorClass::Config,
        }
    }

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
            Self::TooLarge { path, .. } => {
                format!("point to a file with the secret alone instead of `{}`", path.display())
            }
            Self::Control { .. } | Self::Blanks { .. } => {
                "write the value alone, on one line: `printf %s VALUE > FILE`".into()
            }
            Self::Denied(denied) => denied.hint().to_owned(),
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

/// The value that `reference` stands for, in this process, now. A byte order mark and line breaks at its end, which editors
/// and `echo` write, are none of it.
///
/// # Errors
/// [`SecretError`], whose [`hint`](SecretError::hint) says what to set.
pub fn resolve(reference: &SecretRef, access: &Access) -> Result<Secret, SecretError> {
    match reference {
        SecretRef::Literal(value) => Ok(Secret::new(value.as_str())),
        SecretRef::Env { env } => {
            access.variable(env)?;
            from_variable(env, std::env::var_os(env))
        }
        SecretRef::File { file } => from_file(file, access),
    }
}

/// As [`resolve`], of a value that goes into one line: no control character may be in it.
///
/// # Errors
/// [`SecretError`], whose [`hint`](SecretError::hint) says what to set.
pub fn resolve_line(reference: &SecretRef, access: &Access) -> Result<Secret, SecretError> {
    let secret = resolve(reference, access)?;
    match origin(reference) {
        Some(from) if !secret.is_line() => Err(SecretError::Control { from }),
        // What stands in the file its reader has looked at, and so does whoever sends it.
        _ => Ok(secret),
    }
}

/// What is wrong, or looks like a slip, with a value that lives elsewhere: for who looks the file over. What is not set here
/// may be set where the workers run.
pub fn check_sources(reference: &SecretRef, in_line: bool, access: &Access) -> Option<SecretError> {
    let from = origin(reference)?;
    let value = if in_line { resolve_line(reference, access) } else { resolve(reference, access) };
    match value {
        Ok(secret) if secret.expose().ends_with([' ', '\t']) => Some(SecretError::Blanks { from }),
        Ok(_) | Err(SecretError::NotSet { .. }) => None,
        Err(error) => Some(error),
    }
}

/// The variable or the file that a value is in; `None`: it is written where the reference is.
pub fn origin(reference: &SecretRef) -> Option<String> {
    match reference {
        SecretRef::Literal(_) => None,
        SecretRef::Env { env } => Some(format!("`{env}`")),
        SecretRef::File { file } => Some(format!("`{}`", file.display())),
    }
}

fn from_variable(name: &str, value: Option<std::ffi::OsString>) -> Result<Secret, SecretError> {
    let value = value.ok_or_else(|| SecretError::NotSet { name: name.to_owned() })?;
    let value = value.into_string().map_err(|_| SecretError::NotText { from: name.to_owned() })?;
    present(&value, name, false)
}

fn from_file(path: &Path, access: &Access) -> Result<Secret, SecretError> {
    let bytes = read(path, FILE_MAX_BYTES, access)?;
    let from = path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText { from: from.clone() })?;
    present(&text, &from, true)
}

/// The content of a regular file that `access` allows, of at most `most` bytes.
pub(crate) fn read(path: &Path, most: u64, access: &Access) -> Result<Vec<u8>, SecretError> {
    use std::io::Read as _;
    access.file(path)?;
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let target = path.canonicalize().map_err(unreadable)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new(".")).canonicalize().map_err(unreadable)?;
    let unlinked = path.file_name().map_or_else(|| folder.clone(), |name| folder.join(name));
    let folders: Vec<PathBuf> = access.folders().filter_map(|folder| folder.canonicalize().ok()).collect();
    access.target(path, &unlinked, &target, &folders)?;
    let file = open(&target).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(SecretError::TooLarge { path: path.to_owned(), most });
    }
    Ok(bytes)
}

/// Opens a regular file by a path that has no link in it. Each folder on the way is opened in the one before it and no link
/// is followed, so that whoever owns one of them can't put a link there after the path was judged.
fn open(path: &Path) -> io::Result<std::fs::File> {
    #[cfg(target_os = "linux")]
    const FOLDER: OFlags = OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    const FOLDER: OFlags = OFlags::RDONLY;
    let irregular = || io::Error::new(io::ErrorKind::Unsupported, "it is not a regular file");
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(irregular()) };
    let safely = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = fs::open("/", FOLDER | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for component in folder.components() {
        if let Component::Normal(name) = component {
            at = fs::openat(&at, name, FOLDER | OFlags::DIRECTORY | safely, Mode::empty())?;
        }
    }
    // Asked before it is opened, which can do something to a device, and again of what was opened.
    let is_regular = |stat: fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_regular(fs::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW)?) {
        return Err(irregular());
    }
    // Opening a pipe that nobody writes to would never return.
    let file = fs::openat(&at, name, OFlags::RDONLY | OFlags::NONBLOCK | safely, Mode::empty())?;
    if is_regular(fs::fstat(&file)?) { Ok(file.into()) } else { Err(irregular()) }
}

/// The value alone. A secret that was meant to be there and is empty is an accident of deployment; it must not become an
/// unauthenticated request.
fn present(value: &str, from: &str, in_file: bool) -> Result<Secret, SecretError> {
    let value = value.strip_prefix('\u{feff}').unwrap_or(value).trim_end_matches(['\n', '\r']);
    if value.trim().is_empty() {
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

    fn resolved(reference: &SecretRef) -> Result<Secret, SecretError> {
        resolve(reference, &Access::operator())
    }

    #[test]
    fn a_mark_before_it_and_newlines_behind_it_are_not_the_secrets() {
        for (content, secret) in [
            ("word", "word"),
            ("word\n", "word"),
            ("word\r\n", "word"),
            ("two\nlines\n\n", "two\nlines"),
            ("\u{feff}word \r\n\r\n", "word "),
        ] {
            let (_directory, reference) = file(content.as_bytes());
            assert_eq!(resolved(&reference).expect(content).expose(), secret);
            assert_eq!(from_variable("T", Some(content.into())).expect(content).expose(), secret);
        }
    }

    #[test]
    fn one_line_has_no_control_character() {
        for (content, is_line) in [
            ("a b\tc\n", true),
            ("word\r\n", true),
            ("two\nlines", false),
            ("word\n\n", true),
            ("\x1b[0m", false),
        ] {
            let (_directory, reference) = file(content.as_bytes());
            let line = resolve_line(&reference, &Access::operator());
            assert_eq!(line.is_ok(), is_line, "{content:?}");
            let Err(error) = line else { continue };
            let said = error.to_string();
            assert!(said.ends_with("has a line break or another control character in it"), "{said}");
            assert!(error.hint().contains("on one line"), "{}", error.hint());
        }
    }

    #[test]
    fn who_looks_the_file_over_is_told_of_slips() {
        for (content, in_line, said) in [
            ("word", true, ""),
            ("word \n", true, "has blanks at its end"),
            (" \n", false, "is empty"),
            ("t0\nk", true, "has a line break or another control character in it"),
            ("t0\nk", false, ""),
        ] {
            let (_directory, reference) = file(content.as_bytes());
            let error =
                check_sources(&reference, in_line, &Access::operator()).map(|error| error.to_string());
            assert!(
                error.as_ref().map_or(said.is_empty(), |error| error.ends_with(said)),
                "{content:?}: {error:?}"
            );
            assert_eq!(error.is_some(), !said.is_empty(), "{content:?}");
        }
        let elsewhere = SecretRef::Env { env: "UPTIME_TEST_NO_SUCH_VARIABLE".into() };
        assert!(check_sources(&elsewhere, true, &Access::operator()).is_none());
    }

    #[test]
    fn rows_read_what_this_host_allows_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a directory");
        let root = folder.path().canonicalize().expect("a path");
        for (name, content) in [("kept/token", "inside"), ("outside", "outside")] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
        let kept = root.join("kept");
        for (target, link) in [
            (root.join("outside"), kept.join("link")),
            ("token".into(), kept.join("alias")),
            (root.clone(), kept.join("up")),
            (kept.clone(), root.join("other-way")),
        ] {
            std::os::unix::fs::symlink(target, link).expect("a link");
        }
        let pipe = kept.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
        let access = |folder: &Path| Access::from_environment("", folder.to_str().expect("text"));
        let read = |access: &Access, name: &str| {
            resolve(&SecretRef::File { file: root.join(name) }, access)
                .map(|secret| secret.expose().to_owned())
        };
        let within = access(&kept);
        assert_eq!(read(&within, "kept/token").expect("allowed"), "inside");
        assert_eq!(read(&within, "kept/alias").expect("it stays inside"), "inside");
        for name in ["outside", "kept/../outside", "kept/link", "kept/up/outside", "other-way/token"] {
            let error = read(&within, name).expect_err(name);
            assert!(matches!(error, SecretError::Denied(_)), "{name}: {error}");
            assert_eq!(error.class(), ErrorClass::Transient, "what waits is sent when it is allowed");
            assert!(error.hint().contains("UPTIME_ALLOW_FILES="), "{}", error.hint());
        }
        let error = read(&within, "kept/pipe").expect_err("no file").to_string();
        assert!(error.ends_with("it is not a regular file"), "{error}");
        // A folder that is itself reached by a link.
        assert_eq!(read(&access(&root.join("other-way")), "other-way/token").expect("allowed"), "inside");
        let nothing = Access::from_environment("", "");
        assert!(matches!(read(&nothing, "kept/token"), Err(SecretError::Denied(_))));
        // Set in each process, so that it is the list that refuses it.
        let path = SecretRef::Env { env: "PATH".into() };
        assert!(matches!(resolve(&path, &nothing), Err(SecretError::Denied(_))));
        assert!(resolve(&path, &Access::from_environment("PATH", "")).is_ok());
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = SecretRef::Env { env: "UPTIME_TEST_NO_SUCH_VARIABLE".into() };
        let error = resolved(&missing).expect_err("not set");
        assert_eq!(error.to_string(), "the environment variable `UPTIME_TEST_NO_SUCH_VARIABLE` is not set");
        assert!(error.hint().contains("export UPTIME_TEST_NO_SUCH_VARIABLE="));

        let error = resolved(&SecretRef::File { file: "/no/such/file".into() }).expect_err("no file");
        assert!(error.to_string().starts_with("the file `/no/such/file` can't be read: "), "{error}");
        // Reading a device may never end.
        let error = resolved(&SecretRef::File { file: "/dev/zero".into() }).expect_err("a device");
        assert_eq!(error.to_string(), "the file `/dev/zero` can't be read: it is not a regular file");
        assert_eq!(error.class(), ErrorClass::Config);
    }

    #[test]
    fn what_can_be_no_secret_is_refused() {
        for content in
            [&b""[..], b"\n", b" \t\n", "\u{feff}\n".as_bytes(), b"\xff\xfe", &vec![b'x'; 65 * 1024]]
        {
            let (_directory, reference) = file(content);
            assert!(resolved(&reference).is_err(), "{} bytes", content.len());
        }
        assert!(matches!(from_variable("T", Some(OsString::new())), Err(SecretError::Empty { .. })));
        assert_eq!(from_variable("T", Some("v".into())).expect("set").expose(), "v");
        assert_eq!(resolved(&SecretRef::Literal(String::new())).expect("written so").expose(), "");
    }
}
