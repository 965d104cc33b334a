//! The headers of a Standard Webhooks request.

use uptime_plugin_sdk::{Delivery, Encoding, Signature};

/// A signature is over `id.timestamp.body`. The host makes it of the body that it sends.
pub(crate) fn signature(delivery: &Delivery, key: &str) -> Signature {
    let before = format!("{}.{}.", delivery.id, timestamp(delivery)).into_bytes();
    Signature { before, encoding: Encoding::Base64, ..Signature::new("webhook-signature", "v1,", key) }
}

/// All headers but the signature: ours, and the channel's own after them. A channel's `content-type` takes the place of ours.
pub(crate) fn headers(
    delivery: &Delivery,
    own: &[(String, String)],
    content_type: Option<&str>,
) -> Vec<(String, String)> {
    let mut headers = vec![
        ("webhook-id".to_owned(), delivery.id.clone()),
        ("webhook-timestamp".to_owned(), timestamp(delivery).to_string()),
    ];
    let own_type = own.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    headers.extend(
        content_type.filter(|_| !own_type).map(|value| ("content-type".to_owned(), value.to_owned())),
    );
    headers.extend_from_slice(own);
    headers
}

/// Whether a channel may not set this header: the signature's own, and those of the connection.
pub(crate) fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("webhook-")
        || matches!(
            name.as_str(),
            "host"
                | "content-length"
                | "transfer-encoding"
                | "connection"
                | "upgrade"
                | "te"
                | "trailer"
                | "expect"
        )
}

/// Unix seconds of this try.
fn timestamp(delivery: &Delivery) -> u64 {
    delivery.now_ms / 1_000
}
