//! Where things are: the data directory, and the configuration file, which is believed only where nobody else can have
//! written it.

use crate::env;
use crate::prelude::*;
use etcetera::BaseStrategy;
use nix::unistd::{Gid, Group, Uid, User};
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;

/// The data directory: `--data-dir` or its variable, else the user's, as root the system's.
pub fn data_dir(global: &Global) -> Result<PathBuf> {
    if let Some(dir) = &global.data_dir {
        return std::path::absolute(dir).map_err(CommandError::from);
    }
    // A server that root starts runs as another user, who can't reach root's home.
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/uptime"));
    }
    etcetera::choose_base_strategy().map(|base| base.data_dir().join("uptime")).map_err(|error| {
        config_error(format!("no data directory: {error}"))
            .hint(format!("name one: `--data-dir DIR`, or set {}", env::DATA_DIR))
    })
}

/// The user's configuration directory, if there is a home.
fn user_config() -> Option<PathBuf> {
    Some(etcetera::choose_base_strategy().ok()?.config_dir().join("uptime").join("uptime.toml"))
}

/// The file's path: the one that was named, else the first that is there.
pub fn find(global: &Global) -> Option<PathBuf> {
    if let Some(path) = &global.config {
        return Some(path.clone());
    }
    let candidates =
        [Some(PathBuf::from("uptime.toml")), user_config(), Some(PathBuf::from("/etc/uptime/uptime.toml"))];
    candidates.into_iter().flatten().find(|path| path.is_file())
}

/// The file's text. One that was found, not named, is believed only where nobody but this user and root can have
/// written it, as by `sudo` and `ssh`; one that was named may be anybody's, and no more than that.
pub fn text(path: &Path, global: &Global) -> Result<String> {
    let unreadable = |error: std::io::Error| {
        config_error(format!("`{}` can't be read: {error}", path.display()))
            .hint("`uptime init` writes a starter file; `--config FILE` names another")
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if found.is_file() {
        check_author(path, &found, global.config.is_some())?;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        config_error(format!("`{}` is not UTF-8 text: line {line} has other bytes", path.display()))
            .hint("save it as UTF-8")
    })
}

/// Refuses a file that somebody else could have written. `found` is what was opened, whatever has its name by now.
fn check_author(path: &Path, found: &Metadata, is_named: bool) -> Result<()> {
    let refused = |reason: String, hint: String| {
        Err(config_error(format!("`{}` is not used: {reason}", path.display())).hint(hint))
    };
    let (own, shown) = (rustix::process::geteuid().as_raw(), path.display());
    if !is_named {
        // Who laid a link chose the file.
        let link = std::fs::symlink_metadata(path)?;
        if let Some(stranger) = [found.uid(), link.uid()].into_iter().find(|uid| ![own, 0].contains(uid)) {
            return refused(
                format!("it belongs to {}, neither to you nor to root", user_name(stranger)),
                format!(
                    "if you trust it, name it, `--config {shown}`, or make it yours: `chown $(id -u) {shown}`"
                ),
            );
        }
    }
    let by_others = found.mode() & 0o002 != 0;
    if by_others || (!is_named && found.mode() & 0o020 != 0 && !is_own_group(found)) {
        let (who, whom) = if by_others { ("anybody", "o") } else { ("its group", "g") };
        return refused(
            format!("{who} can write to it"),
            format!("look what is in it, then `chmod {whom}-w {shown}`"),
        );
    }
    Ok(())
}

/// Whether a file's group is root's or its owner's alone, as on systems that give each user a group of the same name.
fn is_own_group(found: &Metadata) -> bool {
    let group = Group::from_gid(Gid::from_raw(found.gid())).ok().flatten();
    let owner = user_name(found.uid());
    found.gid() == 0
        || group.is_some_and(|group| group.name == owner && group.mem.iter().all(|member| *member == owner))
}

fn user_name(uid: u32) -> String {
    name_of(uid).unwrap_or_else(|| format!("user {uid}"))
}

/// The user's name, if there is one.
pub fn name_of(uid: u32) -> Option<String> {
    Some(User::from_uid(Uid::from_raw(uid)).ok()??.name)
}
