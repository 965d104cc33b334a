//! The HTTP check: requests along the redirects, and the judgement of the last answer.
//!
//! One hop is one request, over a connection of its own. Each hop's certificate is judged, and of the last one, after at
//! most `redirects` hops, the answer.

mod auth;
mod charset;
mod cookies;
mod decode;
mod exchange;
mod fault;
mod http1;
mod judge;
mod proxy;
mod redirect;
mod request;
mod wire;

use crate::connect::connect;
use crate::resolve::HostLookup;
use crate::shared::Shared;
use crate::tls::{self, Alpn};
use crate::trace::Trace;
use decode::{BodyLimits, COMPRESSED_MAX_BYTES};
use exchange::{Body, Connection, TargetResponse};
use fault::RequestContext;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use judge::Judge;
use proxy::Proxy;
use request::{Form, Request};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_util::either::Either;
use uptime_core::address::{self, AddressClass};
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::{HttpSpec, HttpVersions, TlsSpec};

/// How much of a body is read, and of a compressed one how much of its plain form. What is beyond it is not judged, and a
/// body without end ends here. Its size is counted as far as it is limited.
const BODY_MAX_BYTES: usize = 1024 * 1024;

/// A larger body is judged off the tasks that run the checks, a few at a time.
const LARGE_BODY_BYTES: usize = 64 * 1024;

pub(super) async fn run(
    shared: &Shared,
    names: &HostLookup<'_>,
    spec: &HttpSpec,
    trace: &mut Trace,
) -> Result<(), Failure> {
    let mut request = Request::first(spec, shared.access())?;
    trace.redaction = request.redaction().clone();
    let proxy = Proxy::of(spec, &mut trace.redaction, shared.access())?;
    let check = Check { shared, names, spec, proxy };
    let mut followed = 0;
    loop {
        trace.hop.url = Some(request.shown_url());
        let answer = check.send(&request, trace).await?;
        let Some(location) = redirect::location(spec, answer.status, &answer.headers) else {
            return check.conclude(&request, answer, trace).await;
        };
        answer.marks().complete(&mut trace.hop.phases);
        if followed == spec.redirects {
            return Err(redirect::too_many(&request.shown(), spec.redirects, location, request.redaction()));
        }
        request.take_cookies(&answer.headers, &mut trace.redaction);
        request.redirect(answer.status, location, check.place_of(&request, trace))?;
        trace.next_hop();
        followed += 1;
    }
}

/// One check: what its hops have in common.
struct Check<'a> {
    shared: &'a Shared,
    names: &'a HostLookup<'a>,
    spec: &'a HttpSpec,
    proxy: Option<Proxy>,
}

