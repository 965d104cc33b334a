//! Whole requests held against files.

use crate::{Method, Request};
use serde_json::{Value, json};
use std::path::Path;

/// Holds a request against the file `path` (relative to the plugin's folder): its method, address, query, headers and
/// body. With the environment variable `UPDATE_GOLDEN` the file is written instead; read it before you commit it.
///
/// # Panics
/// When the request is another one, or the file is not there.
pub fn golden(path: impl AsRef<Path>, request: &Request) {
    let path = path.as_ref();
    let mut shown = serde_json::to_string_pretty(&readable(request)).expect("because values serialize");
    shown.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(path, shown))
            .expect("the file is written");
        return;
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == shown,
        "the request is not the one of `{}`\nhint: look at the difference; where it is meant, run the test with \
         UPDATE_GOLDEN=1\n--- kept\n{kept}\n--- sent\n{shown}",
        path.display()
    );
}

/// A request as people like to read it: a body that is JSON as such.
fn readable(request: &Request) -> Value {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
        Method::Head => "HEAD",
    };
    let body = request
        .body
        .as_ref()
        .map(|body| serde_json::from_slice(body).unwrap_or_else(|_| json!(String::from_utf8_lossy(body))));
    let mut shown = json!({ "method": method, "url": request.url, "body": body });
    for (key, pairs) in [("query", &request.query), ("headers", &request.headers)] {
        if !pairs.is_empty() {
            shown[key] = json!(pairs);
        }
    }
    if let Some((user, password)) = &request.basic_auth {
        shown["basic_auth"] = json!([user, password]);
    }
    shown
}
