//! One call of a plugin: what it may use up, what it has done, and what it can ask of the host.
//!
//! A [`Call`] is the data of a fresh wasmtime store and dies with it. It remembers what matters for telling the ways of
//! failing apart (a denied request, refused memory) even when the guest goes on as if nothing had happened.

mod signing;

use crate::bindings::uptime::notifier::{
    http as guest_http, log as guest_log, secrets as guest_secrets, types as guest_types,
};
use crate::egress::{Denial, EgressError, HttpBackend, Inbound, Outbound, Policy, RequestPreview};
use crate::kept::KeptOf;
use crate::limits::{Limits, Memory};
use crate::secrets::{Escape, Part, References};
use crate::wasi::Wasi;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use guest_http::{HttpError, Request, Response};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use thiserror::Error;
use uptime_core::duration::elapsed;
use uptime_core::text::printable;
use url::Url;
use wasmtime_wasi::{WasiCtxView, WasiView};

/// A guest that is stopped in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Abort {
    #[error("the CPU budget is used up")]
    Cpu,
    #[error("too many requests")]
    Requests,
}

pub(crate) struct Call {
    notifier: String,
    /// The channel that is told something, and the delivery's id.
    pub(crate) whose: Option<(String, String)>,
    pub(crate) limits: Limits,
    /// The guest's clock, since the epoch.
    pub(crate) now: Duration,
    /// There once the guest has asked for something of WASI.
    pub(crate) wasi: Option<Box<Wasi>>,
    ticks_left: u64,
    requests_left: u32,
    log_lines_left: u32,
    pub(crate) memory: Memory,
    pub(crate) references: References,
    /// What the channel keeps, where something is told to one; and the references to what of it was asked for.
    pub(crate) kept: Option<KeptOf>,
    kept_references: HashMap<String, String>,
    policy: Policy,
    /// Who answers its requests; `None`: the function that is called can't send.
    pub(crate) backend: Option<Box<dyn HttpBackend>>,
    /// The last request that the guard stopped.
    pub(crate) denial: Option<Denial>,
    /// The last answer's status.
    pub(crate) status: Option<u16>,
}

impl Call {
    pub(crate) fn new(notifier: &str, limits: &Limits, references: References, policy: Policy) -> Self {
        let ticks = limits.cpu.as_millis().div_ceil(Limits::TICK.as_millis());
        Self {
            notifier: notifier.to_owned(),
            whose: None,
            ticks_left: u64::try_from(ticks).unwrap_or(u64::MAX),
            requests_left: limits.requests,
            log_lines_left: limits.log_lines,
            memory: Memory::new(limits),
            references,
            kept: None,
            kept_references: HashMap::new(),
            policy,
            backend: None,
            denial: None,
            status: None,
            now: Duration::ZERO,
            wasi: None,
            limits: limits.clone(),
        }
    }

    /// Takes note that the guest was found running at a tick. Waiting for a provider is at most one of them.
    pub(crate) fn tick(&mut self) -> Result<(), Abort> {
        self.ticks_left = self.ticks_left.checked_sub(1).ok_or(Abort::Cpu)?;
        Ok(())
    }

    /// What the guest said, fit for people: no secret, one line, `max` characters.
    pub(crate) fn said(&self, text: &str, max: usize) -> String {
        printable(&self.references.mask(text), max)
    }

    /// What the guest will be given again at a later call: as it was, but for what it must not keep. A mask in it would
    /// tell whether a guess was right.
    pub(crate) fn said_to_itself(&self, text: &str, max: usize) -> String {
        printable(&self.references.mask_known(text), max)
    }

    /// Logs what the guest wrote to stdout and stderr, as lines of its own.
    pub(crate) fn log_written(&mut self) {
        let Some(written) = self.wasi.as_deref().map(Wasi::written) else { return };
        for line in written.lines().filter(|line| !line.trim().is_empty()) {
            guest_log::Host::write(self, guest_log::Level::Info, line.to_owned());
        }
    }

    /// Whether the request's head has a size that a provider could take, before anything is made of it.
    fn within_bounds(&self, request: &Request) -> Result<(), String> {
        let basic: Vec<_> = request.basic_auth.iter().cloned().collect();
        let given = |pairs: &[(String, String)]| pairs.iter().map(|(a, b)| a.len() + b.len()).sum::<usize>();
        let filled = |pairs: &[(String, String)], escape| {
            let texts = pairs.iter().flat_map(|(a, b)| [a, b]);
            let lengths = texts.map(|text| self.references.filled_length(text.as_bytes(), escape));
            lengths.fold(0_usize, usize::saturating_add)
        };
        let address = || {
            self.references
                .filled_length(request.url.as_bytes(), Escape::Percent)
                .saturating_add(filled(&request.query, Escape::Percent))
        };
        // What is too long as it is is not looked through.
        if request.url.len() + given(&request.query) > ADDRESS_MAX || address() > ADDRESS_MAX {
            return Err(format!("the address is longer than {ADDRESS_MAX} bytes"));
        }
        if request.headers.len() > HEADERS_MAX {
            return Err(format!("there are more than {HEADERS_MAX} headers"));
        }
        let values = || filled(&request.headers, Escape::None).saturating_add(filled(&basic, Escape::None));
        if given(&request.headers) + given(&basic) > HEADER_BYTES_MAX || values() > HEADER_BYTES_MAX {
            return Err(format!("the headers are longer than {HEADER_BYTES_MAX} bytes"));
        }
        Ok(())
    }

