//! Python: componentize-py puts the module `plugin` into a component together with `CPython`.

use super::{absolute, componentizer};
use crate::prelude::*;
use std::process::Command;

/// The component of the module `plugin` in `dir`.
pub(super) fn build(dir: &Path) -> Result<Vec<u8>> {
    let own = absolute(&dir.join(".venv/bin/componentize-py"));
    let program = if own.is_file() { own } else { PathBuf::from("componentize-py") };
    let shown = dir.display();
    let missing =
        format!("python3 -m venv {shown}/.venv && {shown}/.venv/bin/pip install -r {shown}/requirements.txt");
    componentizer(&missing, |wit, to| {
        let mut command = Command::new(program);
        command
            .arg("--quiet")
            .arg("--wit-path")
            .arg(wit)
            .args(["--world", "notifier-plugin"])
            .current_dir(dir);
        command.args(["componentize", "plugin"]).arg("--output").arg(to);
        // It writes what it has compiled beside the sources otherwise.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    })
}
