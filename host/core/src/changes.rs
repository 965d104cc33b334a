//! What differs between two stored forms of a monitor or a channel, key by key, as the file names the keys.
//!
//! `apply` shows it before and after it writes. Values that may be secrets are never part of it: a literal setting is
//! six dots, whatever it was and is.

use crate::duration;
use crate::target;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Tables of the stored form that the file does not have.
const FLAT: &[&str] =
    &["check", "policy", "settings", "filter", "digest", "maintenance", "when", "once", "lookup", "tls"];

/// Keys whose numbers are milliseconds.
const DURATIONS: &[&str] = &[
    "interval",
    "timeout",
    "retry_interval",
    "critical_after",
    "remind",
    "latency_below",
    "degraded_above",
    "spacing",
    "min_below",
    "max_below",
    "jitter_below",
    "digest_within",
];

/// Keys of a check whose texts may be secrets; of a channel all settings may be.
const SECRET: &[&str] = &["headers", "auth", "proxy", "send", "body", "client_key"];

/// What stands for a text that may be a secret.
const MASK: &str = "••••••";

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyChange {
    /// As the file calls it, such as `expect.status`.
    pub key: String,
    /// What it was; `None`: it was not set.
    pub old: Option<String>,
    pub new: Option<String>,
}

/// What differs in one column (`check`, `settings`, `group`, …) of a row.
pub fn changes(column: &str, old: &Value, new: &Value) -> Vec<KeyChange> {
    let (before, after) = (leaves(column, old), leaves(column, new));
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    differing
        .map(|key| {
            let shown =
                |leaves: &BTreeMap<String, &Value>| leaves.get(key).map(|value| shown(column, key, value));
            KeyChange { key: key.clone(), old: shown(&before), new: shown(&after) }
        })
        .collect()
}

/// The values of a column by their keys in the file; what is not set has none.
fn leaves<'v>(column: &str, value: &'v Value) -> BTreeMap<String, &'v Value> {
    let mut found = BTreeMap::new();
    collect(column, value, &mut found);
    found
}

fn collect<'v>(key: &str, value: &'v Value, into: &mut BTreeMap<String, &'v Value>) {
    match value {
        Value::Null => {}
        Value::Array(list) if list.is_empty() => {}
        Value::Object(fields) if reference(value).is_none() => {
            for (name, value) in fields {
                let key = match key {
                    table if FLAT.contains(&table) => name.clone(),
                    "client" => format!("client_{name}"),
                    table => format!("{table}.{name}"),
                };
                collect(&key, value, into);
            }
        }
        value => {
            into.insert(key.to_owned(), value);
        }
    }
}

/// A value that lives elsewhere, as the file writes it.
fn reference(value: &Value) -> Option<String> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let (kind, name) = fields.iter().next().filter(|(kind, _)| matches!(kind.as_str(), "env" | "file"))?;
    Some(format!("{{ {kind} = {name} }}"))
}

fn shown(column: &str, key: &str, value: &Value) -> String {
    if let Some(reference) = reference(value) {
        return reference;
    }
    let name = key.rsplit('.').next().unwrap_or(key);
    let first = key.split('.').next().unwrap_or(key);
    match value {
        Value::Number(ms) if DURATIONS.contains(&name) => {
            duration::format(Duration::from_millis(ms.as_u64().unwrap_or_default()))
        }
        Value::String(_) | Value::Array(_) if column == "settings" || SECRET.contains(&first) => MASK.into(),
        Value::String(url) if key == "url" => target::shown(url),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(|value| shown("", "", value)).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(column: &str, old: &Value, new: &Value) -> Vec<String> {
        let word = |value: Option<String>| value.unwrap_or("–".into());
        changes(column, old, new)
            .into_iter()
            .map(|change| format!("{} {} → {}", change.key, word(change.old), word(change.new)))
            .collect()
    }

    #[test]
    fn keys_are_those_of_the_file_and_values_are_readable() {
        let old = json!({ "type": "http", "url": "https://a.example/x", "redirects": 5, "lookup": { "ip": "any" },
            "tls": { "verify": true }, "expect": { "status": ["2xx"], "latency_below": null } });
        let new = json!({ "type": "http", "url": "https://me:pw@b.example/x?key=1", "redirects": 5, "lookup": { "ip": "4" },
            "tls": { "verify": false, "client": { "certificate": "c.pem", "key": { "env": "K" } } },
            "expect": { "status": ["2xx", "304"], "latency_below": 2000 } });
        assert_eq!(
            lines("check", &old, &new),
            [
                "client_certificate – → c.pem",
                "client_key – → { env = \"K\" }",
                "expect.latency_below – → 2s",
                "expect.status 2xx → 2xx, 304",
                "ip any → 4",
                "url https://a.example/x → https://b.example/x",
                "verify true → false",
            ]
        );
        for (column, old, new, line) in [
            ("policy", json!({ "interval": 30_000 }), json!({ "interval": 90_000 }), "interval 30s → 1m30s"),
            ("tags", json!({ "team": "web" }), json!({ "team": "shop" }), "tags.team web → shop"),
            ("group", json!(null), json!("shop"), "group – → shop"),
        ] {
            assert_eq!(lines(column, &old, &new), [line]);
        }
    }

    #[test]
    fn a_literal_that_may_be_a_secret_is_never_shown() {
        let all = [
            lines("settings", &json!({ "bot_token": "hunter1" }), &json!({ "bot_token": "hunter2", "chat_id": "hunter3" })),
            lines("settings", &json!({ "secret": ["hunter1"] }), &json!({ "secret": ["hunter1", "hunter2"] })),
            lines(
                "check",
                &json!({ "headers": { "x": "hunter1" }, "auth": { "bearer": { "token": "hunter1" } }, "proxy": "hunter1" }),
                &json!({ "headers": { "x": "hunter2" }, "auth": { "bearer": { "token": "hunter2" } }, "proxy": "hunter2",
                    "send": { "text": "hunter2" } }),
            ),
        ]
        .concat();
        assert_eq!(all.len(), 7, "{all:?}");
        assert!(!all.join(" ").contains("hunter"), "{all:?}");
        assert_eq!(
            lines("settings", &json!({ "url": { "env": "A" } }), &json!({ "url": { "env": "B" } })),
            ["url { env = \"A\" } → { env = \"B\" }"]
        );
    }
}
