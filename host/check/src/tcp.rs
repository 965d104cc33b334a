//! The TCP check: the connection must come about, with TLS where it is asked for, and what is expected must be heard.
//!
//! All that is said and heard is a list of steps; a protocol's way to TLS is a preset of such steps.
//!
//! The connection ends with a reset, in the middle of whatever the target was about to say: no port of ours is left in
//! `TIME_WAIT`, and no protocol's own farewell is spoken. A mail server may log a lost connection; it would log a visit
//! that came to nothing in any case.

mod dialogue;
mod expected;
mod starttls;

use crate::connect::connect;
use crate::redaction::Redaction;
use crate::resolve::HostLookup;
use crate::secrets;
use crate::shared::Shared;
use crate::tls::{self, Alpn};
use crate::trace::Trace;
use dialogue::{Dialogue, Expect, Step};
use expected::Expected;
use tokio::time::Instant;
use tokio_util::either::Either;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::{Bytes, TcpSpec};
use uptime_core::secret::SecretRef;
use uptime_core::secret::access::Access;
use uptime_core::uri::bracketed;

pub(crate) async fn run(
    shared: &Shared,
    names: &HostLookup<'_>,
    spec: &TcpSpec,
    trace: &mut Trace,
) -> Result<(), Failure> {
    // What is missing on our side is known before the target is bothered.
    let expected = |key, spec: &Option<_>| {
        spec.as_ref().map(|spec| Expected::of(key, spec, &shared.patterns)).transpose()
    };
    let banner = expected("banner", &spec.banner)?;
    let send = sent(spec, &mut trace.redaction, shared.access())?;
    let expect = expected("expect", &spec.expect)?;
    let is_silent = banner.is_none() && send.is_none() && expect.is_none();

    let addresses = names.resolve(&spec.host, spec.port, trace).await?;
    let stream = connect(&addresses, trace).await?;
    let (steps, banner) = match spec.starttls.filter(|_| spec.tls.is_some()) {
        Some(protocol) => starttls::steps(protocol, stream.local_addr().ok(), banner),
        None => (Vec::new(), banner),
    };
    let secure = spec.tls.as_ref().map(Step::StartTls);
    // After `send` only what comes from then on counts, without it also what came with the banner.
    let banner = banner.map(|banner| Expect::anywhere("the banner", banner, send.is_some()));
    let expect = expect.map(|expect| Expect::anywhere("the answer", expect, true));
    let own =
        banner.map(Step::Expect).into_iter().chain(send.map(Step::Send)).chain(expect.map(Step::Expect));

    let target = format!("{}:{}", bracketed(&spec.host), spec.port);
    let mut dialogue = Dialogue::new(target, spec.host.clone(), trace.redaction.clone());
    let mut stream = Either::Left(stream);
    let began = Instant::now();
    for step in steps.into_iter().chain(secure).chain(own) {
        match step {
            Step::Send(bytes) => dialogue.send(&mut stream, &bytes, trace).await?,
            Step::Expect(expect) => dialogue.expect(&mut stream, &expect, trace).await?,
            Step::StartTls(settings) => {
                dialogue.refuse_the_rest()?;
                // It is spoken once.
                let Either::Left(plain) = stream else { break };
                let (offers, access) = (Alpn::Nothing, shared.access());
                let handshake_result =
                    shared.tls.handshake(settings, &spec.host, offers, plain, trace, access).await;
                if spec.starttls.is_some() {
                    trace.hop.phases.tls = Some(began.elapsed());
                }
                let mut secured = handshake_result?;
                tls::judge(&shared.tls, trace, &spec.host, spec.tls_version, spec.certificate_days)?;
                if is_silent && trace.hop.tls.as_ref().is_some_and(|tls| tls.asks_for_client) {
                    tls::settle(&mut secured, &spec.host, trace).await?;
                }
                stream = Either::Right(Box::new(secured));
            }
        }
    }
    trace.judge_latency(spec, trace.deadline.started.elapsed(), &format!("`{}`", dialogue.target()))
}

/// What is to be sent. A secret in it goes to `redaction`.
fn sent(spec: &TcpSpec, redaction: &mut Redaction, access: &Access) -> Result<Option<Vec<u8>>, Failure> {
    match &spec.send {
        None => Ok(None),
        Some(Bytes::Hex(digits)) => expected::bytes("send", digits).map(Some),
        Some(Bytes::Text(reference)) => {
            let secret = secrets::resolve(reference, access).map_err(|error| {
                Failure::new(FailureClass::Settings, format!("`send`: {error}; {}", error.hint()))
            })?;
            // A text that stands in the file may be seen where the file may.
            if !matches!(reference, SecretRef::Literal(_)) {
                redaction.secret(secret.expose());
            }
            Ok(Some(secret.expose().as_bytes().to_vec()))
        }
    }
}
