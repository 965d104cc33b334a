//! Puts the sources that `uptime plugin new` writes into the program: the SDK and the interface, each file as it is in
//! the repository, so that a new plugin gets those that this program speaks.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(&env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?).join("..");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut text = String::new();
    for (name, folder) in [("SDK", "plugins/sdk/src"), ("WIT", "wit/notifier/0.1.0")] {
        let folder = root.join(folder).canonicalize()?;
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        collect(&folder, &mut files)?;
        files.sort();
        let _ = writeln!(text, "/// Names and texts.\npub const {name}: &[(&str, &str)] = &[");
        for file in files {
            // The tool that makes a component is part of `uptime plugin build`.
            let name = file.strip_prefix(&folder).map_err(io::Error::other)?.display().to_string();
            if !name.starts_with("bin/") {
                let _ = writeln!(text, "    ({name:?}, include_str!({:?})),", file.display().to_string());
            }
        }
        text.push_str("];\n");
    }
    fs::write(out.join("sources.rs"), text)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
