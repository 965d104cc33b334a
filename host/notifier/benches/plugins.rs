//! What a plugin costs on this machine, medians over many. Prints one line:
//!
//! ```text
//! compile_ms=… load_ms=… instance_us=… message_us=…
//! ```
//!
//! - `compile_ms`: from a component to its first answer, in a process that has no cache (once, at `uptime plugin add`).
//! - `load_ms`: the same with a warm cache: what a worker pays for each plugin that it uses.
//! - `instance_us`: a fresh instance and a call of its `validate`, with its way through the host.
//! - `message_us`: a fresh instance and a call of its `notify` that renders a message, which the host has composed, without sending it.
//!
//! ```sh
//! cargo bench --workspace --bench plugins
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::path::Path;
use std::time::Instant;
use uptime_core::event::EventType;
use uptime_core::notifier::LimitChanges;
use uptime_core::samples;
use uptime_core::secret::Secret;
use uptime_notifier::{
    Delivery, Earlier, HostOptions, NotifierError, NotifierHost, ResolvedSetting, ResolvedSettings,
};

const PLUGIN: &str = "webhook";
const LOADS: usize = 20;
const CALLS: usize = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), NotifierError> {
    let cache = tempfile::tempdir().expect("a directory");
    let mut compiled = Vec::new();
    let mut loaded = Vec::new();
    for _ in 0..LOADS / 4 {
        compiled.push(first_answer(None).await?);
    }
    first_answer(Some(cache.path())).await?;
    for _ in 0..LOADS {
        loaded.push(first_answer(Some(cache.path())).await?);
    }

    let host = host(Some(cache.path()))?;
    let url = ResolvedSetting::Text(Secret::new("https://hooks.example/x"));
    let settings = ResolvedSettings::from([("url".to_owned(), url)]);
    let event = samples::event(EventType::Down);
    let delivery = Delivery {
        notifier: PLUGIN,
        settings: &settings,
        allow: &[],
        channel: "ops",
        time_zone: "UTC",
        installation: samples::INSTALLATION,
        event: &event,
        digest: None,
        before: Earlier::default(),
        now: event.at,
        attempt: 1,
        limits: &LimitChanges::default(),
        hidden: &[],
        proxy: None,
    };
    let (mut instances, mut messages) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        let began = Instant::now();
        host.validate(PLUGIN, &settings).await?;
        instances.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        host.preview(delivery).await?;
        messages.push(began.elapsed().as_secs_f64());
    }
    println!(
        "compile_ms={:.1} load_ms={:.2} instance_us={:.0} message_us={:.0}",
        median(compiled) * 1e3,
        median(loaded) * 1e3,
        median(instances) * 1e6,
        median(messages) * 1e6,
    );
    Ok(())
}

fn host(cache: Option<&Path>) -> Result<NotifierHost, NotifierError> {
    NotifierHost::new(HostOptions {
        cache_dir: cache.map(|dir| dir.join("plugins")),
        ..HostOptions::default()
    })
}

/// Seconds from asking for a plugin's description to having it, in a host that has not used it yet.
async fn first_answer(cache: Option<&Path>) -> Result<f64, NotifierError> {
    let host = host(cache)?;
    let began = Instant::now();
    host.describe(PLUGIN).await?;
    Ok(began.elapsed().as_secs_f64())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_unstable_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
