//! Notifications and their jobs as the product commits them, without a check that causes each.

use uptime_tests::{Rng, WebhookSink};

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

/// A channel of the file that tells the sink, and which worker did.
pub fn channel(name: &str, sink: &WebhookSink) -> String {
    let (url, origin) = (sink.url(), sink.origin());
    format!(
        "[channels.{name}]\nnotifier = \"webhook\"\nurl = \"{url}\"\nallow = [\"{origin}\"]\n\
         headers = {{ {WORKER_HEADER} = {{ env = \"{WORKER}\" }} }}\n\n"
    )
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
