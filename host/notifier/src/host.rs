//! The host: the notifiers that there are, and one bounded call of one of them.
//!
//! A call gets a fresh store, a place among its plugin's concurrent calls, and a deadline. Whatever the guest does,
//! the call ends within its limits in a typed result, and the next call knows nothing of it.

use crate::bindings::NotifierPlugin;
use crate::bindings::uptime::notifier::types as guest;
use crate::cache::{self, Cache};
use crate::call::{Abort, Call};
use crate::compile::{CompileError, Compiler};
use crate::convert;
use crate::delivery::{Delivery, Receipt};
use crate::description;
use crate::egress::{Denial, DryRun, Egress, HttpBackend, Policy, Proxy, RequestPreview};
use crate::error::{ConfigProblem, NotifierError};
use crate::kept::{KeptOf, KeptTexts};
use crate::limits::Limits;
use crate::plugin::{self, Described, Plugin, Ready};
use crate::sandbox::{self, Ticker};
use crate::secrets::References;
use crate::settings::{self, ResolvedSetting, ResolvedSettings};
use crate::source::{Inspection, Origin, PluginSource};
use crate::wasi;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;
use uptime_core::duration::elapsed;
use uptime_core::grant::HostGrant;
use uptime_core::notifier::Description;
use uptime_core::secret::Secret;
use wasmtime::component::{HasSelf, Linker, ResourceTableError};
use wasmtime::{Engine, ResourceLimiter, Store, Trap};

#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// Where compiled plugins are kept; without it they are compiled anew in each process. It is made when it is not
    /// there, and not used when another user could write to it.
    pub cache_dir: Option<PathBuf>,
    pub limits: Limits,
    /// How plugins are compiled that are not part of the program.
    pub compiler: Compiler,
}

/// All notifiers, ready to be called. Cheap to clone.
#[derive(Clone)]
pub struct NotifierHost {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    engine: Engine,
    linker: Linker<Call>,
    plugins: BTreeMap<String, Plugin>,
    cache: Arc<Cache>,
    egress: Arc<Egress>,
    kept: Arc<KeptTexts>,
    ticker: Ticker,
}

/// The functions that a component exports are not those of the interface.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the exported functions have other types")]
struct WrongSignature;

/// There is no instance of the component.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no instance was made")]
struct NotStarted;

/// A call of one of the guest's functions.
type Guest<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

impl NotifierHost {
    /// A host with the notifiers that are part of the program. Each is compiled at its first use.
    pub fn new(options: HostOptions) -> Result<Self, NotifierError> {
        Self::with_plugins(options, Vec::<PluginSource>::new())
    }

    /// A host with more plugins. One that bears the name of another takes its place.
    pub fn with_plugins(
        options: HostOptions,
        plugins: impl IntoIterator<Item = impl Into<PluginSource>>,
    ) -> Result<Self, NotifierError> {
        let engine = sandbox::engine().map_err(|error| host_failed(&error))?;
        let mut linker = Linker::new(&engine);
        NotifierPlugin::add_to_linker::<_, HasSelf<Call>>(&mut linker, |call| call)
            // Components that do not import it are not touched by it.
            .and_then(|()| wasmtime_wasi::p2::add_to_linker_async(&mut linker))
            .map_err(|error| host_failed(&error))?;
        let plugins = PluginSource::built_in()
            .chain(plugins.into_iter().map(Into::into))
            .map(|source| (source.name.clone(), Plugin::new(source, &options.limits)))
            .collect();
        Ok(Self {
            inner: Arc::new(Inner {
                ticker: Ticker::start(&engine).map_err(|error| {
                    NotifierError::Host(format!("the ticker thread did not start: {error}"))
                })?,
                engine,
                linker,
                plugins,
                cache: Arc::new(Cache::new(options.cache_dir, options.compiler)),
                egress: Arc::new(Egress::default()),
                kept: Arc::default(),
            }),
        })
    }

