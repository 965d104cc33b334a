//! Hostile files that no text makes: bytes cut off, patched and put together.

use super::case::{Case, build};

pub(crate) fn all() -> Vec<Case> {
    let good = build("", "good");
    let no_file = |name, bytes, reason: &str| {
        Case::of_bytes(name, bytes, &format!("bad component: the plugin `hostile` can't be loaded: {reason}"))
    };
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    for byte in &mut flipped[middle..middle + 16] {
        *byte ^= 0xff;
    }
    vec![
        no_file("empty", Vec::new(), "it is no WebAssembly"),
        no_file("text", b"#!/bin/sh\nrm -rf /\n".to_vec(), "it is no WebAssembly"),
        no_file("elf", b"\x7fELF\x02\x01\x01\0".to_vec(), "it is no WebAssembly"),
        no_file("magic-alone", good[..4].to_vec(), "it is no WebAssembly"),
        no_file("header-alone", good[..8].to_vec(), "it does not export `uptime:notifier/notifier`"),
        no_file(
            "half",
            good[..good.len() / 2].to_vec(),
            "failed to parse WebAssembly module: unexpected end-of-file …",
        ),
        no_file(
            "last-byte-missing",
            good[..good.len() - 1].to_vec(),
            "failed to parse WebAssembly module: unexpected end-of-file …",
        ),
        no_file("bytes-behind", [&good[..], b"more"].concat(), " …"),
        no_file("bits-flipped", flipped, " …"),
        no_file(
            "core-module",
            wat::parse_str("(module)").expect("a module"),
            "it is a core module, not a component",
        ),
        no_file(
            "section-longer-than-the-file",
            [&good[..8], &[0, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat(),
            " …",
        ),
        no_file("version-of-imports-alone", patched(&good, "log@0.1.0", "log@0.9.0"), " …"),
        no_file(
            "version-of-exports-alone",
            patched(&good, "notifier/notifier@0.1.0", "notifier/notifier@0.9.0"),
            "it is built for version 0.9.0 of the interface, and this program speaks 0.1.0",
        ),
        no_file(
            "version-of-both",
            patched(&good, "@0.1.0", "@0.9.0"),
            "it is built for version 0.9.0 of the interface, and this program speaks 0.1.0",
        ),
        no_file("giant", [&good[..], &section(0, &custom(65 << 20))].concat(), "it is larger than 64 MiB"),
        Case::of_bytes(
            "giant-name-section",
            [&good[..], &section(0, &custom(4 << 20))].concat(),
            "delivered",
        ),
        Case::of_bytes(
            "memories-many",
            with_instances(&good, "(module (memory 1))", 8),
            "limit: the plugin `hostile` went over its limit of 4 memories",
        ),
        Case::of_bytes(
            "instances-many",
            with_instances(&good, "(module)", 40),
            "limit: the plugin `hostile` went over its limit of 16 instances",
        ),
        Case::of_bytes(
            "tables-in-instances",
            with_instances(&good, "(module (table 1 funcref) (table 1 funcref) (table 1 funcref))", 8),
            "limit: the plugin `hostile` went over its limit of 16 tables",
        ),
        Case::of_bytes(
            "memory-in-parts",
            with_instances(&good, "(module (memory 200))", 2),
            "memory: the plugin `hostile` wanted more than its 16384 KiB of memory",
        ),
    ]
}

/// Another text of the same length wherever `from` stands.
fn patched(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut patched = bytes.to_vec();
    let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "`{from}` does not occur");
    for at in places {
        patched[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    patched
}

/// The component with one more core module at its end, and `count` instances of it.
fn with_instances(component: &[u8], module: &str, count: u8) -> Vec<u8> {
    let module = wat::parse_str(module).expect("a module");
    let index = core_modules(component);
    let instantiate: Vec<u8> = (0..count).flat_map(|_| [0, index, 0]).collect();
    let instances = [&[count][..], &instantiate].concat();
    [component, &section(1, &module), &section(2, &instances)].concat()
}

/// How many core modules the component has.
fn core_modules(component: &[u8]) -> u8 {
    let (mut at, mut count) = (8, 0);
    while at < component.len() {
        count += u8::from(component[at] == 1);
        let (mut length, mut shift) = (0, 0);
        loop {
            at += 1;
            length |= usize::from(component[at] & 0x7f) << shift;
            shift += 7;
            if component[at] & 0x80 == 0 {
                break;
            }
        }
        at += 1 + length;
    }
    count
}

fn custom(length: usize) -> Vec<u8> {
    let mut content = b"\x04junk".to_vec();
    content.resize(length, b'x');
    content
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut section = vec![id];
    let mut length = content.len();
    loop {
        let low = u8::try_from(length & 0x7f).expect("seven bits");
        length >>= 7;
        section.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            break;
        }
    }
    section.extend_from_slice(content);
    section
}
