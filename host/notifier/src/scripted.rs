//! A scripted run: a plugin runs for real, and a script speaks for the provider.
//!
//! What `uptime plugin test` stands on. Everything but the network is what a delivery has: the component in its sandbox,
//! the check of its settings, references, limits and the grants. Nothing is sent; the requests are kept as they would
//! have gone out, values in their places, so the settings of a scripted run have to be made up ones.

use crate::bindings::uptime::notifier::http::HttpError;
use crate::delivery::{Delivery, Receipt};
use crate::egress::{EgressError, HttpBackend, Inbound, Outbound, Policy, ResponseFuture};
use crate::error::NotifierError;
use crate::host::NotifierHost;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Response {
        status: u16,
        headers: Vec<(String, String)>,
        /// The body; what is over the plugin's limit is cut off.
        body: Vec<u8>,
        /// Whether there was more than that.
        truncated: bool,
    },
    Failure(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Failure {
    Timeout,
    Dns,
    Connect,
    Tls,
    Other,
    Denied,
    Invalid,
}

/// A request as it would have gone out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRequest {
    pub method: String,
    pub url: String,
    /// Those that the plugin sets, and the host's `user-agent`.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub struct Sample {
    pub sent: Vec<SentRequest>,
    /// What the worker would have made of it.
    pub result: Result<Receipt, NotifierError>,
}

impl NotifierHost {
    /// Runs a delivery without a network: requests are answered with `replies`, one each, the last of them from then on.
    pub async fn run_scripted(&self, delivery: Delivery<'_>, replies: &[Reply]) -> Sample {
        let script = ScriptedHttp::new(replies);
        let result = self.inner.deliver(delivery, Box::new(script.clone()), Arc::default()).await;
        Sample { sent: script.sent(), result }
    }
}

/// The provider of a scripted run.
#[derive(Clone)]
pub(crate) struct ScriptedHttp {
    replies: Vec<Reply>,
    sent: Arc<Mutex<Vec<SentRequest>>>,
}

impl ScriptedHttp {
    pub(crate) fn new(replies: &[Reply]) -> Self {
        Self { replies: replies.to_vec(), sent: Arc::default() }
    }

    pub(crate) fn sent(&self) -> Vec<SentRequest> {
        std::mem::take(&mut self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer(&self, request: &Outbound) -> Result<Inbound, HttpError> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = self.replies.get(sent.len()).or(self.replies.last()).cloned();
        sent.push(self::sent(request));
        match reply {
            Some(Reply::Response { status, headers, mut body, truncated }) => {
                let truncated = truncated || body.len() > request.response_body;
                body.truncate(request.response_body);
                Ok(Inbound { status, headers: header_map(&headers), body, truncated })
            }
            Some(Reply::Failure(failure)) => Err(failure.into()),
            None => Err(HttpError::Connect("the script has no answer".into())),
        }
    }
}

impl HttpBackend for ScriptedHttp {
    fn send<'a>(&'a mut self, policy: &'a Policy, request: Outbound) -> ResponseFuture<'a> {
        let admitted = policy.admit(&request.url).map_err(EgressError::Denied);
        Box::pin(std::future::ready(admitted.and_then(|_| Ok(self.answer(&request)?))))
    }
}

impl From<Failure> for HttpError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout => Self::Timeout,
            Failure::Dns => Self::Dns("the name was not resolved".into()),
            Failure::Connect => Self::Connect("connection refused".into()),
            Failure::Tls => Self::Tls("the certificate has expired".into()),
            Failure::Other => Self::Other("the exchange broke".into()),
            Failure::Denied => Self::Denied("it was not granted".into()),
            Failure::Invalid => Self::Invalid("that is no request".into()),
        }
    }
}

fn sent(outbound: &Outbound) -> SentRequest {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    SentRequest {
        method: outbound.method.to_string(),
        url: outbound.url.to_string(),
        headers: outbound.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: outbound.body.to_vec(),
    }
}

/// Headers that can't be are left out, as a server could not have sent them.
fn header_map(headers: &[(String, String)]) -> HeaderMap {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, value.parse().ok()?)))
        .collect()
}
