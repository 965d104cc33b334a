//! The keys of `type = "http"`.

use super::super::kinds::{Boolean, Choice, Integer, List, Text, some};
use super::super::references::{Headers, Reference};
use super::super::table::Table;
use super::super::values::{Address, STATUS};
use super::tls::{self, certificate_days, tls_version};
use super::values::{Credentials, HEADER_CONDITION, JSON_CONDITION, Proxy, REGEX, SIZE};
use super::{Frame, degraded_above, latency_below};
use crate::monitor::{HttpExpect, HttpSpec, HttpVersion, HttpVersions};
use crate::secret::SecretRef;
use std::collections::BTreeMap;

pub(super) fn read(table: &mut Table<'_, '_>, frame: &Frame) -> Option<HttpSpec> {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let url = table.required(
        "url",
        "URL to request.",
        &Address { better: "auth = { user = \"NAME\", password = { env = \"NAME\" } }" },
    );
    let body = Text { most: 100_000, example: "{}" };
    let spec = HttpSpec {
        method: table
            .or("method", "Request method.", "GET", &Choice::new(methods.map(|word| (word, word))))
            .into(),
        headers: table.optional("headers", "Headers of the request.", "none", &Headers).unwrap_or_default(),
        body: table.optional("body", "Body of the request.", "none", &body),
        auth: table.optional(
            "auth",
            "Credentials; they are not sent to another origin after a redirect.",
            "nobody",
            &Credentials,
        ),
        versions: table.or(
            "http_version",
            "HTTP version to use; `auto` is over TLS the one that the target prefers.",
            HttpVersions::default(),
            &Choice::of(HttpVersions::ALL),
        ),
        compression: table.or("compression", "Request a compressed response.", false, &Boolean),
        redirects: table.or(
            "redirects",
            "Maximum number of redirects to follow; 0 judges the first response.",
            REDIRECTS,
            &Integer(0..=20),
        ),
        downgrade: table.or("downgrade", "Allow redirects from `https` to `http`.", false, &Boolean),
        redirect_to_private: table.or(
            "redirect_to_private",
            "Allow redirects from a public address to a private, link-local or loopback one.",
            false,
            &Boolean,
        ),
        proxy: table.optional(
            "proxy",
            "Proxy to connect through. When it can't be reached, or wants other credentials (407), the check is \
             inconclusive; any other response counts as the target's.",
            "none",
            &Reference { literal: Proxy { socks: true }, secret: false },
        ),
        lookup: frame.lookup,
        tls: tls::read(table),
        expect: table.table("expect", |table| expect(table, frame)),
        // All keys have been read by now.
        url: url?,
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
            table.warning_at(
                key,
                format!("`{key}` has no use: `url` is plain `http`, and with `redirects = 0` it stays so"),
                "write `https://` in `url`, or leave the key out",
            );
        }
    }
    if spec.redirects == 0 {
        for key in ["downgrade", "redirect_to_private"] {
            table.warning_at(
                key,
                format!("`{key}` has no use: with `redirects = 0` no redirect is followed"),
                "leave one of the two out",
            );
        }
    }
    if spec.proxy.is_some() {
        for key in ["ip", "resolver"] {
            table.warning_at(
                key,
                format!("`{key}` has no use: with `proxy` it is the proxy that looks up the name"),
                "leave one of the two out",
            );
        }
    }
    let in_header = has_authorization(&spec.headers);
    if spec.auth.is_some() && in_header {
        table.warning_at(
            "auth",
            "`auth` has no use: the header `Authorization` in `headers` wins over it".into(),
            "leave one of the two out",
        );
    }
    if spec.auth.is_some() && !spec.url.username().is_empty() {
        table.warning_at(
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
    let shown: Vec<String> = defaults.status.iter().map(ToString::to_string).collect();
    let status = format!("`{}`", shown.join(", "));
    let text = || Text { most: 10_000, example: "ok" };
    HttpExpect {
        status: table
            .optional("status", "Accepted status codes.", &status, &some(STATUS))
            .unwrap_or(defaults.status),
        body_contains: table.all("body_contains", "Texts that the body must contain.", text()),
        body_not_contains: table.all("body_not_contains", "Texts that the body must not contain.", text()),
        body_matches: table.all("body_matches", "Regular expressions that the body must match.", REGEX),
        json: table.all("json", "Conditions on the JSON body.", JSON_CONDITION),
        headers: table.all("headers", "Conditions on the response's headers.", HEADER_CONDITION),
        size_below: table.optional(
            "size_below",
            "Down unless the decompressed body is smaller than this.",
            "no limit",
            &SIZE,
        ),
        final_url: table.optional(
            "final_url",
            "URL that redirects must end at.",
            "anywhere",
            &Address { better: "headers = { Authorization = { env = \"NAME\" } }" },
        ),
        http_version: table
            .optional(
                "http_version",
                "Accepted HTTP versions.",
                "any",
                &List { of: Choice::of(HttpVersion::ALL), count: 1..=3, or_one: true },
            )
            .unwrap_or_default(),
        tls_version: tls_version(table),
        certificate_days: certificate_days(table),
        latency_below: latency_below(table, frame, "the latency"),
        degraded_above: degraded_above(table, frame, "the latency"),
    }
}