    /// The notifiers' names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.inner.plugins.keys().cloned().collect()
    }

    /// The plugins, by name.
    pub fn sources(&self) -> impl Iterator<Item = &PluginSource> {
        self.inner.plugins.values().map(|plugin| &plugin.source)
    }

    /// What a plugin is, and what it says of itself.
    pub async fn inspect(&self, name: &str) -> Result<Inspection, NotifierError> {
        let plugin = self.inner.plugin(name)?;
        let described = self.inner.described(plugin).await?;
        let ready = self.inner.ready(plugin).await?;
        Ok(Inspection {
            own_name: described.own_name.clone(),
            description: described.description.clone(),
            interface: ready.interface.clone(),
            sha256: ready.sha256.clone(),
            size: ready.size,
        })
    }

    pub async fn describe(&self, name: &str) -> Result<Description, NotifierError> {
        self.inner.description(self.inner.plugin(name)?).await.cloned()
    }

    /// What is wrong with a channel's settings; an empty list: nothing.
    pub async fn validate(
        &self,
        name: &str,
        settings: &ResolvedSettings,
    ) -> Result<Vec<ConfigProblem>, NotifierError> {
        let plugin = self.inner.plugin(name)?;
        let description = self.inner.description(plugin).await?;
        let problems = settings::check(description, settings);
        if !problems.is_empty() {
            return Ok(problems);
        }
        let mut references = References::default();
        let given = settings::for_guest(description, settings, &mut references);
        let call = Call::new(name, &plugin.limits, references, Policy::default());
        let (answer, call) = self
            .inner
            .call(plugin, call, |guest, store| {
                Box::pin(async move { guest.uptime_notifier_notifier().call_validate(store, &given).await })
            })
            .await;
        Ok(convert::problems(answer?, |text| call.said(text, 500)))
    }

    /// The addresses in a channel's settings that its own rules refuse, as far as that can be told without asking a name
    /// server: each with its key.
    pub async fn refused_addresses(
        &self,
        name: &str,
        settings: &ResolvedSettings,
        allow: &[HostGrant],
    ) -> Result<Vec<(String, NotifierError)>, NotifierError> {
        let plugin = self.inner.plugin(name)?;
        let description = self.inner.description(plugin).await?;
        let policy = plugin.policy(description, settings, allow);
        let refused = settings::addresses(description, settings).filter_map(|(key, url)| {
            let denial = policy.admit(&url).err()?;
            Some((key.to_owned(), denied(plugin, description, denial)))
        });
        Ok(refused.collect())
    }

    /// Tells an event to a channel. `Ok`: the provider has accepted it.
    pub async fn notify(&self, delivery: Delivery<'_>) -> Result<Receipt, NotifierError> {
        let network = Box::new(Arc::clone(&self.inner.egress));
        self.inner.deliver(delivery, network, Arc::clone(&self.inner.kept)).await
    }

    /// The requests that [`notify`](Self::notify) would send, secrets masked. Nothing is sent: each is answered as if
    /// it had been accepted, so what depends on an answer is not shown.
    pub async fn preview(&self, delivery: Delivery<'_>) -> Result<Vec<RequestPreview>, NotifierError> {
        let dry_run = DryRun::default();
        let result = self.inner.deliver(delivery, Box::new(dry_run.clone()), Arc::default()).await;
        let requests = dry_run.requests();
        match result {
            // A stopped request is the answer to the question; one that only dislikes the answer it got is not.
            Err(error) if requests.is_empty() || matches!(error, NotifierError::EgressDenied { .. }) => {
                Err(error)
            }
            _ => Ok(requests),
        }
    }
}

impl Inner {
    fn plugin(&self, name: &str) -> Result<&Plugin, NotifierError> {
        self.plugins.get(name).ok_or_else(|| NotifierError::Unknown {
            name: name.to_owned(),
            known: self.plugins.keys().cloned().collect(),
        })
    }

