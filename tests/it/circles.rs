//! No two modules of a crate import each other, directly or in a circle, but a parent and its child. What is found here reads
//! as a knot to everybody who comes later.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module by the names that lead to it from its crate's root, which is the empty path.
type Module = Vec<String>;

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates =
        ["cli", "host/core", "host/check", "host/store", "host/engine", "host/notifier", "host/postgres"];
    let mut found = Vec::new();
    for name in crates.into_iter().chain(["plugins/sdk", "plugins/webhook", "plugins/slack", "tests"]) {
        let circles = circles(&imports(&sources(&root.join(name).join("src"))));
        found.extend(
            circles.into_iter().map(|circle| format!("{name}: {}", Vec::from_iter(circle).join(" "))),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_circle_is_found_through_groups_and_what_a_parent_passes_on() {
    let source = |text: &str| tokens(text);
    let module =
        |name: &str| name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect::<Module>();
    let found = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(name, text)| (module(name), source(text))).collect();
        circles(&imports(&files))
            .into_iter()
            .map(|circle| Vec::from_iter(circle).join(" "))
            .collect::<Vec<_>>()
    };
    let lib = ("", "mod a; mod b; pub use b::B;");
    assert!(found(&[lib, ("a", "use crate::b::B;"), ("b", "// crate::a::A\nstruct B;")]).is_empty());
    assert_eq!(
        found(&[lib, ("a", "use crate::{x, b::{self, B}};"), ("b", "fn f() { crate::a::f() }")]),
        ["a b"]
    );
    assert_eq!(found(&[lib, ("a", "use crate::B;"), ("b", "use super::a;")]), ["a b"]);
    // A child may know its parent, and a parent its child.
    assert!(
        found(&[lib, ("a", "mod c; use c::C;"), ("a::c", "use super::A;"), ("b", "use crate::a::C;")])
            .is_empty()
    );
    let children = [("a", "mod c; mod d;"), ("a::c", "use super::d::D;"), ("a::d", "use crate::a::c::C;")];
    assert_eq!(found(&children), ["a::c a::d"]);
}

/// The tokens of each module's file, without its tests.
fn sources(root: &Path) -> BTreeMap<Module, Vec<String>> {
    let mut modules = BTreeMap::new();
    let mut folders = vec![(root.to_owned(), Module::new())];
    while let Some((folder, module)) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            let name = entry.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let is_parent = matches!(name.as_str(), "lib" | "main" | "mod");
            let child = if is_parent { module.clone() } else { [&module[..], &[name]].concat() };
            if entry.is_dir() {
                folders.push((entry, child));
            } else if entry.extension().is_some_and(|extension| extension == "rs")
                && !entry.ends_with("tests.rs")
            {
                modules.insert(child, tokens(&fs::read_to_string(&entry).expect("a source")));
            }
        }
    }
    modules
}

pub(crate) fn tokens(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut tokens: Vec<String> = Vec::new();
    for line in source.lines().map(|line| line.split("//").next().unwrap_or_default()) {
        let mut is_word = false;
        for c in line.chars() {
            let goes_on = c.is_alphanumeric() || c == '_';
            match tokens.last_mut() {
                Some(last) if (goes_on && is_word) || (c == ':' && last == ":") => last.push(c),
                _ if c.is_whitespace() => {}
                _ => tokens.push(c.into()),
            }
            is_word = goes_on;
        }
    }
    tokens
}

/// Which other modules each one names, but for its ancestors and descendants.
fn imports(sources: &BTreeMap<Module, Vec<String>>) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut imports = BTreeMap::new();
    for (module, tokens) in sources {
        let others = paths(tokens).into_iter().filter_map(|path| {
            let other = named(sources, module, &path)?;
            (!other.starts_with(module) && !module.starts_with(&other)).then_some(other)
        });
        imports.insert(module.clone(), others.collect());
    }
    imports
}

/// The module that a path in `module` leads to; what an ancestor passes on counts as of where it is declared.
fn named(sources: &BTreeMap<Module, Vec<String>>, module: &Module, path: &[String]) -> Option<Module> {
    let deepest = |path: &Module| {
        let prefixes = (0..=path.len()).rev().map(|end| path[..end].to_vec());
        prefixes.into_iter().find(|prefix| sources.contains_key(prefix))
    };
    let path = absolute(sources, module, path)?;
    let found = deepest(&path)?;
    let Some(item) = path.get(found.len()).filter(|_| module.starts_with(&found)) else { return Some(found) };
    let declared = paths(&sources[&found])
        .into_iter()
        .filter(|path| path.len() > 1 && path.last() == Some(item))
        .find_map(|path| deepest(&absolute(sources, &found, &path)?));
    declared.or(Some(found))
}

/// A path from the crate's root; `None`: it leads to another crate, or is no path.
fn absolute(sources: &BTreeMap<Module, Vec<String>>, module: &Module, path: &[String]) -> Option<Module> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let from = match path.first()?.as_str() {
        "crate" => Module::new(),
        "super" => module[..module.len().checked_sub(ups)?].to_vec(),
        first => {
            let child = [&module[..], &[first.to_owned()]].concat();
            return (path.len() > 1 && sources.contains_key(&child)).then(|| [&module[..], path].concat());
        }
    };
    Some([&from[..], &path[ups.max(1)..]].concat())
}

/// Every path in a source, groups taken apart.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let (mut found, mut outer, mut path): (Vec<Vec<String>>, Vec<Vec<String>>, Vec<String>) =
        Default::default();
    let is_word = |token: &str| token.starts_with(|c: char| c.is_alphabetic() || c == '_');
    for (n, token) in tokens.iter().enumerate() {
        let after_colons = n > 0 && tokens[n - 1] == "::";
        match token.as_str() {
            "::" => {}
            "{" if after_colons => outer.push(std::mem::take(&mut path)),
            word if is_word(word) => {
                if !after_colons {
                    found.push(std::mem::take(&mut path));
                    path = outer.last().cloned().unwrap_or_default();
                }
                path.push(word.to_owned());
            }
            other => {
                found.push(std::mem::take(&mut path));
                if other == "}" {
                    outer.pop();
                }
            }
        }
    }
    found.retain(|path| !path.is_empty());
    for path in &mut found {
        path.retain(|part| part != "self");
    }
    found
}

/// Modules that reach each other, by name.
fn circles(imports: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<BTreeSet<String>> {
    let reached = |from: &Module| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            next.extend(
                imports.get(module).into_iter().flatten().filter(|other| reached.insert((*other).clone())),
            );
        }
        reached
    };
    let all: BTreeMap<&Module, BTreeSet<Module>> =
        imports.keys().map(|module| (module, reached(module))).collect();
    let circle = |(module, reached): (&&Module, &BTreeSet<Module>)| {
        let back = |other: &&Module| all.get(other).is_some_and(|theirs| theirs.contains(*module));
        reached.iter().filter(back).map(|other| other.join("::")).collect::<BTreeSet<String>>()
    };
    all.iter().map(circle).filter(|circle| circle.len() > 1).collect()
}
