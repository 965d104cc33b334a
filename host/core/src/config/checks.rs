//! `[checks]`: what holds for the checks of all monitors together.

use super::diagnostic::Diagnostics;
use super::kinds::{Integer, List, RawValue, ValueError, ValueKind};
use super::parsed::Parsed;
use super::table::{Table, keys};
use super::values::has_user;
use crate::address::{self, AddressClass};
use crate::monitor::CheckSpec;
use crate::target;
use crate::text::printable;
use std::net::IpAddr;

/// What the file says of all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChecksSection {
    /// What is asked whether our own network is up, when a check fails in a way that a dead network would explain.
    /// Empty: each failure is believed.
    pub witnesses: Vec<CheckSpec>,
    /// The most checks at once of one worker to one host.
    pub per_host: u32,
}

impl Default for ChecksSection {
    fn default() -> Self {
        Self { witnesses: Vec::new(), per_host: 64 }
    }
}

pub(super) fn read(root: &mut Table<'_, '_>) -> ChecksSection {
    let targets = List { of: TARGET, count: 1..=10, or_one: false };
    root.table("checks", |table| {
        keys! { table:
            /// Targets that show whether our own network is up. They are asked when a check fails in a way that a
            /// lost network explains; while none of them answers, no incident opens. Choose targets that are never
            /// all down at once.
            let witnesses = optional("every failure is the target's", &targets).unwrap_or_default();
            /// Concurrent checks of one worker against one host, by its name or address as written; more wait.
            let per_host = or(ChecksSection::default().per_host, &Integer(1..=10_000));
        }
        ChecksSection { witnesses, per_host }
    })
}

/// A target as the command line takes it.
const TARGET: Parsed<CheckSpec> =
    Parsed::new("TARGET", "a target such as `tcp://192.0.2.1:443`", "\"tcp://192.0.2.1:443\"", witness);

fn witness(text: &str, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<CheckSpec, ValueError> {
    if has_user(text) {
        // Nobody logs in at a witness, and a password must not be shown.
        notes.secret(item.span());
        let message = format!("`{}` takes {} without a user name", item.key, TARGET.said().words);
        return Err(ValueError::value(message, "leave out what comes before the `@`"));
    }
    let spec = target::parse(text).map_err(|error| {
        ValueError::value(printable(&error.to_string(), 200), printable(&error.hint(), 200))
    })?;
    if stays_here(&spec) {
        let shown = printable(&target::shown(text), 80);
        let message = format!("the witness `{shown}` is this machine, which answers without any network");
        let hint = "name something beyond it, such as a router or a name server";
        notes.warning(item.span(), message, Some(hint.into()));
    }
    Ok(spec)
}

/// Whether a witness would answer although nothing left this machine.
fn stays_here(witness: &CheckSpec) -> bool {
    let host = witness.host().trim_end_matches('.');
    match host.parse::<IpAddr>() {
        Ok(address) => {
            matches!(address::classify(address), AddressClass::Loopback | AddressClass::Unspecified)
        }
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}
