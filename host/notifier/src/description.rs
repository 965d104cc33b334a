//! What a plugin may say of itself.
//!
//! A description is a stranger's word, and much hangs on it: it names the keys that a channel takes, which of them are
//! secrets, and the hosts that the plugin is granted; and it is printed. So it is held against rules before anything
//! believes it. What can do harm or makes no sense is refused with the reason; texts for people are only made fit for
//! a line of a terminal.

use http::HeaderName;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use uptime_core::address::classify;
use uptime_core::config;
use uptime_core::grant::HostGrant;
use uptime_core::notifier::{Description, Field, FieldKind, Place};
use uptime_core::text::printable;
use url::Url;

/// The keys of `[channels.NAME]` that are not the notifier's, out of the file's reference.
static CHANNEL_KEYS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    const TABLE: &str = "channels.NAME";
    let keys = config::reference(&[]).into_iter().filter_map(|doc| match doc.table.strip_prefix(TABLE)? {
        "" => Some(doc.key),
        // A table within.
        below => below.strip_prefix('.')?.split('.').next().map(str::to_owned),
    });
    keys.collect()
});

/// The most settings that a plugin can have.
const FIELDS_MAX: usize = 64;
/// The most words that a setting can be one of.
const CHOICES_MAX: usize = 64;
/// The most places that the value of a setting can stand at.
const PLACES_MAX: usize = 16;
/// The most hosts that a plugin can ask for.
const HOSTS_MAX: usize = 16;
/// The longest name, of a plugin, a setting or a word to choose, in characters.
const NAME_MAX: usize = 40;
/// Where texts for people are cut, in characters.
const TEXT_MAX: usize = 200;

/// The description, its texts fit for people; the reason when it can't be believed.
pub(crate) fn checked(description: Description) -> Result<Description, String> {
    let Description { name, version, summary, fields, hosts, digests } = description;
    if !is_name(&name, b'-') {
        return Err(format!(
            "it says that its name is `{}`; a name is lower-case letters, digits and `-`, at most {NAME_MAX}",
            printable(&name, NAME_MAX)
        ));
    }
    at_most(FIELDS_MAX, fields.len(), |count| format!("it has {count} settings"))?;
    at_most(HOSTS_MAX, hosts.len(), |count| format!("it asks for {count} hosts"))?;
    for (nth, field) in fields.iter().enumerate() {
        check_key(&field.key, &fields[..nth])?;
    }
    hosts.iter().try_for_each(|host| check_host(host))?;
    fields.iter().try_for_each(|field| check_places(field, &fields, &hosts))?;
    Ok(Description {
        name,
        version: printable(&version, NAME_MAX),
        summary: printable(&summary, TEXT_MAX),
        fields: fields.into_iter().map(checked_field).collect::<Result<_, _>>()?,
        hosts,
        digests,
    })
}

fn at_most(most: usize, count: usize, what: impl FnOnce(usize) -> String) -> Result<(), String> {
    if count > most { Err(format!("{}, and {most} are the most", what(count))) } else { Ok(()) }
}

/// Whether it is a letter with letters, digits and `joint` behind it, all in lower case.
fn is_name(text: &str, joint: u8) -> bool {
    text.len() <= NAME_MAX
        && text.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == joint)
}

fn check_key(key: &str, before: &[Field]) -> Result<(), String> {
    if !is_name(key, b'_') {
        return Err(format!(
            "it has a setting `{}`; a setting's name is lower-case letters, digits and `_`, at most {NAME_MAX}",
            printable(key, NAME_MAX)
        ));
    }
    if CHANNEL_KEYS.contains(key) {
        return Err(format!("it has a setting `{key}`, which each channel has whatever its notifier"));
    }
    if before.iter().any(|field| field.key == key) {
        return Err(format!("it has the setting `{key}` twice"));
    }
    Ok(())
}

/// A secret says where it goes, and all of that is among what an operator is shown and grants: a host that is asked for, or
/// one that the channel's settings name.
fn check_places(field: &Field, fields: &[Field], hosts: &[String]) -> Result<(), String> {
    let key = &field.key;
    let is_secret = matches!(field.kind, FieldKind::Secret | FieldKind::Map);
    if is_secret == field.places.is_empty() {
        return Err(if is_secret {
            format!("it does not say where in a request its secret `{key}` goes")
        } else {
            format!("its setting `{key}` is no secret, and has places for one")
        });
    }
    at_most(PLACES_MAX, field.places.len(), |count| format!("its secret `{key}` goes to {count} places"))?;
    let names_a_host = |field: &Field| match field.kind {
        FieldKind::Url => true,
        FieldKind::Secret => field.places.contains(&Place::Address),
        _ => false,
    };
    for place in &field.places {
        if let Place::Header { name, .. } = place
            && name != "*"
            && HeaderName::from_lowercase(name.as_bytes()).is_err()
        {
            let shown = printable(name, NAME_MAX);
            return Err(format!(
                "its secret `{key}` goes into a header `{shown}`, which is no header's name in lower case"
            ));
        }
        let is_known = |to: &str| {
            hosts.iter().any(|host| host == to)
                || fields.iter().any(|field| field.key == to && names_a_host(field))
        };
        if let Some(to) = place.to().filter(|to| !is_known(to)) {
            return Err(format!(
                "its secret `{key}` goes to `{}`, which is neither a host that it asks for nor a setting with an address",
                printable(to, TEXT_MAX)
            ));
        }
    }
    Ok(())
}

