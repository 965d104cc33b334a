//! `[heartbeat]`: an outside service that notices when this installation falls silent.

use super::diagnostic::Diagnostics;
use super::kinds::{RawValue, ValueError};
use super::parsed::Parsed;
use super::references::Reference;
use super::table::{Table, keys};
use super::values::secret_url;
use crate::secret::SecretRef;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeartbeatSection {
    /// What is requested; `None`: nothing.
    pub url: Option<SecretRef>,
}

pub(super) fn read(root: &mut Table<'_, '_>) -> HeartbeatSection {
    root.table("heartbeat", |table| {
        keys! { table:
            /// URL that the scheduler requests after its runs, at most every 15 s, while checks have results and
            /// notifications go out. An outside service (Healthchecks and its like) alerts when the requests stop.
            let url = optional("none", &Reference { literal: WEB_URL, secret: false });
        }
        HeartbeatSection { url }
    })
}

/// A web address whose path is its password: it is never shown.
const WEB_URL: Parsed<String> = Parsed::new(
    "URL",
    "a URL such as `https://hc.example.com/ping/…`",
    "\"https://hc.example.com/ping/0123\"",
    web_url,
);

fn web_url(text: &str, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<String, ValueError> {
    secret_url(text, item, &["http", "https"], &WEB_URL, notes).map(|_| text.to_owned())
}
