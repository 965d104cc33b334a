//! A sink that records what arrives and answers from a script, events and settings to tell it, and components made
//! from WebAssembly text.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use tokio::net::TcpListener;
use uptime_core::event::{Event, EventIncident, EventMonitor, EventOutcome, EventType, Severity};
use uptime_core::grant::HostGrant;
use uptime_core::id::{DeliveryId, IncidentId};
use uptime_core::notifier::LimitChanges;
use uptime_core::samples;
use uptime_core::secret::Secret;
use uptime_notifier::{
    Delivery, Earlier, HostOptions, Limits, NotifierHost, ResolvedSetting, ResolvedSettings,
};

#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Arrived {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// What the sink does with a request.
#[derive(Clone)]
pub(crate) enum Behaviour {
    Status(u16, Vec<(&'static str, String)>, String),
    Hang,
}

/// A server on loopback. Without a script it answers 204.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Sink {
    pub(crate) async fn start(script: impl IntoIterator<Item = Behaviour>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let recorded = Arc::clone(&arrived);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (recorded, script) = (Arc::clone(&recorded), Arc::clone(&script));
                let service =
                    service_fn(move |request| answer(request, Arc::clone(&recorded), Arc::clone(&script)));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, arrived }
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("no panic while it was held").clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What a channel's `allow` would say to reach it.
    pub(crate) fn grant(&self) -> Vec<HostGrant> {
        vec![format!("http://{}", self.address).parse().expect("a grant")]
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    recorded: Arc<Mutex<Vec<Arrived>>>,
    script: Arc<Mutex<VecDeque<Behaviour>>>,
) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    recorded.lock().expect("no panic while it was held").push(Arrived {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
            .collect(),
        body: body.to_vec(),
    });
    let next = script.lock().expect("no panic while it was held").pop_front();
    let (status, headers, body) = match next.unwrap_or(Behaviour::Status(204, vec![], String::new())) {
        Behaviour::Status(status, headers, body) => (status, headers, Bytes::from(body)),
        Behaviour::Hang => std::future::pending().await,
    };
    let mut response = hyper::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(body)).expect("a response"))
}

pub(crate) fn status(status: u16, body: &str) -> Behaviour {
    Behaviour::Status(status, vec![], body.to_owned())
}

/// An event with something in each field.
pub(crate) fn event(kind: EventType) -> Event {
    let over = kind == EventType::Up;
    Event {
        kind,
        delivery_id: DeliveryId(uuid::Uuid::from_u128(0x018f_2b3c_0000_7000_8000_0000_0000_0001)),
        at: "2026-04-14T02:18:17.25Z".parse().expect("an instant"),
        monitor: EventMonitor {
            name: "shop \"a\" <b>".into(),
            kind: "http".into(),
            target: "https://shop.example.com/health".into(),
            group: None,
            tags: BTreeMap::from([("team".into(), "a".into())]),
        },
        incident: Some(EventIncident::new(
            IncidentId(7),
            "2026-04-14T02:14:05Z".parse().expect("an instant"),
            over.then(|| "2026-04-14T02:18:17Z".parse().expect("an instant")),
            3,
        )),
        outcome: Some(EventOutcome {
            class: "status".into(),
            expected: Some("2xx".into()),
            got: Some("503".into()),
            message: "the status is 503".into(),
        }),
        severity: if over { Severity::Info } else { Severity::Down },
    }
}

pub(crate) fn text(text: impl Into<String>) -> ResolvedSetting {
    ResolvedSetting::Text(Secret::new(text))
}

pub(crate) fn settings<const N: usize>(pairs: [(&str, ResolvedSetting); N]) -> ResolvedSettings {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

pub(crate) fn delivery<'a>(
    notifier: &'a str,
    settings: &'a ResolvedSettings,
    allow: &'a [HostGrant],
    event: &'a Event,
) -> Delivery<'a> {
    static UNCHANGED: LazyLock<LimitChanges> = LazyLock::new(LimitChanges::default);
    Delivery {
        notifier,
        settings,
        allow,
        limits: &UNCHANGED,
        channel: "ops",
        time_zone: "UTC",
        installation: samples::INSTALLATION,
        event,
        digest: None,
        before: Earlier::default(),
        now: event.at,
        attempt: 1,
        hidden: &[],
        proxy: None,
    }
}

/// Limits that are reached quickly, and no quarantine.
pub(crate) fn tight() -> Limits {
    Limits { cpu: std::time::Duration::from_millis(50), failures: 0, ..Limits::default() }
}

pub(crate) fn host(limits: Limits, plugins: impl IntoIterator<Item = (String, Vec<u8>)>) -> NotifierHost {
    // Kept over all tests: compiling takes the longest of what they do.
    host_with_cache(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins"), limits, plugins)
}

pub(crate) fn host_with_cache(
    cache: &Path,
    limits: Limits,
    plugins: impl IntoIterator<Item = (String, Vec<u8>)>,
) -> NotifierHost {
    let cache_dir = Some(cache.to_owned());
    NotifierHost::with_plugins(HostOptions { cache_dir, limits, ..HostOptions::default() }, plugins)
        .expect("a host")
}

/// A component of a core module in text form, by the interface of the repository with its version replaced.
pub(crate) fn component(wat: &str, version: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/notifier/0.1.0");
    let mut resolve = wit_parser::Resolve::default();
    let mut sources = wit_parser::SourceMap::default();
    for entry in std::fs::read_dir(folder).expect("the WIT folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("WIT").replace("@0.1.0", &format!("@{version}"));
        sources.push(&path, text);
    }
    let Ok(group) = sources.parse() else { panic!("the WIT folder does not parse") };
    let package = resolve.push_group(group).expect("a package");
    let world = resolve.select_world(&[package], Some("notifier-plugin")).expect("the world");
    let mut module = wat::parse_str(wat).expect("valid WAT");
    wit_component::embed_component_metadata(
        &mut module,
        &resolve,
        world,
        wit_component::StringEncoding::UTF8,
    )
    .expect("metadata");
    uptime_notifier::componentize(&module).expect("a component")
}
