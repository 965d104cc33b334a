//! The TCP check: the connection must come about, with TLS where it is asked for, and what is expected must be heard.
//!
//! The connection ends with a reset, in the middle of whatever the target was about to say: no port of ours is left in
//! `TIME_WAIT`, and no protocol's own farewell is spoken. A mail server may log a lost connection; it would log a visit
//! that came to nothing in any case.

mod expected;
mod hearing;
mod starttls;

use crate::connect::{Stream, connect};
use crate::patterns::Patterns;
use crate::redaction::Redaction;
use crate::resolve::Names;
use crate::shared::Shared;
use crate::tls::{self, Offers};
use crate::trace::Trace;
use crate::{errno, secrets};
use expected::Expected;
use hearing::{Hearing, hear};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tokio_util::either::Either;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::{Bytes, TcpSpec};
use uptime_core::secret::SecretRef;
use uptime_core::secret::access::Access;
use uptime_core::uri::bracketed;

pub(crate) async fn run(
    shared: &Shared,
    names: &Names<'_>,
    spec: &TcpSpec,
    trace: &mut Trace,
) -> Result<(), Failure> {
    // What is missing on our side is known before the target is bothered.
    let talk = Talk::of(spec, &shared.patterns, shared.access())?;
    trace.redaction = talk.redaction.clone();
    let addresses = names.resolve(&spec.host, spec.port, trace).await?;
    let mut stream = connect(&addresses, trace).await?;
    let Some(tls) = &spec.tls else {
        talk.hold(&mut Either::Left(stream), true, trace).await?;
        return trace.judge_latency(spec, trace.deadline.started.elapsed(), &format!("`{}`", talk.target));
    };
    let asking = Instant::now();
    let greeted = if let Some(protocol) = spec.starttls {
        starttls::ask(protocol, &mut stream, &talk, trace).await?
    } else {
        false
    };
    let shaken = shared.tls.handshake(tls, &spec.host, Offers::Nothing, stream, trace, shared.access()).await;
    if spec.starttls.is_some() {
        trace.hop.phases.tls = Some(asking.elapsed());
    }
    let mut stream = shaken?;
    tls::judge(trace, &spec.host, spec.tls_version, spec.certificate_days)?;
    if talk.is_silent() && trace.hop.tls.as_ref().is_some_and(|tls| tls.asks_for_client) {
        tls::settle(&mut stream, &spec.host, trace).await?;
    }
    talk.hold(&mut Either::Right(Box::new(stream)), !greeted, trace).await?;
    trace.judge_latency(spec, trace.deadline.started.elapsed(), &format!("`{}`", talk.target))
}

/// What is said and heard over a connection, ready for use.
struct Talk {
    /// As `host:port`, for people.
    target: String,
    host: String,
    banner: Option<Expected>,
    send: Option<Vec<u8>>,
    expect: Option<Expected>,
    redaction: Redaction,
}

impl Talk {
    fn of(spec: &TcpSpec, patterns: &Patterns, access: &Access) -> Result<Self, Failure> {
        let expected =
            |key, spec: &Option<_>| spec.as_ref().map(|spec| Expected::of(key, spec, patterns)).transpose();
        let mut redaction = Redaction::default();
        let send = match &spec.send {
            None => None,
            Some(Bytes::Hex(digits)) => Some(expected::bytes("send", digits)?),
            Some(Bytes::Text(reference)) => {
                let secret = secrets::resolve(reference, access).map_err(|error| {
                    Failure::new(FailureClass::Settings, format!("`send`: {error}; {}", error.hint()))
                })?;
                // A text that stands in the file may be seen where the file may.
                if !matches!(reference, SecretRef::Literal(_)) {
                    redaction.secret(secret.expose());
                }
                Some(secret.expose().as_bytes().to_vec())
            }
        };
        Ok(Self {
            target: format!("{}:{}", bracketed(&spec.host), spec.port),
            host: spec.host.clone(),
            banner: expected("banner", &spec.banner)?,
            send,
            expect: expected("expect", &spec.expect)?,
            redaction,
        })
    }

    /// Whether nothing is said or heard.
    fn is_silent(&self) -> bool {
        self.banner.is_none() && self.send.is_none() && self.expect.is_none()
    }

    /// Waits for the banner unless it was heard before, says what is to be said, and waits for what must come then:
    /// after `send` only what comes from then on counts, without it also what came with the banner.
    async fn hold(&self, stream: &mut Stream, wants_banner: bool, trace: &mut Trace) -> Result<(), Failure> {
        let mut heard = Vec::new();
        if let Some(banner) = self.banner.as_ref().filter(|_| wants_banner) {
            let hearing = self.hearing("the banner", banner.shown());
            heard = self.listen(stream, banner, hearing, trace).await?;
        }
        if let Some(bytes) = &self.send {
            heard.clear();
            self.enter_sending(trace);
            self.say(stream, bytes).await?;
        }
        if let Some(expect) = &self.expect {
            let hearing = self.hearing("the answer", expect.shown());
            hearing.extend(&heard);
            self.listen(stream, expect, hearing, trace).await?;
        }
        Ok(())
    }

    fn hearing(&self, what: &'static str, expected: String) -> Arc<Hearing> {
        Arc::new(Hearing::new(&self.target, what, expected, self.redaction.clone()))
    }

    async fn listen(
        &self,
        stream: &mut Stream,
        expected: &Expected,
        hearing: Arc<Hearing>,
        trace: &mut Trace,
    ) -> Result<Vec<u8>, Failure> {
        hearing.enter(trace);
        let heard = hear(stream, &self.host, &hearing, |bytes| expected.is_in(bytes)).await;
        hearing.complete(&mut trace.hop.phases);
        heard.map(|()| hearing.bytes())
    }

    fn enter_sending(&self, trace: &mut Trace) {
        let target = self.target.clone();
        trace.enter(move |_, _, limit| {
            let message = format!("`{target}`: connected, and what is sent was not taken within {limit}");
            Failure::new(FailureClass::FirstByteTimeout, message)
        });
    }

    async fn say(&self, stream: &mut Stream, bytes: &[u8]) -> Result<(), Failure> {
        let said = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        let Err(error) = said.await else { return Ok(()) };
        // A target that refused us may have said why before it closed.
        let error = match stream {
            Either::Right(stream) => stream.read(&mut [0; 1]).await.err().unwrap_or(error),
            Either::Left(_) => error,
        };
        let doing = format!("sending to `{}`", self.target);
        Err(broken(&doing, &self.host, &error))
    }
}

/// The failure of a connection that broke while `doing`.
fn broken(doing: &str, host: &str, error: &io::Error) -> Failure {
    let (class, words) = tls::late_refusal(host, error).unwrap_or_else(|| errno::classify(error));
    Failure::new(class, format!("{doing}: {words}"))
}