    async fn description<'a>(&self, plugin: &'a Plugin) -> Result<&'a Description, NotifierError> {
        Ok(&self.described(plugin).await?.description)
    }

    async fn described<'a>(&self, plugin: &'a Plugin) -> Result<&'a Described, NotifierError> {
        plugin
            .described
            .get_or_try_init(|| async {
                plugin.quarantine.admit(&plugin.name, None, Instant::now())?;
                let call = Call::new(&plugin.name, &plugin.limits, References::default(), Policy::default());
                let (answer, _) = self
                    .call(plugin, call, |guest, store| {
                        Box::pin(async move { guest.uptime_notifier_notifier().call_describe(store).await })
                    })
                    .await;
                plugin.note(None, &answer);
                let bad = |reason| NotifierError::BadComponent { notifier: plugin.name.clone(), reason };
                let description = description::checked(convert::description(answer?)).map_err(bad)?;
                Ok(Described {
                    own_name: description.name.clone(),
                    description: Description { name: plugin.name.clone(), ..description },
                })
            })
            .await
    }

    /// One delivery, whose requests `backend` answers.
    pub(crate) async fn deliver(
        &self,
        delivery: Delivery<'_>,
        backend: Box<dyn HttpBackend>,
        kept: Arc<KeptTexts>,
    ) -> Result<Receipt, NotifierError> {
        let (name, channel) = (delivery.notifier, delivery.channel);
        let wrong = |problems| NotifierError::Config { notifier: name.to_owned(), problems };
        let plugin = self.plugin(name)?;
        let description = self.description(plugin).await?;
        let problems = settings::check(description, delivery.settings);
        if !problems.is_empty() {
            return Err(wrong(problems));
        }
        let proxy = delivery.proxy.map(Proxy::parse).transpose();
        let proxy =
            proxy.map_err(|message| wrong(vec![ConfigProblem { key: Some("proxy".into()), message }]))?;
        plugin.quarantine.admit(name, Some(channel), Instant::now())?;
        let policy = Policy { proxy, ..plugin.policy(description, delivery.settings, delivery.allow) };
        let mut references = References::default();
        let given = settings::for_guest(description, delivery.settings, &mut references);
        delivery.hidden.iter().for_each(|value| references.hide(value));
        let (event, this_try) = (convert::event(&delivery), convert::delivery(&delivery));
        let mut call = Call::new(name, &plugin.limits.with(delivery.limits), references, policy);
        call.backend = Some(backend);
        call.now = elapsed(Timestamp::UNIX_EPOCH, delivery.now);
        call.kept = Some(KeptOf::new(kept, name, channel));
        call.whose = Some((channel.to_owned(), delivery.event.delivery_id.to_string()));
        let (answer, call) = self
            .call(plugin, call, |guest, store| {
                Box::pin(async move {
                    guest.uptime_notifier_notifier().call_notify(store, &given, &event, &this_try).await
                })
            })
            .await;
        plugin.note(Some(channel), &answer);
        receipt(plugin, description, answer, &call)
    }

    /// Runs one function of a fresh instance within the call's limits.
    async fn call<T>(
        &self,
        plugin: &Plugin,
        call: Call,
        function: impl for<'a> FnOnce(&'a NotifierPlugin, &'a mut Store<Call>) -> Guest<'a, T> + Send,
    ) -> (Result<T, NotifierError>, Call) {
        let ready = match self.ready(plugin).await {
            Ok(ready) => ready,
            Err(error) => return (Err(error), call),
        };
        let _slot = plugin.slots.acquire().await;
        let _running = self.ticker.run();
        let wall_clock = call.limits.wall_clock;
        let mut store = sandbox::store(&self.engine, call.limits.handed_over, call);
        let outcome = tokio::time::timeout(wall_clock, async {
            let instance = ready.guest.instance_pre().instantiate_async(&mut store).await;
            let instance = instance.map_err(|error| error.context(NotStarted))?;
            // Whether its functions have the right types is told here, and not when it was linked.
            let guest =
                NotifierPlugin::new(&mut store, &instance).map_err(|error| error.context(WrongSignature))?;
            function(&guest, &mut store).await
        })
        .await;
        let mut call = store.into_data();
        call.log_written();
        let result = match outcome {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(broken_off(plugin, &call, &error)),
            Err(_) => Err(NotifierError::WallClock { notifier: plugin.name.clone(), limit: wall_clock }),
        };
        (result, call)
    }

    /// The plugin, found to be the trusted one, compiled and linked; done once. What went wrong is looked at again at the
    /// next call, as an operator may have mended it; but for what can't be compiled, which [`Cache`] remembers.
    async fn ready<'a>(&self, plugin: &'a Plugin) -> Result<&'a Ready, NotifierError> {
        plugin
            .ready
            .get_or_try_init(|| async {
                let bad = |reason| NotifierError::BadComponent { notifier: plugin.name.clone(), reason };
                let failed = |error| match error {
                    CompileError::Refused(reason) => bad(reason),
                    CompileError::Failed(reason) => {
                        NotifierError::Host(format!("`{}` was not compiled: {reason}", plugin.name))
                    }
                };
                let (name, source) = (plugin.name.clone(), plugin.source.component.clone());
                let proved = cache::blocking(move || source.load(&name)).await.map_err(failed)??;
                plugin::recognise(&proved.bytes).map_err(bad)?;
                let (sha256, size) = (proved.sha256.clone(), proved.bytes.len());
                let is_ours = plugin.source.origin == Origin::BuiltIn;
                let component = self.cache.load(&self.engine, proved, is_ours).await.map_err(failed)?;
                let (guest, interface) = plugin::link(&self.engine, &self.linker, &component).map_err(bad)?;
                Ok(Ready { guest, interface, sha256, size })
            })
            .await
    }
}

