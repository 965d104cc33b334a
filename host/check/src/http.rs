//! The HTTP check: requests along the redirects, and the judgement of the last answer.
//!
//! One hop is one fresh connection. The trace holds the last hop's evidence. What is judged is the answer after at
//! most `redirects` hops, in the order status, body, latency: the first that does not hold is the failure.

mod exchange;
mod redirect;
mod request;

pub(super) use exchange::Marks;

use crate::Means;
use crate::connect::connect;
use crate::resolve::Names;
use crate::tls::Offers;
use crate::trace::{Step, Trace};
use exchange::{Answer, Body, Stream};
use request::Request;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::duration;
use uptime_core::monitor::{HttpExpect, HttpSpec};

/// How much of a body is read. What is beyond it is not judged, and a body without end ends here.
const BODY_MAX_BYTES: usize = 1024 * 1024;

pub(super) async fn run(
    means: &Means,
    names: &Names<'_>,
    spec: &HttpSpec,
    started: Instant,
    deadline: Instant,
    trace: &mut Trace,
) -> Result<(), Failure> {
    let mut request = Request::first(spec)?;
    let mut followed = 0;
    loop {
        trace.hop.url = Some(request.shown_url());
        let mut answer = send(means, names, spec, &request, deadline, trace).await?;
        match redirect::location(spec.redirects, answer.status(), answer.headers()) {
            Some(location) if followed < spec.redirects => {
                answer.marks().complete(&mut trace.hop.phases);
                request.redirect(answer.status(), location)?;
                trace.next_hop();
                followed += 1;
            }
            Some(location) => return Err(redirect::too_many(&request.shown(), spec.redirects, location)),
            None => {
                let body = answer.read_body(BODY_MAX_BYTES, wants_body(&spec.expect), &request.shown()).await;
                answer.marks().complete(&mut trace.hop.phases);
                return judge(&spec.expect, &request, &answer, &body?, started.elapsed());
            }
        }
    }
}

/// Sends one request over a connection of its own and waits for the answer's head.
async fn send(
    means: &Means,
    names: &Names<'_>,
    spec: &HttpSpec,
    request: &Request,
    deadline: Instant,
    trace: &mut Trace,
) -> Result<Answer, Failure> {
    let host = request.host();
    let addresses = names.resolve(&host, request.port(), trace).await?;
    request.may_go_to(&addresses)?;
    let stream = connect(&addresses, deadline, trace).await?;
    let stream = if request.is_https() {
        Stream::Tls(Box::new(means.tls.handshake(&spec.tls, &host, Offers::Http1, stream, trace).await?))
    } else {
        Stream::Plain(stream)
    };
    let marks = Arc::new(Marks::new());
    trace.enter(Step::Answer(request.shown(), Arc::clone(&marks)));
    let answer = Answer::to(request.for_wire()?, stream, Arc::clone(&marks), &request.shown()).await;
    if answer.is_err() {
        marks.complete(&mut trace.hop.phases);
    }
    let answer = answer?;
    trace.hop.status_code = Some(answer.status().as_u16());
    Ok(answer)
}

fn wants_body(expect: &HttpExpect) -> bool {
    !expect.body_contains.is_empty() || !expect.body_not_contains.is_empty()
}

fn judge(
    expect: &HttpExpect,
    request: &Request,
    answer: &Answer,
    body: &Body,
    total: Duration,
) -> Result<(), Failure> {
    let shown = request.shown();
    let status = answer.status();
    if !expect.status.iter().any(|rule| rule.matches(status.as_u16())) {
        let expected = expect.status.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        let failure =
            Failure::new(FailureClass::Status, format!("{shown} answered {}{reason}", status.as_u16()));
        return Err(failure.with(expected, status.as_str()));
    }
    if wants_body(expect) {
        judge_body(expect, request, body)?;
    }
    match expect.latency_below {
        Some(limit) if total >= limit => {
            let (took, limit) = (duration::format(total), duration::format(limit));
            let failure =
                Failure::new(FailureClass::Latency, format!("{shown} took {took}, and {limit} is too long"));
            Err(failure.with(format!("below {limit}"), took))
        }
        _ => Ok(()),
    }
}

fn judge_body(expect: &HttpExpect, request: &Request, body: &Body) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(&body.kept);
    let what = if body.cut { "the first MiB of the body" } else { "the body" };
    let failure = |message: String, expected: String| {
        let excerpt: String = request.redact(&text).chars().take(200).collect();
        let got = if excerpt.is_empty() { "an empty body".to_owned() } else { excerpt };
        Err(Failure::new(FailureClass::Assertion, message).with(expected, got))
    };
    let shown = request.shown();
    if let Some(needle) = expect.body_contains.iter().find(|needle| !text.contains(needle.as_str())) {
        return failure(format!("{what} of {shown} lacks `{needle}`"), format!("contains `{needle}`"));
    }
    if let Some(needle) = expect.body_not_contains.iter().find(|needle| text.contains(needle.as_str())) {
        return failure(format!("{what} of {shown} has `{needle}`"), format!("does not contain `{needle}`"));
    }
    Ok(())
}