    /// Puts the time of a host's function on the guest's bill: while it runs, no tick does.
    fn charge(&mut self, since: Instant) {
        let ticks = since.elapsed().as_millis() / Limits::TICK.as_millis();
        self.ticks_left = self.ticks_left.saturating_sub(u64::try_from(ticks).unwrap_or(u64::MAX));
    }

    /// The request with the secrets in it.
    fn outbound(&self, request: Request) -> Result<Outbound, String> {
        self.within_bounds(&request)?;
        let references = &self.references;
        let mut url = references.fill_url(&request.url)?;
        let place = url.clone();
        let fill = |text: &str, part: Part<'_>| references.fill(text, Escape::None, &place, part);
        if !request.query.is_empty() {
            let mut query = url.query_pairs_mut();
            for (key, value) in &request.query {
                references.refuse_in(key, "a key of the query")?;
                query.append_pair(key, &fill(value, Part::Query)?);
            }
        }
        url.set_fragment(None);
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let parsed = self.header_name(name)?;
            let mut value = HeaderValue::from_str(&fill(value, Part::Header(parsed.as_str()))?)
                .map_err(|_| format!("the header `{name}` has a value that can't be sent"))?;
            value.set_sensitive(true);
            headers.append(parsed, value);
        }
        if let Some((user, password)) = &request.basic_auth {
            let authorization = Part::Header(header::AUTHORIZATION.as_str());
            let (user, password) = (fill(user, authorization)?, fill(password, authorization)?);
            if user.contains(':') {
                return Err("a user's name for basic authentication can't hold a colon".into());
            }
            let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
            let mut value =
                HeaderValue::from_str(&format!("Basic {encoded}")).expect("because base64 is plain ASCII");
            value.set_sensitive(true);
            if headers.insert(header::AUTHORIZATION, value).is_some() {
                return Err("a request has `basic-auth` or the header `authorization`, not both".into());
            }
        }
        headers
            .entry(header::USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!("uptime/", env!("CARGO_PKG_VERSION"))));
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let escape = Escape::for_content_type(content_type.unwrap_or_default());
        let body = request.body.unwrap_or_default();
        // Before anything is made of it: many references to a long secret would be a body without end.
        let most = self.limits.request_body;
        let length = if body.len() > most { body.len() } else { references.filled_length(&body, escape) };
        if length > most {
            return Err(format!("a body of {length} bytes is over the limit of {most}"));
        }
        if content_type.is_none() && references.occurs_in(&body) {
            return Err("a body with a secret says what it is by `content-type`: the value is escaped".into());
        }
        let body = references.fill_body(body, escape, &place, Part::Body)?;
        self.sign(request.signatures, &body, &mut headers)?;
        let asked = request.timeout_ms.map(u64::from).map(Duration::from_millis);
        Ok(Outbound {
            method: method(request.method),
            url,
            headers,
            body: body.into(),
            timeout: asked.unwrap_or(self.limits.request_timeout).min(self.limits.request_timeout),
            response_body: self.limits.response_body,
            preview: None,
        })
    }

    /// The request as people may see it.
    fn preview(&self, request: &Request) -> RequestPreview {
        let mut url = self.references.mask(&request.url);
        for (key, value) in &request.query {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(key);
            url.push('=');
            url.push_str(&self.references.mask(value));
        }
        let mut headers: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.clone(), self.references.mask(value))).collect();
        if let Some((user, _)) = &request.basic_auth {
            headers.push(("authorization".into(), format!("Basic {}:•••", self.references.mask(user))));
        }
        let signatures = request.signatures.iter();
        headers.extend(signatures.map(|signed| (signed.header.clone(), format!("{}•••", signed.prefix))));
        RequestPreview {
            method: method(request.method).to_string(),
            url,
            headers,
            body: request.body.as_ref().map(|body| self.references.mask(&String::from_utf8_lossy(body))),
        }
    }

    /// The answer of the host of `url` as the guest may see it: an echo of a secret is cleared.
    fn inbound(&mut self, url: &Url, inbound: &Inbound) -> Response {
        self.status = Some(inbound.status);
        // The provider was reached: what was stopped before is not why it ends as it does.
        self.denial = None;
        let clear = |value: &HeaderValue| self.references.clear(url, value.as_bytes(), false);
        let headers = inbound
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(&clear(value)).into_owned()));
        let is_coded = inbound.headers.contains_key(header::CONTENT_ENCODING);
        Response {
            status: inbound.status,
            headers: headers.collect(),
            // Nobody asked for a coding, and what is in it can't be cleared.
            body: if is_coded {
                Vec::new()
            } else {
                self.references.clear(url, &inbound.body, inbound.truncated)
            },
            truncated: inbound.truncated || is_coded,
            retry_after_ms: inbound.headers.get(header::RETRY_AFTER).and_then(|value| self.wait_ms(value)),
        }
    }

    /// What the header `retry-after` says, in milliseconds from now.
    fn wait_ms(&self, value: &HeaderValue) -> Option<u64> {
        let value = value.to_str().ok()?.trim();
        let wait = if value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            // A number that overflows is long enough.
            Duration::try_from_secs_f64(value.parse().ok()?).unwrap_or(WAIT_MAX)
        } else {
            let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
            elapsed(Timestamp::UNIX_EPOCH, at).saturating_sub(self.now)
        };
        u64::try_from(wait.min(WAIT_MAX).as_micros().div_ceil(1_000)).ok()
    }

    /// Why no answer came. The guest is told in words that do not depend on a secret's value; people see them masked.
    fn failed(&mut self, error: EgressError) -> HttpError {
        match error {
            EgressError::Denied(denial) => {
                let reason = format!("`{}`: {}", denial.origin, denial.reason);
                let masked = |text: &str| self.references.mask(text);
                let (origin, reason_for_people) = (masked(&denial.origin), masked(&denial.reason));
                tracing::warn!(
                    notifier = self.notifier,
                    origin,
                    reason = reason_for_people,
                    "a plugin's request was stopped"
                );
                self.denial = Some(Denial { origin, reason: reason_for_people, ..denial });
                HttpError::Denied(reason)
            }
            EgressError::Http(error) => error,
        }
    }
}

