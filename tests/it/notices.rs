//! Notifications and their jobs as the product commits them, without a check that causes each.

use serde_json::Value;
use std::collections::BTreeMap;
use uptime_tests::{Received, Rng, WebhookSink};

/// The variable that names a worker, and the header in which its deliveries and checks bear the name. A secret is
/// resolved by the process that uses it, so what arrives tells who sent it.
pub const WORKER: &str = "UPTIME_TEST_WORKER";
pub const WORKER_HEADER: &str = "x-worker";

/// One thing that one channel is to be told.
#[derive(Clone, Debug)]
pub struct Notice {
    pub delivery_id: String,
    pub channel: &'static str,
    /// What it is about: notices of one incident and channel are told one after the other.
    pub incident: Option<i64>,
    /// Its place among them.
    pub sequence: usize,
}

impl Notice {
    pub fn new(rng: &mut Rng, channel: &'static str) -> Self {
        let hex = format!("{:032x}", rng.u128(..));
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Self { delivery_id: parts.join("-"), channel, incident: None, sequence: 0 }
    }
}

/// A channel of the file that tells the sink, with more keys.
pub fn webhook(name: &str, sink: &WebhookSink, more: &str) -> String {
    let (url, origin) = (sink.url(), sink.origin());
    format!("[channels.{name}]\nnotifier = \"webhook\"\nurl = \"{url}\"\nallow = [\"{origin}\"]\n{more}\n")
}

/// Keys of a monitor that is checked every second, and is down after one failure.
pub const EAGER: &str = "interval = \"1s\"\ntimeout = \"500ms\"\nconfirm = 1\n";

/// An HTTP monitor of the file, with more keys.
pub fn monitor(name: &str, url: &str, more: &str) -> String {
    format!("[monitors.{name}]\ntype = \"http\"\nurl = \"{url}\"\n{more}\n")
}

/// A channel that tells the sink which worker did, too.
pub fn channel(name: &str, sink: &WebhookSink) -> String {
    webhook(name, sink, &format!("headers = {{ {WORKER_HEADER} = {{ env = \"{WORKER}\" }} }}\n"))
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The types of these messages, in the order in which they came. For one monitor: several have no order among them.
pub fn types(received: &[Received]) -> Vec<String> {
    received.iter().map(|received| word(&received.json()["type"])).collect()
}

/// The types of the messages about each monitor, in the order in which they came.
pub fn heard(received: &[Received]) -> BTreeMap<String, Vec<String>> {
    let mut told = BTreeMap::<_, Vec<_>>::new();
    for event in received.iter().map(Received::json) {
        told.entry(word(&event["monitor"]["name"])).or_default().push(word(&event["type"]));
    }
    told
}

/// The statements that commit these with their jobs, in this order, and announce them: one transaction.
pub fn enqueue(notices: &[Notice]) -> String {
    let rows = notices.iter().enumerate().map(|(nth, notice)| {
        let Notice { delivery_id, channel, incident, sequence } = notice;
        let incident = incident.map_or("NULL".to_owned(), |id| id.to_string());
        format!("({nth}, '{delivery_id}'::uuid, '{channel}', {incident}::bigint, {sequence})")
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    format!(
        "WITH told AS (
           INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state)
           SELECT v.delivery_id, c.id, v.incident_id, 'certificate', v.sequence,
                  jsonb_build_object(
                    'type', 'certificate', 'delivery_id', v.delivery_id, 'at', now(), 'severity', 'down',
                    'monitor', '{{\"name\": \"shop\", \"type\": \"tcp\", \"target\": \"shop:1\", \"group\": null, \"tags\": {{}}}}'::jsonb),
                  'queued'
           FROM (VALUES {rows}) v(nth, delivery_id, channel, incident_id, sequence) JOIN channels c ON c.name = v.channel
           ORDER BY v.nth
           RETURNING id, channel_id, incident_id)
         INSERT INTO jobs (queue, subject, concurrency_key, order_key)
         SELECT 'notifications', id, channel_id, incident_id::text || ':' || channel_id::text FROM told ORDER BY id;
         SELECT pg_notify('uptime_jobs', 'notifications')"
    )
}