impl Check<'_> {
    /// Sends one request and waits for the head of its answer.
    async fn send(&self, request: &Request, trace: &mut Trace) -> Result<TargetResponse, Failure> {
        let about = request.subject();
        let connection = self.open(request, &about, trace).await?;
        let form = if connection.is_http2() {
            Form::Http2
        } else if let Some(proxy) = self.fetching(request) {
            Form::Forwarded { login: proxy.login() }
        } else {
            Form::Direct
        };
        let marks = Arc::clone(&connection.marks);
        trace.enter({
            let (request, marks) = (about.shown.clone(), Arc::clone(&marks));
            move |_, phases, limit| marks.cut_off(&request, phases, limit)
        });
        let answer = connection.ask(request.for_wire(&form)?, &about).await;
        if answer.is_err() {
            marks.complete(&mut trace.hop.phases);
        }
        let answer = answer?;
        trace.hop.status_code = Some(answer.status.as_u16());
        trace.hop.http_version = Some(answer.version);
        note(trace, answer.deviations());
        match self.fetching(request).and_then(|proxy| proxy.wants_login(answer.status)) {
            Some(failure) => Err(failure),
            None => Ok(answer),
        }
    }

    /// A new connection to where the request goes, with its certificate judged.
    async fn open(
        &self,
        request: &Request,
        about: &RequestContext,
        trace: &mut Trace,
    ) -> Result<Connection, Failure> {
        let stream = self.reach(request, trace).await?;
        let (stream, http2) = if request.is_https() {
            let offers = match self.spec.versions {
                HttpVersions::Auto => Alpn::Http2Or1,
                HttpVersions::Http1 => Alpn::Http1,
                HttpVersions::Http2 => Alpn::Http2,
            };
            let tls = tls_for(request, &self.spec.tls);
            let access = self.shared.access();
            let stream = self.shared.tls.handshake(&tls, &about.host, offers, stream, trace, access).await?;
            let expect = &self.spec.expect;
            tls::judge(&self.shared.tls, trace, &about.host, expect.tls_version, expect.certificate_days)?;
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            if !http2 && self.spec.versions == HttpVersions::Http2 {
                let message = format!("`{}` does not offer HTTP/2", about.host);
                return Err(
                    Failure::new(FailureClass::Protocol, message).with("HTTP/2", "no agreement (ALPN)")
                );
            }
            (Either::Right(Box::new(stream)), http2)
        } else {
            (Either::Left(stream), self.spec.versions == HttpVersions::Http2)
        };
        Connection::over(stream, http2, about).await
    }

    /// What kind of place has answered. Through a proxy only a host that tells it by itself is known; any other is taken
    /// for a public one.
    fn place_of(&self, request: &Request, trace: &Trace) -> AddressClass {
        let place = match self.proxy {
            Some(_) => redirect::place_of_host(&request.host()),
            None => trace.hop.address.map(address::classify),
        };
        place.unwrap_or(AddressClass::Public)
    }

    /// A connection to the target, perhaps through a proxy.
    async fn reach(&self, request: &Request, trace: &mut Trace) -> Result<TcpStream, Failure> {
        let (host, port) = (request.host(), request.port());
        let Some(proxy) = &self.proxy else {
            let addresses = request.admitted(self.names.resolve(&host, port, trace).await?)?;
            return connect(&addresses, trace).await;
        };
        request.admit_host()?;
        let stream = proxy.reach(self.names, trace).await?;
        match self.fetching(request) {
            Some(_) => Ok(stream),
            None => proxy.tunnel(stream, &host, port, trace).await,
        }
    }

    /// The proxy that is asked to fetch this URL in our place. HTTP/2 is spoken with the target alone.
    fn fetching(&self, request: &Request) -> Option<&Proxy> {
        let plain = !request.is_https() && self.spec.versions != HttpVersions::Http2;
        self.proxy.as_ref().filter(|proxy| plain && proxy.fetches())
    }

    /// Judges the answer that the redirects led to.
    async fn conclude(
        &self,
        request: &Request,
        mut answer: TargetResponse,
        trace: &mut Trace,
    ) -> Result<(), Failure> {
        let judge = Judge { expect: &self.spec.expect, request, patterns: &self.shared.patterns };
        if trace.hop.tls.is_none() {
            judge.in_the_clear()?;
        }
        let body = match judge.head(&answer) {
            Ok(()) => self.read(&judge, &mut answer, request, trace).await,
            Err(failure) => Err(failure),
        };
        answer.marks().complete(&mut trace.hop.phases);
        note(trace, answer.deviations());
        let body = body?;
        let content_type = answer.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let content_type = String::from_utf8_lossy(content_type).into_owned();
        let total = trace.deadline.started.elapsed();
        if let Some(plain) = body {
            self.judge_body(&judge, plain, content_type, trace).await?;
        }
        trace.judge_latency(self.spec, total, &request.shown())
    }

    /// Judges the body's text, where it keeps nobody else waiting.
    async fn judge_body(
        &self,
        judge: &Judge<'_>,
        plain: Body,
        content_type: String,
        trace: &mut Trace,
    ) -> Result<(), Failure> {
        if plain.bytes.len() <= LARGE_BODY_BYTES {
            return judge.body(&plain, &content_type);
        }
        let about = judge.request.subject();
        let judged = about.shown.clone();
        trace.enter(move |_, _, limit| {
            let message = format!("{judged}: this machine did not judge the body within {limit}");
            Failure::new(FailureClass::Resources, message)
        });
        let broke_off = |_| about.failure(FailureClass::Resources, "the judgement of its body broke off");
        let turn = Arc::clone(&self.shared.judging).acquire_owned().await;
        let turn = turn.map_err(|_| about.failure(FailureClass::Resources, "its body can't be judged"))?;
        let (expect, request) = (judge.expect.clone(), judge.request.clone());
        let patterns = Arc::clone(&self.shared.patterns);
        let judgement = tokio::task::spawn_blocking(move || {
            // It ends when the work does, also when the check is cut off before.
            let _turn = turn;
            let judge = Judge { expect: &expect, request: &request, patterns: &patterns };
            judge.body(&plain, &content_type)
        });
        judgement.await.map_err(broke_off)?
    }

    /// Reads the body, as far as it matters, and judges its size. Gives it back when its text matters.
    async fn read(
        &self,
        judge: &Judge<'_>,
        answer: &mut TargetResponse,
        request: &Request,
        trace: &mut Trace,
    ) -> Result<Option<Body>, Failure> {
        let about = request.subject();
        let (limit, wants_text) = (self.spec.expect.size_below, judge.wants_text());
        if !wants_text && limit.is_none() {
            trace.hop.body_bytes = Some(answer.read_body(BODY_MAX_BYTES as u64, 0, &about).await?.length);
            return Ok(None);
        }
        let (codings, deviation) = decode::codings(&answer.headers).map_err(|how| {
            about.failure(
                FailureClass::Protocol,
                &format!("the body comes encoded as {how}, which is not known here"),
            )
        })?;
        note(trace, deviation.as_slice());
        let count = limit.unwrap_or(BODY_MAX_BYTES as u64);
        let keep = if wants_text { BODY_MAX_BYTES } else { 0 };
        let plain = if codings.is_empty() {
            let headers = &answer.headers;
            let length = headers.get(CONTENT_LENGTH).filter(|_| !headers.contains_key(TRANSFER_ENCODING));
            judge.size(length.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0))?;
            answer.read_body(count, keep, &about).await?
        } else {
            let most = count.clamp(BODY_MAX_BYTES as u64, COMPRESSED_MAX_BYTES);
            let body = answer.read_body(most, usize::try_from(most).unwrap_or(usize::MAX), &about).await?;
            if let Some(limit) = limit.filter(|_| body.cut) {
                // Compressed it has more already than it may have, or than anybody reads.
                let got = format!("more than {} bytes in compressed form", body.length);
                return Err(judge.too_large(limit, &got));
            }
            let wanted = BodyLimits { keep, count, until: trace.deadline.at };
            decode::decode(body, codings, wanted, &about).await?
        };
        trace.hop.body_bytes = Some(plain.length);
        note(trace, plain.deviation.as_slice());
        judge.size(plain.length)?;
        Ok(wants_text.then_some(plain))
    }
}

/// Writes down how an answer departs from the standard.
fn note(trace: &mut Trace, deviations: &[&'static str]) {
    for deviation in deviations {
        if !trace.hop.deviations.iter().any(|known| known == deviation) {
            trace.hop.deviations.push(Cow::Borrowed(deviation));
        }
    }
}

/// How TLS is spoken with the origin of `request`. One that the operator did not name is not told who we are.
fn tls_for<'s>(request: &Request, spec: &'s TlsSpec) -> Cow<'s, TlsSpec> {
    if request.has_left_origin() && (spec.client.is_some() || spec.server_name.is_some()) {
        return Cow::Owned(TlsSpec { client: None, server_name: None, ..spec.clone() });
    }
    Cow::Borrowed(spec)
}
