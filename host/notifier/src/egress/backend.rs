//! Who answers a plugin's requests: the network, a dry run, or the script of a [scripted run](crate::scripted).

use super::{Egress, EgressError, Inbound, Outbound, Policy};
use http::HeaderMap;
use serde::Serialize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) type ResponseFuture<'a> = Pin<Box<dyn Future<Output = Result<Inbound, EgressError>> + Send + 'a>>;

pub(crate) trait HttpBackend: Send + Sync {
    /// Whether its requests come with previews.
    fn takes_previews(&self) -> bool {
        false
    }

    /// Answers a request, if `policy` lets it go.
    fn send<'a>(&'a mut self, policy: &'a Policy, request: Outbound) -> ResponseFuture<'a>;
}

impl HttpBackend for Arc<Egress> {
    fn send<'a>(&'a mut self, policy: &'a Policy, request: Outbound) -> ResponseFuture<'a> {
        Box::pin(Egress::send(self, policy, request))
    }
}

/// A request as it would be sent, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestPreview {
    pub method: String,
    pub url: String,
    /// Those that the plugin sets.
    pub headers: Vec<(String, String)>,
    /// The body; bytes that are no UTF-8 are replaced.
    pub body: Option<String>,
}

/// Keeps the previews, and answers each request with a 200 whose body says `ok`.
#[derive(Clone, Default)]
pub(crate) struct DryRun(Arc<Mutex<Vec<RequestPreview>>>);

impl DryRun {
    pub(crate) fn requests(&self) -> Vec<RequestPreview> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpBackend for DryRun {
    fn takes_previews(&self) -> bool {
        true
    }

    fn send<'a>(&'a mut self, policy: &'a Policy, request: Outbound) -> ResponseFuture<'a> {
        let answer = policy.admit(&request.url).map_err(EgressError::Denied).map(|_| {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(request.preview);
            Inbound { status: 200, headers: HeaderMap::new(), body: b"ok".to_vec(), truncated: false }
        });
        Box::pin(std::future::ready(answer))
    }
}
