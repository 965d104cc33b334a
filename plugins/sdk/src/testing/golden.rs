//! Whole requests held against files.

use crate::{Method, Request};
use serde_json::json;
use std::path::Path;

/// Holds a request against the file `path` (relative to the plugin's folder): its method, address, query, headers and
/// body. With the environment variable `UPDATE_GOLDEN` the file is written instead; read it before you commit it.
///
/// # Panics
/// When the request is another one, or the file is not there.
pub fn golden(path: impl AsRef<Path>, request: &Request) {
    let (path, shown) = (path.as_ref(), readable(request));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(path, shown))
            .expect("the file is written");
        return;
    }
    if let Some(difference) = difference(path, &shown) {
        panic!("{difference}");
    }
}

fn difference(path: &Path, shown: &str) -> Option<String> {
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    (kept != shown).then(|| {
        format!(
            "the request is not the one of `{}`\nhint: look at the difference; where it is meant, run the test with \
             UPDATE_GOLDEN=1\n--- kept\n{kept}\n--- sent\n{shown}",
            path.display()
        )
    })
}

/// A request as people like to read it: a body that is JSON as such.
fn readable(request: &Request) -> String {
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
    for signature in &request.signatures {
        shown["signatures"][&signature.header] = json!(format!("{}…", signature.prefix));
    }
    format!("{shown:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_request_is_held_against_its_file() {
        let request = Request::post_json("https://x.example/y", &json!({"b": [1], "a": "x"}))
            .query("wait", "true")
            .basic_auth("me", "secretref");
        let shown = readable(&request);
        let parsed: Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(
            parsed,
            json!({
                "method": "POST",
                "url": "https://x.example/y",
                "query": [["wait", "true"]],
                "headers": [["content-type", "application/json"]],
                "basic_auth": ["me", "secretref"],
                "body": {"a": "x", "b": [1]},
            })
        );
        let path = std::env::temp_dir().join(format!("uptime-golden-{}.json", std::process::id()));
        assert!(difference(&path, &shown).expect("no file").contains("UPDATE_GOLDEN=1"));
        std::fs::write(&path, &shown).expect("written");
        assert_eq!(difference(&path, &shown), None);
        assert!(difference(&path, &readable(&Request::new(Method::Get, "https://x.example"))).is_some());
        std::fs::remove_file(&path).expect("removed");
    }
}
