//! Where a plugin comes from: the program, a data directory, the configuration file.

use crate::secrets::hex;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use uptime_core::grant::HostGrant;
use uptime_core::notifier::{Description, LimitChanges};

/// The largest component that is read and compiled: one with a whole Python in it has 20 to 40 MiB.
pub(crate) const COMPONENT_MOST: u64 = 64 << 20;

/// The notifiers that are part of the program, as `.ci/plugins` has built them.
const BUILT_IN: [(&str, &[u8]); 7] = [
    ("discord", include_bytes!("../../../plugins/built/discord.wasm")),
    ("matrix", include_bytes!("../../../plugins/built/matrix.wasm")),
    ("ntfy", include_bytes!("../../../plugins/built/ntfy.wasm")),
    ("pagerduty", include_bytes!("../../../plugins/built/pagerduty.wasm")),
    ("slack", include_bytes!("../../../plugins/built/slack.wasm")),
    ("telegram", include_bytes!("../../../plugins/built/telegram.wasm")),
    ("webhook", include_bytes!("../../../plugins/built/webhook.wasm")),
];

/// Whether a plugin of this name is built in.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is part of the program.
    BuiltIn,
    /// Brought by `uptime plugin add`.
    Installed,
    /// `[plugins.NAME]` of the file.
    File,
}

impl Origin {
    /// One word, for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Installed => "installed",
            Self::File => "file",
        }
    }
}

/// A plugin, what it was granted and what it may use up.
#[derive(Clone, Debug)]
pub struct PluginSource {
    /// The word in `notifier = "…"`. It holds, whatever the plugin calls itself.
    pub name: String,
    /// Who brought it. What is not built in is granted no host for its asking alone.
    pub origin: Origin,
    pub component: Component,
    /// Where it may send requests, in the operator's words: plain HTTP and private addresses too.
    pub allow: Vec<HostGrant>,
    /// What it may use up, over what any plugin may.
    pub limits: LimitChanges,
}

/// A component, or where it is.
#[derive(Clone, Debug)]
pub enum Component {
    /// These bytes, which whoever holds them trusts.
    Bytes(Cow<'static, [u8]>),
    /// A file, and the SHA-256 that it must have; `None`: nobody has said, so nobody trusts it.
    File {
        path: PathBuf,
        /// In small hexadecimal digits.
        sha256: Option<String>,
    },
    /// A folder of the [registry], with its grant beside it.
    Installed(PathBuf),
}

impl PluginSource {
    /// The plugins that are part of the program.
    pub fn built_in() -> impl Iterator<Item = Self> {
        BUILT_IN
            .into_iter()
            .map(|(name, bytes)| Self { origin: Origin::BuiltIn, ..Self::of_bytes(name, bytes) })
    }

    /// A plugin of somebody else's, with nothing granted.
    pub fn of_bytes(name: impl Into<String>, bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        Self {
            name: name.into(),
            origin: Origin::Installed,
            component: Component::Bytes(bytes.into()),
            allow: Vec::new(),
            limits: LimitChanges::default(),
        }
    }
}

impl From<(String, Vec<u8>)> for PluginSource {
    fn from((name, bytes): (String, Vec<u8>)) -> Self {
        Self::of_bytes(name, bytes)
    }
}

/// What a plugin is, and what it says of itself.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The name that it gives itself.
    pub own_name: String,
    /// With the name that it goes by.
    pub description: Description,
    /// The version of the interface that it is built for.
    pub interface: String,
    /// Of its component, in small hexadecimal digits.
    pub sha256: String,
    /// Of its component, in bytes.
    pub size: usize,
}

/// The SHA-256 of `bytes` in small hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Reads a component, unless it is too large to be one.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_regular(path, COMPONENT_MOST)
}

/// Reads a file of at most `most` bytes. What is no regular file (a pipe, a terminal, a device) is not waited for: it may
/// never end, or never begin.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let most = uptime_core::size::format(most);
        return Err(io::Error::other(format!("it is over {most}, which no such file is")));
    }
    Ok(bytes)
}

/// Opens it without waiting for the other end of a pipe.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}
