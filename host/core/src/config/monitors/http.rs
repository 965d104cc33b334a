//! The keys of `type = "http"`.

use super::super::kinds::{Boolean, Choice, Integer, List, Text, some};
use super::super::references::{Headers, Reference};
use super::super::table::{Table, keys};
use super::super::values::{Address, STATUS};
use super::tls;
use super::values::{Credentials, HEADER_CONDITION, JSON_CONDITION, Proxy, REGEX, SIZE};
use super::{Frame, latency};
use crate::monitor::{HttpExpect, HttpSpec, HttpVersion, HttpVersions};
use crate::secret::SecretRef;
use std::collections::BTreeMap;

pub(super) fn read(table: &mut Table<'_, '_>, frame: &Frame) -> Option<HttpSpec> {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let address = Address { better: "auth = { user = \"NAME\", password = { env = \"NAME\" } }" };
    let place = Reference { literal: Proxy { socks: true }, secret: false };
    keys! { table:
        /// URL to request.
        let url = required(&address);
        /// Request method.
        let method = or("GET", &Choice::of(&methods));
        /// Headers of the request.
        let headers = optional("none", &Headers).unwrap_or_default();
        /// Body of the request.
        let body = optional("none", &Text { most: 100_000, example: "{}" });
        /// Credentials; they are not sent to another origin after a redirect.
        let auth = optional("nobody", &Credentials);
        /// HTTP version to use; with TLS, `auto` is the version that the target prefers.
        let http_version = or(HttpVersions::default(), &Choice::of(HttpVersions::ALL));
        /// Request a compressed response.
        let compression = or(false, &Boolean);
        /// Maximum number of redirects to follow; 0 judges the first response.
        let redirects = or(REDIRECTS, &Integer(0..=20));
        /// Allow redirects from `https` to `http`.
        let downgrade = or(false, &Boolean);
        /// Allow redirects from a public address to a private, link-local or loopback one.
        let redirect_to_private = or(false, &Boolean);
        /// Proxy to connect through. When it can't be reached, or wants other credentials (407), the check is
        /// inconclusive; any other response counts as the target's.
        let proxy = optional("none", &place);
    }
    let (lookup, tls) = (frame.lookup, tls::read(table));
    let expect = table.table("expect", |table| expect(table, frame));
    let spec = HttpSpec {
        // All keys have been read by now.
        url: url?,
        method: method.into(),
        headers,
        body,
        auth,
        versions: http_version,
        compression,
        redirects,
        downgrade,
        redirect_to_private,
        proxy,
        lookup,
        tls,
        expect,
    };
    useless(table, &spec);
    Some(spec)
}

/// As for a target of the command line ([`target::http`]).
const REDIRECTS: u8 = 5;

/// Says which keys make each other useless.
fn useless(table: &mut Table<'_, '_>, spec: &HttpSpec) {
    let leave_out = "leave one of the two out";
    if spec.url.scheme() == "http" && spec.redirects == 0 {
        let why = "`url` is plain `http`, and with `redirects = 0` it stays so";
        table.useless(&tls::KEYS, why, "write `https://` in `url`, or leave the key out");
    }
    if spec.redirects == 0 {
        let why = "with `redirects = 0` no redirect is followed";
        table.useless(&["downgrade", "redirect_to_private"], why, leave_out);
    }
    if spec.proxy.is_some() {
        let why = "with `proxy` it is the proxy that looks up the name";
        table.useless(&["ip", "resolver"], why, leave_out);
    }
    if spec.auth.is_some() && has_authorization(&spec.headers) {
        table.useless(&["auth"], "the header `Authorization` in `headers` wins over it", leave_out);
    }
    if spec.auth.is_some() && !spec.url.username().is_empty() {
        let message = "the user in `url` has no use: `auth` wins over it".to_owned();
        table.warning_at("url", message, "leave the user out of `url`");
    }
}

fn has_authorization(headers: &BTreeMap<String, SecretRef>) -> bool {
    headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"))
}

fn expect(table: &mut Table<'_, '_>, frame: &Frame) -> HttpExpect {
    let mut expect = HttpExpect::default();
    let shown: Vec<String> = expect.status.iter().map(ToString::to_string).collect();
    let text = || Text { most: 10_000, example: "ok" };
    let address = Address { better: "headers = { Authorization = { env = \"NAME\" } }" };
    let versions = List { of: Choice::of(HttpVersion::ALL), count: 1..=3, or_one: true };
    keys! { table:
        /// Accepted status codes.
        expect.status = optional(&format!("`{}`", shown.join(", ")), &some(STATUS)).unwrap_or(expect.status);
        /// Texts that the body must contain.
        expect.body_contains = all(text());
        /// Texts that the body must not contain.
        expect.body_not_contains = all(text());
        /// Regular expressions that the body must match.
        expect.body_matches = all(REGEX);
        /// Conditions on the JSON body.
        expect.json = all(JSON_CONDITION);
        /// Conditions on the response's headers.
        expect.headers = all(HEADER_CONDITION);
        /// Down unless the decompressed body is smaller than this.
        expect.size_below = optional("no limit", &SIZE);
        /// URL that redirects must end at.
        expect.final_url = optional("anywhere", &address);
        /// Accepted HTTP versions.
        expect.http_version = optional("any", &versions).unwrap_or_default();
    }
    (expect.tls_version, expect.certificate_days) = tls::expected(table);
    [expect.latency_below, expect.degraded_above] = latency(table, frame, "the latency");
    expect
}