fn receipt(
    plugin: &Plugin,
    description: &Description,
    answer: Result<
        Result<crate::bindings::exports::uptime::notifier::notifier::Receipt, guest::NotifyError>,
        NotifierError,
    >,
    call: &Call,
) -> Result<Receipt, NotifierError> {
    match (answer?, &call.denial) {
        (Ok(receipt), _) => Ok(Receipt {
            remote_id: receipt.remote_id.map(|id| call.said_to_itself(&id, 200)),
            detail: receipt.detail.map(|detail| call.said(&detail, 500)),
            status: call.status,
            replaced: replaced(description, receipt.replaced, call),
            pause: receipt.pause_ms.map(convert::wait),
        }),
        // Whatever the guest makes of it: somebody has to look at the grants.
        (Err(_), Some(denial)) => Err(denied(plugin, description, denial.clone())),
        (Err(error), None) => Err(convert::notify_error(&plugin.name, error, |text| call.said(text, 500))),
    }
}

fn denied(plugin: &Plugin, description: &Description, denial: Denial) -> NotifierError {
    NotifierError::EgressDenied {
        notifier: plugin.name.clone(),
        allowed_in: plugin.allowed_in(description, &denial.origin),
        origin: denial.origin,
        reason: denial.reason,
        openable: denial.openable,
        by_answer: denial.by_answer,
    }
}

/// Replaced settings of the kinds that a provider may replace: none that grants or proves anything.
fn replaced(description: &Description, settings: Vec<guest::Setting>, call: &Call) -> ResolvedSettings {
    use uptime_core::notifier::FieldKind;
    let kind = |key: &str| description.fields.iter().find(|field| field.key == key).map(|field| field.kind);
    settings
        .into_iter()
        .filter_map(|setting| match (kind(&setting.key)?, setting.value) {
            (FieldKind::Text, guest::SettingValue::Text(text)) => {
                let text = Secret::new(call.said_to_itself(&text, 500));
                Some((setting.key, ResolvedSetting::Text(text)))
            }
            (FieldKind::Integer, guest::SettingValue::Integer(number)) => {
                Some((setting.key, ResolvedSetting::Integer(number)))
            }
            _ => None,
        })
        .collect()
}

