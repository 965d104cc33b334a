//! What a plugin gets is the operator's word: hosts, and limits for it and for a channel.

use crate::hostile::case::{NAME, build};
use crate::support::{Sink, delivery, event, settings, text};
use std::path::Path;
use uptime_core::event::EventType;
use uptime_core::notifier::{Limit, LimitChanges};
use uptime_notifier::{
    Component, Delivery, HostOptions, NotifierError, NotifierHost, Origin, PluginSource, Receipt, sha256,
};

/// A component that is part of the program, as somebody else's.
fn built(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../plugins/built/{name}.wasm"));
    std::fs::read(path).expect("a built plugin")
}

fn host(source: PluginSource) -> NotifierHost {
    let cache_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins"));
    NotifierHost::with_plugins(HostOptions { cache_dir, ..HostOptions::default() }, [source]).expect("a host")
}

fn limits(limit: Limit, value: u64) -> LimitChanges {
    let mut changes = LimitChanges::default();
    changes.set(limit, value).expect("within the bounds");
    changes
}

#[tokio::test]
async fn a_strangers_plugin_gets_no_host_for_its_asking() {
    let chat = settings([("bot_token", text("123:abc")), ("chat_id", text("1"))]);
    let down = event(EventType::Down);
    let source = |origin| PluginSource { origin, ..PluginSource::of_bytes("mine", built("telegram")) };
    for (origin, hint) in [
        (Origin::Installed, "if it should: `uptime plugin trust mine --allow https://api.telegram.org`"),
        (Origin::File, "if it should: `allow = [\"https://api.telegram.org\"]` in `[plugins.mine]`"),
    ] {
        let refused = host(source(origin)).preview(delivery("mine", &chat, &[], &down)).await;
        let refused = refused.expect_err("nobody granted it");
        assert_eq!(
            refused.to_string(),
            "`mine` may not send to `https://api.telegram.org`: nobody granted it"
        );
        assert_eq!(refused.hint().as_deref(), Some(hint));
    }
    let allow = vec!["https://api.telegram.org".parse().expect("a grant")];
    let granted = host(PluginSource { allow, ..source(Origin::Installed) });
    assert_eq!(granted.preview(delivery("mine", &chat, &[], &down)).await.expect("granted").len(), 1);
    let ours = host(source(Origin::BuiltIn));
    assert_eq!(ours.preview(delivery("mine", &chat, &[], &down)).await.expect("it asked").len(), 1);
}

#[tokio::test]
async fn an_operators_grant_opens_plain_http_and_inner_networks_and_never_metadata() {
    let sink = Sink::start([]).await;
    let to = |url: String| settings([("url", text(url))]);
    let down = event(EventType::Down);
    let source = |allow| PluginSource { allow, ..PluginSource::of_bytes("mine", built("webhook")) };
    let closed = host(source(vec![]));
    let refused = closed.notify(delivery("mine", &to(sink.url("/")), &[], &down)).await.expect_err("closed");
    let hint = format!("if it should: `allow = [\"http://{}\"]` in the channel's table", sink.address);
    assert_eq!(refused.hint(), Some(hint), "the channel names the address, so the channel may open it");
    let open = host(source(sink.grant()));
    open.notify(delivery("mine", &to(sink.url("/")), &[], &down)).await.expect("open");
    assert_eq!(sink.arrived().len(), 1);
    let metadata = host(source(vec!["http://169.254.169.254".parse().expect("a grant")]));
    let url = to("http://169.254.169.254/latest".into());
    let refused = metadata.notify(delivery("mine", &url, &[], &down)).await.expect_err("never");
    assert!(matches!(refused, NotifierError::EgressDenied { openable: false, .. }), "{refused}");
}

/// Its `notify` needs 32 MiB, its `describe` hardly any.
const HUNGRY: &str = r#"(func (export "notify") (param i32) (result i32)
  (if (i32.eq (memory.grow (i32.const 512)) (i32.const -1)) (then (unreachable)))
  (i32.const 256))"#;

#[tokio::test]
async fn limits_are_moved_for_a_plugin_and_for_a_channel() {
    let (nothing, down) = (settings([]), event(EventType::Down));
    let tell = async |of_plugin: LimitChanges, of_channel: LimitChanges| {
        let source =
            PluginSource { limits: of_plugin, ..PluginSource::of_bytes(NAME, build(HUNGRY, "hungry")) };
        let delivery = Delivery { limits: &of_channel, ..delivery(NAME, &nothing, &[], &down) };
        host(source).notify(delivery).await.map_err(|error| error.to_string())
    };
    let (none, memory) = (LimitChanges::default, |mib: u64| limits(Limit::Memory, mib << 20));
    let refused =
        |mib: u64| Err(format!("the plugin `hostile` wanted more than its {} KiB of memory", mib << 10));
    assert_eq!(tell(none(), none()).await, refused(16));
    assert_eq!(tell(memory(64), none()).await, Ok(Receipt::default()));
    assert_eq!(tell(none(), memory(64)).await, Ok(Receipt::default()));
    assert_eq!(tell(memory(64), memory(24)).await, refused(24), "a channel's word comes last");
}

#[tokio::test]
async fn the_name_that_an_operator_gave_holds() {
    let host = host(PluginSource::of_bytes("mine", built("webhook")));
    let inspected = host.inspect("mine").await.expect("it is one");
    assert_eq!((inspected.own_name.as_str(), inspected.description.name.as_str()), ("webhook", "mine"));
    assert_eq!((inspected.sha256, inspected.interface.as_str()), (sha256(&built("webhook")), "0.1.0"));
    assert_eq!(host.describe("webhook").await.expect("the built-in one").name, "webhook");
}

#[tokio::test]
async fn a_file_is_used_when_it_has_the_trusted_hash_and_once_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.wasm");
    let (good, found) = (built("webhook"), |bytes: &[u8]| sha256(bytes));
    let source = |sha256| PluginSource {
        origin: Origin::File,
        component: Component::File { path: path.clone(), sha256 },
        ..PluginSource::of_bytes("mine", Vec::new())
    };
    let host = host(source(Some(found(&good))));
    let missing = host.describe("mine").await.expect_err("there is no file");
    assert!(matches!(missing, NotifierError::Unreadable { .. }) && missing.channel_broken(), "{missing}");
    std::fs::write(&path, built("telegram")).expect("a file");
    let other = host.describe("mine").await.expect_err("another file");
    let message = format!(
        "the plugin `mine` is not the one that is trusted: its SHA-256 is `{}`, and `{}` is trusted",
        found(&built("telegram")),
        found(&good)
    );
    assert_eq!((other.to_string(), other.channel_broken()), (message, true));
    std::fs::write(&path, &good).expect("a file");
    host.describe("mine").await.expect("mended, and nobody had to start anew");
    let unsaid = self::host(source(None)).describe("mine").await.expect_err("nobody said");
    let hint = format!("if it is the one you want: `sha256 = \"{}\"` in `[plugins.mine]`", found(&good));
    assert_eq!(unsaid.hint(), Some(hint));
}
