//! The keys of `type = "http"`.

use super::super::references::{Headers, Reference};
use super::super::table::Table;
use super::super::takes::{Boolean, Choice, Integer, List, Text};
use super::super::values::{Address, Status};
use super::tls::{self, certificate_days, tls_version};
use super::values::{Condition, Credentials, Proxy, Regex, Size};
use super::{Frame, latency};
use crate::monitor::{HttpExpect, HttpSpec, HttpVersion, HttpVersions};
use crate::secret::SecretRef;
use crate::target;
use std::collections::BTreeMap;

pub(super) fn read(table: &mut Table<'_, '_>, frame: &Frame) -> Option<HttpSpec> {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let url = table.required(
        "url",
        "What is asked for.",
        &Address { better: "auth = { user = \"NAME\", password = { env = \"NAME\" } }" },
    );
    let defaults = url.clone().map(target::http);
    let method =
        table.or("method", "The request's method.", "GET", &Choice::new(methods.map(|word| (word, word))));
    let headers = table.optional("headers", "Sent with the request.", "none", &Headers);
    let body =
        table.optional("body", "Sent with the request.", "none", &Text { most: 100_000, example: "{}" });
    let auth =
        table.optional("auth", "Who asks; nobody else is told after a redirect.", "nobody", &Credentials);
    let versions = table.or(
        "http_version",
        "Which versions of HTTP are spoken; `auto`: over TLS the one that the target prefers.",
        HttpVersions::default(),
        &Choice::of(HttpVersions::ALL),
    );
    let compression = table.or("compression", "A compressed answer is asked for.", false, &Boolean);
    let redirects = table.or(
        "redirects",
        "How many redirects are followed; 0 judges the first answer.",
        REDIRECTS,
        &Integer(0..=20),
    );
    let downgrade = table.or("downgrade", "A redirect may lead from `https` to `http`.", false, &Boolean);
    let redirect_to_private = table.or(
        "redirect_to_private",
        "A redirect may lead from a public address to a private, link-local or loopback one.",
        false,
        &Boolean,
    );
    let proxy = table.optional(
        "proxy",
        "The proxy that the check goes through. A proxy that can't be reached, or that wants other credentials (407), is our \
         own trouble; what else it answers is taken for the target's.",
        "none",
        &Reference { literal: Proxy { socks: true }, secret: false },
    );
    let tls = tls::read(table);
    let expect = table.table("expect", |table| expect(table, frame));
    let spec = HttpSpec {
        method: method.into(),
        headers: headers.unwrap_or_default(),
        body,
        auth,
        versions,
        compression,
        redirects,
        downgrade,
        redirect_to_private,
        proxy,
        lookup: frame.lookup,
        tls,
        expect,
        ..defaults?
    };
    useless(table, &spec);
    Some(spec)
}

/// As for a target of the command line ([`target::http`]).
const REDIRECTS: u8 = 5;

/// Says which keys make each other useless.
fn useless(table: &mut Table<'_, '_>, spec: &HttpSpec) {
    if spec.url.scheme() == "http" && spec.redirects == 0 {
        for key in tls::KEYS {
            table.advise(
                key,
                format!("`{key}` has no use: `url` is plain `http`, and with `redirects = 0` it stays so"),
                "write `https://` in `url`, or leave the key out",
            );
        }
    }
    if spec.redirects == 0 {
        for key in ["downgrade", "redirect_to_private"] {
            table.advise(
                key,
                format!("`{key}` has no use: with `redirects = 0` no redirect is followed"),
                "leave one of the two out",
            );
        }
    }
    if spec.proxy.is_some() {
        for key in ["ip", "resolver"] {
            table.advise(
                key,
                format!("`{key}` has no use: with `proxy` it is the proxy that looks up the name"),
                "leave one of the two out",
            );
        }
    }
    let in_header = has_authorization(&spec.headers);
    if spec.auth.is_some() && in_header {
        table.advise(
            "auth",
            "`auth` has no use: the header `Authorization` in `headers` wins over it".into(),
            "leave one of the two out",
        );
    }
    if spec.auth.is_some() && !spec.url.username().is_empty() {
        table.advise(
            "url",
            "the user in `url` has no use: `auth` wins over it".into(),
            "leave the user out of `url`",
        );
    }
}

fn has_authorization(headers: &BTreeMap<String, SecretRef>) -> bool {
    headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"))
}

fn expect(table: &mut Table<'_, '_>, frame: &Frame) -> HttpExpect {
    let defaults = HttpExpect::default();
    let parts = || List { of: Text { most: 10_000, example: "ok" }, count: 1..=50, or_one: true };
    let shown: Vec<String> = defaults.status.iter().map(ToString::to_string).collect();
    let status = table.optional(
        "status",
        "Statuses of which the answer must have one.",
        &format!("`{}`", shown.join(", ")),
        &List { of: Status, count: 1..=50, or_one: true },
    );
    let body_contains =
        table.optional("body_contains", "Texts that must each be in the body.", "none", &parts());
    let body_not_contains =
        table.optional("body_not_contains", "Texts of which none may be in the body.", "none", &parts());
    let body_matches = table.optional(
        "body_matches",
        "Regular expressions that must each match the body.",
        "none",
        &List { of: Regex, count: 1..=50, or_one: true },
    );
    let json = table.optional(
        "json",
        "Conditions that must each hold of the body, which is JSON then.",
        "none",
        &List { of: Condition::json(), count: 1..=50, or_one: true },
    );
    let headers = table.optional(
        "headers",
        "Conditions that must each hold of the answer's headers.",
        "none",
        &List { of: Condition::headers(), count: 1..=50, or_one: true },
    );
    let size_below =
        table.optional("size_below", "The body, decompressed, must be smaller.", "no limit", &Size);
    let final_url = table.optional(
        "final_url",
        "Where the redirects must lead.",
        "anywhere",
        &Address { better: "headers = { Authorization = { env = \"NAME\" } }" },
    );
    let http_version = table.optional(
        "http_version",
        "Versions of HTTP of which the answer must have one.",
        "any",
        &List { of: Choice::of(HttpVersion::ALL), count: 1..=3, or_one: true },
    );
    let tls_version = tls_version(table);
    let certificate_days = certificate_days(table);
    let (latency_below, degraded_above) = latency(table, frame, "the whole check");
    HttpExpect {
        status: status.unwrap_or(defaults.status),
        body_contains: body_contains.unwrap_or_default(),
        body_not_contains: body_not_contains.unwrap_or_default(),
        body_matches: body_matches.unwrap_or_default(),
        json: json.unwrap_or_default(),
        headers: headers.unwrap_or_default(),
        size_below,
        final_url,
        http_version: http_version.unwrap_or_default(),
        tls_version,
        certificate_days,
        latency_below,
        degraded_above,
    }
}
