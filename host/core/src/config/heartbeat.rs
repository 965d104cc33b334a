//! `[heartbeat]`: an outside service that notices when this installation falls silent.

use super::diagnostic::Diagnostics;
use super::key::written;
use super::kinds::{RawValue, ValueError, ValueKind};
use super::parsed::Parsed;
use super::references::Reference;
use super::table::Table;
use crate::secret::SecretRef;
use url::Url;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeartbeatSection {
    /// What is requested; `None`: nothing.
    pub url: Option<SecretRef>,
}

pub(super) fn read(root: &mut Table<'_, '_>) -> HeartbeatSection {
    root.table("heartbeat", |table| HeartbeatSection {
        url: table.optional(
            "url",
            "URL that the scheduler requests after its runs, at most every 15 s, while checks have results and notifications \
             go out. An outside service (Healthchecks and its like) alerts when the requests stop.",
            "none",
            &Reference { literal: WEB_URL, secret: false },
        ),
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
    notes.secret(item.span());
    if Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Ok(text.to_owned());
    }
    let right = written(item.key, &WEB_URL.example());
    Err(ValueError::without_value(item, &WEB_URL, Some(format!("write `{right}`"))))
}