/// Why a guest did not return.
fn broken_off(plugin: &Plugin, call: &Call, error: &wasmtime::Error) -> NotifierError {
    let notifier = plugin.name.clone();
    let limits = &call.limits;
    if error.is::<WrongSignature>() {
        let reason = format!("it has functions of other types: {}", error.root_cause());
        return NotifierError::BadComponent { notifier, reason: call.said(&reason, 500) };
    }
    let overdrawn = |limit: String| NotifierError::Limit { notifier: notifier.clone(), limit };
    match error.downcast_ref() {
        Some(Abort::Cpu) => return NotifierError::Cpu { notifier, budget: limits.cpu },
        Some(Abort::Requests) => return overdrawn(format!("{} requests in a call", limits.requests)),
        None if call.memory.denied => return NotifierError::Memory { notifier, limit: limits.memory },
        None => {}
    }
    // wasmtime's own types for these are private.
    let text = format!("{error:#}");
    if let Some((_, too_many)) = text.split_once("resource limit exceeded: ") {
        let memory = &call.memory;
        return overdrawn(match too_many.split(' ').next() {
            Some("memory") => format!("{} memories", memory.memories()),
            Some("table") => format!("{} tables", memory.tables()),
            _ => format!("{} instances", memory.instances()),
        });
    }
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return overdrawn(format!("{} KiB handed over at once", limits.handed_over / 1024));
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return overdrawn(format!("{} resources at a time", wasi::RESOURCES));
    }
    tracing::warn!(notifier, error = call.said(&text, 2_000), "a plugin crashed");
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return NotifierError::Trap { notifier, message: format!("it ended itself with status {}", exit.0) };
    }
    let cause = call.said(&error.root_cause().to_string(), 500);
    match error.downcast_ref::<Trap>() {
        Some(trap) => NotifierError::Trap { notifier, message: trap.to_string() },
        // Nothing that it did: there was no memory for it.
        None if error.is::<NotStarted>() => {
            NotifierError::Host(format!("`{notifier}` was not started: {cause}"))
        }
        // Everything else that ends a call is wasmtime's refusal of what the guest handed over.
        None => NotifierError::BadReturn { notifier, message: cause },
    }
}

fn host_failed(error: &wasmtime::Error) -> NotifierError {
    NotifierError::Host(sandbox::one_line(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::tests::delivery_of;
    use crate::scripted::{Failure, Reply, ScriptedHttp, SentRequest};
    use uptime_core::samples;

    /// What a plugin sends for `event`.
    async fn sent(
        host: &NotifierHost,
        name: &str,
        settings: &ResolvedSettings,
        event: guest::Event,
    ) -> Vec<SentRequest> {
        let plugin = host.inner.plugin(name).expect("it is built in");
        let description = host.inner.description(plugin).await.expect("it says what it is");
        let mut references = References::default();
        let given = settings::for_guest(description, settings, &mut references);
        let replies = vec![Reply::Failure(Failure::Timeout)];
        let script = ScriptedHttp::new(&replies);
        let policy = plugin.policy(description, settings, &[]);
        let mut call = Call::new(name, &plugin.limits, references, policy);
        call.backend = Some(Box::new(script.clone()));
        let this_try = convert::delivery(&delivery_of(&samples::all()[0]));
        // What it comes to after nobody answered is not looked at here.
        let _ended = host
            .inner
            .call(plugin, call, |guest, store| {
                Box::pin(async move {
                    guest.uptime_notifier_notifier().call_notify(store, &given, &event, &this_try).await
                })
            })
            .await;
        script.sent()
    }

    /// Kinds come with new versions of the program: a component that was built before tells them by their message.
    #[tokio::test]
    async fn a_kind_that_no_component_knows_is_told_as_any_other() {
        let host = NotifierHost::new(HostOptions::default()).expect("a host");
        let it = &samples::all()[0];
        let known = convert::event(&delivery_of(it));
        let unknown = guest::Event { kind: "made-up".into(), ..known.clone() };
        for (notifier, settings) in [
            ("discord", &[("webhook_url", "https://discord.com/api/webhooks/1/x")][..]),
            (
                "matrix",
                &[("homeserver", "https://m.example"), ("access_token", "x"), ("room", "!a:m.example")],
            ),
            ("ntfy", &[("topic", "t")]),
            ("pagerduty", &[("routing_key", "x")]),
            ("slack", &[("webhook_url", "https://hooks.slack.com/services/T/B/x")]),
            ("telegram", &[("bot_token", "1:x"), ("chat_id", "-42")]),
            ("webhook", &[("url", "https://hooks.example.com/x")]),
        ] {
            let setting =
                |(key, value): &(&str, &str)| ((*key).to_owned(), ResolvedSetting::Text(Secret::new(*value)));
            let settings: ResolvedSettings = settings.iter().map(setting).collect();
            let announced = sent(&host, notifier, &settings, unknown.clone()).await;
            assert!(!announced.is_empty(), "{notifier}");
            assert_eq!(announced, sent(&host, notifier, &settings, known.clone()).await, "{notifier}");
        }
    }
}
