//! `[heartbeat]`: an outside service that notices when this installation falls silent.

use super::diagnostic::Notes;
use super::references::Reference;
use super::table::Table;
use super::takes::{Item, Refusal, Takes, quoted};
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
            &Reference { literal: WebUrl, secret: false },
        ),
    })
}

/// A web address whose path is its password: it is never shown.
struct WebUrl;

impl Takes for WebUrl {
    type Value = String;

    fn words(&self) -> String {
        "a URL such as `https://hc.example.com/ping/…`".into()
    }

    fn example(&self) -> String {
        quoted("https://hc.example.com/ping/0123")
    }

    fn parse(&self, item: Item<'_>, notes: &mut Notes) -> Result<String, Refusal> {
        let text = item.value.as_str().ok_or(Refusal::Type)?;
        notes.secret(item.span());
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(text.to_owned()),
            _ => {
                let message = format!("`{}` takes {}, not this", item.key, self.words());
                Err(Refusal::Value(message, Some(format!("write `{} = {}`", item.key, self.example()))))
            }
        }
    }
}
