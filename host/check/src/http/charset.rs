//! The text of a body, in the charset that its answer declares (the Encoding standard, as browsers read it).

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::borrow::Cow;

/// Where markup must say what its charset is.
const DECLARED_WITHIN_BYTES: usize = 1024;

/// What `bytes` may say, the likeliest first. `content_type` is the answer's.
///
/// A byte order mark decides, and is no part of the text; then what the answer declares, or its markup; then UTF-8. Servers
/// that declare ISO-8859-1 for everything are many, so bytes that can be UTF-8 are read as that too. Those that nobody
/// declares and that are no UTF-8, were it cut off, are read as windows-1252 too, as browsers read them.
pub(super) fn readings<'b>(bytes: &'b [u8], content_type: &str) -> Vec<Cow<'b, str>> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return vec![encoding.decode_without_bom_handling(&bytes[length..]).0];
    }
    let content_type = content_type.to_ascii_lowercase();
    let declared = labelled(&content_type, "charset").or_else(|| in_markup(bytes, &content_type));
    let first = declared.unwrap_or(UTF_8).decode_without_bom_handling(bytes).0;
    let also = match str::from_utf8(bytes) {
        Ok(text) => (first != text).then_some(Cow::Borrowed(text)),
        Err(error) => (declared.is_none() && error.error_len().is_some())
            .then(|| WINDOWS_1252.decode_without_bom_handling(bytes).0),
    };
    std::iter::once(first).chain(also).collect()
}

/// What HTML or XML declares of itself.
fn in_markup(bytes: &[u8], content_type: &str) -> Option<&'static Encoding> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if !(kind.is_empty() || kind == "text/html" || kind.ends_with("xml")) {
        return None;
    }
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARED_WITHIN_BYTES)]).to_ascii_lowercase();
    let declared = if let Some(rest) = text.trim_start().strip_prefix("<?xml") {
        labelled(rest.split("?>").next()?, "encoding")
    } else {
        let mut parts = text.split("<!--");
        let first = parts.next().into_iter();
        let outside = first.chain(parts.filter_map(|comment| Some(comment.split_once("-->")?.1)));
        let mut tags = outside
            .flat_map(|text| text.split("<meta").skip(1).filter_map(|rest| rest.split('>').next()))
            .filter(|tag| tag.contains("content-type") || !tag.contains("content"));
        tags.find_map(|tag| labelled(tag, "charset"))
    };
    // Its declaration could not have been read.
    declared.map(|encoding| if [UTF_16BE, UTF_16LE].contains(&encoding) { UTF_8 } else { encoding })
}

/// The charset in `key=label`, quoted or not, when it is known.
fn labelled(text: &str, key: &str) -> Option<&'static Encoding> {
    let mut places = text.match_indices(key).map(|(at, _)| &text[at + key.len()..]);
    let label = places.find_map(|rest| rest.trim_start().strip_prefix('='))?.trim_start();
    let quoted = label.strip_prefix(['"', '\'']);
    let end =
        |letter: char| matches!(letter, '"' | '\'' | ';' | ',') || quoted.is_none() && letter.is_whitespace();
    Encoding::for_label_no_replacement(quoted.unwrap_or(label).split(end).next()?.as_bytes())
}
