//! A rehearsal: a plugin runs for real, and a script speaks for the provider.
//!
//! What `uptime plugin test` stands on. Everything but the network is what a delivery has: the component in its sandbox,
//! the check of its settings, references, limits and the grants. Nothing is sent; the requests are kept as they would
//! have gone out, values in their places, so the settings of a rehearsal have to be made up ones.

use crate::bindings::uptime::notifier::http::HttpError;
use crate::call::Outlet;
use crate::egress::{Inbound, Outbound};
use crate::error::NotifierError;
use crate::host::{Delivery, NotifierHost, Receipt};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Answer {
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
pub struct Rehearsed {
    pub sent: Vec<SentRequest>,
    /// What the worker would have made of it.
    pub result: Result<Receipt, NotifierError>,
}

impl NotifierHost {
    /// Runs a delivery without a network: requests are answered with `replies`, one each, the last of them from then on.
    pub async fn rehearse(&self, delivery: Delivery<'_>, replies: &[Reply]) -> Rehearsed {
        let script = Script { replies: replies.to_vec(), sent: Vec::new() };
        let (result, call) = self.inner.deliver(delivery, Outlet::Scripted(script)).await;
        let sent = match call.map(|call| call.outlet) {
            Some(Outlet::Scripted(script)) => script.sent,
            _ => Vec::new(),
        };
        Rehearsed { sent, result }
    }
}

/// The provider of a rehearsal.
pub(crate) struct Script {
    pub(crate) replies: Vec<Reply>,
    pub(crate) sent: Vec<SentRequest>,
}

impl Script {
    pub(crate) fn answer(&mut self, outbound: &Outbound) -> Result<Inbound, HttpError> {
        let reply = self.replies.get(self.sent.len()).or(self.replies.last()).cloned();
        let limit = outbound.response_body;
        self.sent.push(sent(outbound));
        match reply {
            Some(Reply::Answer { status, headers, mut body, truncated }) => {
                let truncated = truncated || body.len() > limit;
                body.truncate(limit);
                Ok(Inbound { status, headers: header_map(&headers), body, truncated })
            }
            Some(Reply::Failure(failure)) => Err(failure.into()),
            None => Err(HttpError::Connect("the script has no answer".into())),
        }
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