fn checked_field(field: Field) -> Result<Field, String> {
    let Field { key, help, kind, required, default, choices, places } = field;
    if kind == FieldKind::Choice && choices.is_empty() {
        return Err(format!("there is nothing to choose from for its setting `{key}`"));
    }
    at_most(CHOICES_MAX, choices.len(), |count| format!("its setting `{key}` is one of {count} words"))?;
    // They are compared with what the operator wrote, so they are refused rather than mended.
    if let Some(choice) = choices.iter().find(|choice| **choice != printable(choice, NAME_MAX)) {
        return Err(format!(
            "nobody could write `{}`, a word for its setting `{key}`",
            printable(choice, NAME_MAX)
        ));
    }
    Ok(Field {
        help: printable(&help, TEXT_MAX),
        default: default.map(|default| printable(&default, TEXT_MAX)),
        key,
        kind,
        required,
        choices,
        places,
    })
}

/// A host is asked for by a grant, and never one that no grant opens.
fn check_host(host: &str) -> Result<(), String> {
    let shown = printable(host, TEXT_MAX);
    host.parse::<HostGrant>().map_err(|reason| format!("it asks for a host: {}", printable(&reason, 300)))?;
    if let Some(parent) = host.split_once("://*.").map(|(_, parent)| parent)
        && !parent.trim_end_matches('.').contains('.')
    {
        return Err(format!("it asks for `{shown}`, which is all of a top-level domain"));
    }
    let address = match Url::parse(host).ok().as_ref().and_then(Url::host) {
        Some(url::Host::Ipv4(address)) => Some(address.into()),
        Some(url::Host::Ipv6(address)) => Some(address.into()),
        _ => None,
    };
    match address.map(classify) {
        Some(class) if class.never_allowed() => {
            Err(format!("it asks for `{shown}`, a {class} address, which is never open to a plugin"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        let field = |key: &str, kind, choices: &[&str]| Field {
            key: key.into(),
            help: "what it is".into(),
            kind,
            required: false,
            default: Some("none".into()),
            choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
            places: match kind {
                FieldKind::Secret => vec![Place::Path { to: "https://api.example.com".into() }],
                _ => vec![],
            },
        };
        Description {
            name: "my-notifier2".into(),
            version: "1.2.3".into(),
            summary: "tells somebody".into(),
            fields: vec![
                field("bot_token", FieldKind::Secret, &[]),
                field("method", FieldKind::Choice, &["POST", "PUT"]),
            ],
            hosts: vec!["https://api.example.com".into(), "https://*.example.com:8443".into()],
            digests: true,
        }
    }

    #[test]
    fn what_is_in_order_stays_as_it_is() {
        assert_eq!(checked(description()), Ok(description()));
    }

    #[test]
    fn each_key_of_all_channels_is_taken() {
        let keys = "notifier enabled events severities groups tags hours allow limits digest_after digest_within proxy";
        for key in keys.split(' ') {
            let mut wrong = description();
            wrong.fields[0].key = key.into();
            let said = checked(wrong).expect_err(key);
            assert!(said.contains("which each channel has"), "{said}");
        }
    }

    /// The hostile components show the other rules at work; here are the edges of them.
    #[test]
    fn what_can_not_be_believed_is_refused() {
        type Edit = fn(&mut Description);
        let refused: [(Edit, &str); 18] = [
            (|it| it.name = "a".repeat(41), "a name is lower-case"),
            (|it| it.name = "2a".into(), "a name is lower-case"),
            (|it| it.name = "Webhook".into(), "a name is lower-case"),
            (|it| it.fields[0].key = "bot-token".into(), "a setting's name is"),
            (|it| it.fields[0].key = "notifier".into(), "which each channel has"),
            (|it| it.fields = vec![it.fields[0].clone(); 65], "65 settings, and 64"),
            (|it| it.fields[1].choices = vec!["x".into(); 65], "65 words, and 64"),
            (|it| it.fields[1].choices[0] = "a\tb".into(), "nobody could write `a b`"),
            (|it| it.hosts = vec!["https://a.example".into(); 17], "17 hosts, and 16"),
            (|it| it.hosts[0] = "api.example.com".into(), "names no scheme"),
            (|it| it.fields[0].places.clear(), "does not say where in a request its secret `bot_token` goes"),
            (|it| it.fields[1].places = vec![Place::Address], "`method` is no secret"),
            (|it| it.fields[0].places = vec![Place::Address; 17], "17 places, and 16"),
            (
                |it| it.fields[0].places = vec![Place::Body { to: "https://evil.example".into() }],
                "goes to `https://evil.example`",
            ),
            (|it| it.fields[0].places = vec![Place::Body { to: "method".into() }], "goes to `method`"),
            (
                |it| {
                    let to = "https://api.example.com".into();
                    it.fields[0].places = vec![Place::Header { to, name: "Authorization".into() }];
                },
                "no header's name in lower case",
            ),
            (|it| it.hosts[0] = "https://*.com.".into(), "a top-level domain"),
            (|it| it.hosts[0] = "https://0x7f.1/path".into(), "nothing else"),
        ];
        for (change, reason) in refused {
            let mut wrong = description();
            change(&mut wrong);
            let said = checked(wrong).expect_err(reason);
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn texts_are_made_fit_for_people() {
        let mut odd = description();
        odd.version = "1\n2".into();
        odd.summary = "x".repeat(1_000);
        odd.fields[0].default = Some("\u{1b}[2J".into());
        let mended = checked(odd).expect("nothing to refuse");
        assert_eq!((mended.version.as_str(), mended.summary.chars().count()), ("1 2", TEXT_MAX));
        assert_eq!(mended.fields[0].default.as_deref(), Some(" [2J"));
    }
}
