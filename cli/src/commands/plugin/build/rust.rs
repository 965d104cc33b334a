//! Rust: cargo compiles the plugin for `wasm32-unknown-unknown`, and its module becomes a component.

use super::{absolute, tool};
use crate::prelude::*;
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// The component of the package in `dir`.
pub(super) fn build(dir: &Path) -> Result<Vec<u8>> {
    // Cargo would say so after all that it compiles for this machine.
    if target_is_missing(dir) {
        let message = format!("Rust's target `{TARGET}` is not installed");
        return Err(unavailable(message).hint(format!(
            "`rustup target add {TARGET}`; without rustup it is a package, Debian's `libstd-rust-dev-wasm32`"
        )));
    }
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"])
        .current_dir(dir);
    let messages = tool(&mut cargo, "install Rust: https://rustup.rs")?;
    let manifest = absolute(&dir.join("Cargo.toml"));
    let module = module(&String::from_utf8_lossy(&messages), &manifest).ok_or_else(|| {
        config_error(format!("`{}` makes no WebAssembly module", dir.join("Cargo.toml").display()))
            .hint("its `[lib]` needs `crate-type = [\"cdylib\", \"rlib\"]`")
    })?;
    let bytes = std::fs::read(&module).map_err(|error| unreadable(&module, &error))?;
    uptime_notifier::componentize(&bytes).map_err(|error| {
        answer_no(format!("the module makes no component: {error}"))
            .hint("does the plugin say `export!(ITS_TYPE);`?")
    })
}

/// The package's module, out of cargo's messages.
fn module(messages: &str, manifest: &Path) -> Option<PathBuf> {
    let is_ours = |message: &Value| {
        message["reason"] == "compiler-artifact"
            && message["manifest_path"].as_str().is_some_and(|path| same_file(Path::new(path), manifest))
    };
    let files = |message: &Value| -> Vec<PathBuf> {
        let files = message["filenames"].as_array().cloned().unwrap_or_default();
        files.iter().filter_map(|file| file.as_str().map(PathBuf::from)).collect()
    };
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(is_ours)
        .flat_map(|message| files(&message))
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Whether it is the standard library for the target that the compiler used in `dir` lacks. What cargo could not even read
/// has another reason, and who names a sysroot has brought a library along.
fn target_is_missing(dir: &Path) -> bool {
    let flags = ["CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"];
    let is_brought = |name: &str| std::env::var(name).is_ok_and(|flags| flags.contains("--sysroot"));
    let metadata = ["metadata", "--no-deps", "--format-version", "1"];
    let is_read =
        Command::new("cargo").args(metadata).current_dir(dir).output().is_ok_and(|it| it.status.success());
    if !is_read || flags.into_iter().any(is_brought) {
        return false;
    }
    let printed = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(dir)
        .output()
        .ok()
        .filter(|output| output.status.success());
    let Some(printed) = printed else { return false };
    let folder = PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim());
    let is_core = |name: &str| name.starts_with("libcore-");
    !std::fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_core)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugins_own_module_is_found_among_cargos_messages() {
        let folder = tempfile::tempdir().expect("a folder");
        let (own, other) = (folder.path().join("Cargo.toml"), folder.path().join("sdk.toml"));
        for manifest in [&own, &other] {
            std::fs::write(manifest, "").expect("a file");
        }
        let artifact = |manifest: &Path, files: &[&str]| {
            serde_json::json!({"reason": "compiler-artifact", "manifest_path": manifest, "filenames": files})
                .to_string()
        };
        let messages = [
            "not json".to_owned(),
            artifact(&other, &["/t/sdk.wasm"]),
            artifact(&own, &["/t/libhello.rlib", "/t/hello.wasm"]),
            serde_json::json!({"reason": "build-finished", "success": true}).to_string(),
        ];
        assert_eq!(module(&messages.join("\n"), &own), Some("/t/hello.wasm".into()));
        assert_eq!(module(&artifact(&own, &["/t/libhello.rlib"]), &own), None);
    }
}