impl guest_types::Host for Call {}

impl WasiView for Call {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.get_or_insert_with(|| Box::new(Wasi::at(self.now, &self.limits))).view()
    }
}

impl guest_http::Host for Call {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, HttpError>> {
        let Some(backend) = &self.backend else {
            return Ok(Err(HttpError::Denied("only `notify` can send".into())));
        };
        // A plugin that sends without end is stopped rather than answered: it would not listen.
        self.requests_left = self.requests_left.checked_sub(1).ok_or(Abort::Requests)?;
        let preview = backend.takes_previews().then(|| self.preview(&request));
        let began = Instant::now();
        let outbound = self.outbound(request);
        self.charge(began);
        let outbound = match outbound {
            Ok(outbound) => Outbound { preview, ..outbound },
            Err(reason) => return Ok(Err(HttpError::Invalid(reason))),
        };
        let url = outbound.url.clone();
        let backend = self.backend.as_mut().expect("because it is there for the whole call");
        let answer = backend.send(&self.policy, outbound).await;
        Ok(match answer {
            Ok(inbound) => Ok(self.inbound(&url, &inbound)),
            Err(error) => Err(self.failed(error)),
        })
    }
}

impl guest_log::Host for Call {
    fn write(&mut self, level: guest_log::Level, message: String) {
        let Some(left) = self.log_lines_left.checked_sub(1) else { return };
        self.log_lines_left = left;
        let began = Instant::now();
        let (notifier, message) = (&self.notifier, self.said(&message, self.limits.log_line_chars));
        let (channel, delivery_id) = self.whose.as_ref().map(|(channel, id)| (channel, id)).unzip();
        match level {
            guest_log::Level::Debug => tracing::debug!(notifier, channel, delivery_id, "{message}"),
            guest_log::Level::Info => tracing::info!(notifier, channel, delivery_id, "{message}"),
            guest_log::Level::Warn => tracing::warn!(notifier, channel, delivery_id, "{message}"),
            guest_log::Level::Error => tracing::error!(notifier, channel, delivery_id, "{message}"),
        }
        if left == 0 {
            tracing::debug!(notifier, "the plugin's further lines are dropped");
        }
        self.charge(began);
    }
}

/// No provider is waited for longer.
const WAIT_MAX: Duration = Duration::from_hours(24);
/// The longest address with its query, in bytes.
const ADDRESS_MAX: usize = 16 * 1024;
/// The most headers, and how long they may be together.
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 32 * 1024;

fn method(method: guest_http::Method) -> http::Method {
    match method {
        guest_http::Method::Get => http::Method::GET,
        guest_http::Method::Post => http::Method::POST,
        guest_http::Method::Put => http::Method::PUT,
        guest_http::Method::Patch => http::Method::PATCH,
        guest_http::Method::Delete => http::Method::DELETE,
        guest_http::Method::Head => http::Method::HEAD,
    }
}

#[cfg(test)]
mod tests;
