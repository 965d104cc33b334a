//! JavaScript: componentize-qjs puts the module into a component together with `QuickJS`.

use super::{absolute, componentizer};
use crate::prelude::*;
use std::process::Command;

/// The component of the package in `dir`; its entry is what package.json calls `main`.
pub(super) fn build(dir: &Path) -> Result<Vec<u8>> {
    let path = dir.join("package.json");
    let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
    let package: Value = serde_json::from_str(&text)
        .map_err(|error| config_error(format!("`{}`: {error}", path.display())))?;
    let entry = package["main"].as_str().unwrap_or("plugin.js");
    let installed = absolute(&dir.join("node_modules/.bin/componentize-qjs"));
    componentizer(&format!("npm install --prefix {}", dir.display()), |wit, to| {
        let mut command = Command::new(installed);
        // `sync`: the interface has no asynchronous function.
        command.args(["--sync", "--opt-size", "--world", "notifier-plugin"]).current_dir(dir);
        command.arg("--wit").arg(wit).arg("--js").arg(entry).arg("--output").arg(to);
        command
    })
}
