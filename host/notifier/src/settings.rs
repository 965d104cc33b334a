//! A channel's settings with their values looked up, held against what the notifier takes.
//!
//! Here the host does what needs no plugin: unknown and missing keys, wrong kinds, choices, addresses. What passes is
//! handed over in the form that the field's kind has, secrets by reference.

use crate::bindings::uptime::notifier::types::{Setting, SettingValue};
use crate::error::ConfigProblem;
use crate::secrets::{self, Binding, References};
use std::collections::BTreeMap;
use uptime_core::grant::HostGrant;
use uptime_core::notifier::{Description, Field, FieldKind, Place};
use uptime_core::secret::Secret;
use uptime_core::text::did_you_mean;
use url::Url;

pub type ResolvedSettings = BTreeMap<String, ResolvedSetting>;

/// One setting, its value looked up. Whether it is a secret is the notifier's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedSetting {
    Boolean(bool),
    Integer(i64),
    Text(Secret),
    List(Vec<Secret>),
    Map(BTreeMap<String, Secret>),
}

/// What is wrong with `settings` by the description alone, in the description's order.
pub(crate) fn check(description: &Description, settings: &ResolvedSettings) -> Vec<ConfigProblem> {
    let problem = |key: &str, message: String| ConfigProblem { key: Some(key.to_owned()), message };
    let keys = || description.fields.iter().map(|field| field.key.as_str());
    let unknown = settings.keys().filter(|key| !keys().any(|known| known == key.as_str())).map(|key| {
        let hint = did_you_mean(key, keys()).map(|hint| format!("; {hint}")).unwrap_or_default();
        problem(key, format!("`{}` has no such setting{hint}", description.name))
    });
    let wrong = description.fields.iter().filter_map(|field| match settings.get(&field.key) {
        Some(setting) if !is_empty(setting) => hand_over(field, setting, |_| String::new())
            .err()
            .or_else(|| unfit(field, setting))
            .map(|message| problem(&field.key, message)),
        _ if field.required => Some(problem(&field.key, format!("is missing: {}", field.help))),
        _ => None,
    });
    wrong.chain(unknown).collect()
}

/// The settings as the plugin gets them. What [`check`] complains of is left out.
pub(crate) fn for_guest(
    description: &Description,
    settings: &ResolvedSettings,
    references: &mut References,
) -> Vec<Setting> {
    description
        .fields
        .iter()
        .filter_map(|field| {
            let setting = settings.get(&field.key).filter(|setting| !is_empty(setting))?;
            let binding = bind(field, description, settings);
            let value = hand_over(field, setting, |secret| references.add(secret, binding.clone())).ok()?;
            Some(Setting { key: field.key.clone(), value })
        })
        .collect()
}

/// Where the value of a secret may go in this channel.
fn bind(field: &Field, description: &Description, settings: &ResolvedSettings) -> Binding {
    let host = |to: &str| match settings.get(to) {
        _ if description.hosts.iter().any(|host| host == to) => to.parse().ok(),
        Some(ResolvedSetting::Text(text)) => HostGrant::origin_of(&Url::parse(text.expose()).ok()?),
        _ => None,
    };
    let places = field.places.iter().map(|place| (place.clone(), place.to().and_then(host)));
    Binding { key: field.key.clone(), places: places.collect() }
}

/// Why a secret can't be at the only kind of place that there is for it.
fn unfit(field: &Field, setting: &ResolvedSetting) -> Option<String> {
    let texts: &[Secret] = match setting {
        ResolvedSetting::Text(text) => std::slice::from_ref(text),
        ResolvedSetting::List(texts) => texts,
        _ => &[],
    };
    let only = |place: &Place| !field.places.is_empty() && field.places.iter().all(|one| one == place);
    texts.iter().map(Secret::expose).find_map(|text| {
        if only(&Place::Address) {
            (!is_address(text)).then(|| NO_ADDRESS.to_owned())
        } else if only(&Place::Signature) && !text.is_empty() {
            secrets::signing_key(text).err()
        } else {
            None
        }
    })
}

fn is_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| HostGrant::origin_of(&url).is_some())
}

const NO_ADDRESS: &str = "takes an address such as `https://example.com/path`";

/// The origins that are granted by an address being written into the settings.
pub(crate) fn origins<'a>(
    description: &'a Description,
    settings: &'a ResolvedSettings,
) -> impl Iterator<Item = HostGrant> + 'a {
    addresses(description, settings).filter_map(|(_, url)| HostGrant::origin_of(&url))
}

/// The addresses in the settings, each with its key.
pub(crate) fn addresses<'a>(
    description: &'a Description,
    settings: &'a ResolvedSettings,
) -> impl Iterator<Item = (&'a str, Url)> + 'a {
    let fields = description.fields.iter();
    let holds_one = |field: &&Field| field.kind == FieldKind::Url || field.places.contains(&Place::Address);
    fields.filter(holds_one).filter_map(|field| match settings.get(&field.key)? {
        ResolvedSetting::Text(text) => Some((field.key.as_str(), Url::parse(text.expose()).ok()?)),
        _ => None,
    })
}

/// An empty text (an environment variable that is set to nothing) is no value.
fn is_empty(setting: &ResolvedSetting) -> bool {
    match setting {
        ResolvedSetting::Text(text) => text.expose().is_empty(),
        ResolvedSetting::List(texts) => texts.iter().all(|text| text.expose().is_empty()),
        ResolvedSetting::Map(map) => map.is_empty(),
        ResolvedSetting::Boolean(_) | ResolvedSetting::Integer(_) => false,
    }
}

/// One value in the form of the field's kind. Texts stand for numbers and switches too: the environment has only texts.
fn hand_over(
    field: &Field,
    setting: &ResolvedSetting,
    mut reference: impl FnMut(&Secret) -> String,
) -> Result<SettingValue, String> {
    use ResolvedSetting as R;
    let in_line = match setting {
        R::Text(text) => field.kind == FieldKind::Text || text.is_line(),
        R::List(texts) => texts.iter().all(Secret::is_line),
        R::Map(map) => map.values().all(Secret::is_line),
        R::Boolean(_) | R::Integer(_) => true,
    };
    if !in_line {
        return Err(
            "has a line break or another control character in it; write the value alone, on one line".into(),
        );
    }
    let kind = field.kind;
    let mut value = |text: &Secret| match kind {
        FieldKind::Secret | FieldKind::Map => reference(text),
        _ => text.expose().to_owned(),
    };
    let is_one = |text: &Secret| match kind {
        FieldKind::Url => is_address(text.expose()),
        FieldKind::Choice => field.choices.iter().any(|choice| choice == text.expose()),
        _ => matches!(kind, FieldKind::Text | FieldKind::Secret),
    };
    let given = match (kind, setting) {
        (FieldKind::Integer, R::Integer(number)) => Some(SettingValue::Integer(*number)),
        (FieldKind::Integer, R::Text(text)) => text.expose().trim().parse().ok().map(SettingValue::Integer),
        (FieldKind::Boolean, R::Boolean(switch)) => Some(SettingValue::Boolean(*switch)),
        (FieldKind::Boolean, R::Text(text)) => text.expose().trim().parse().ok().map(SettingValue::Boolean),
        (FieldKind::TextList, R::Text(text)) => Some(SettingValue::List(vec![value(text)])),
        (FieldKind::TextList, R::Integer(number)) => Some(SettingValue::List(vec![number.to_string()])),
        (FieldKind::TextList | FieldKind::Secret, R::List(texts)) => {
            let filled = texts.iter().filter(|text| !text.expose().is_empty());
            Some(SettingValue::List(filled.map(value).collect()))
        }
        (FieldKind::Map, R::Map(map)) => {
            Some(SettingValue::Map(map.iter().map(|(key, text)| (key.clone(), value(text))).collect()))
        }
        (FieldKind::Text | FieldKind::Secret, R::Integer(number)) => {
            Some(SettingValue::Text(value(&Secret::new(number.to_string()))))
        }
        (_, R::Text(text)) if is_one(text) => Some(SettingValue::Text(value(text))),
        _ => None,
    };
    given.ok_or_else(|| match kind {
        FieldKind::Text => "takes one text".into(),
        FieldKind::TextList => "takes a text, or a list of them".into(),
        FieldKind::Secret => "takes a text, best as `{ env = \"NAME\" }`, or a list of them".into(),
        FieldKind::Url => NO_ADDRESS.into(),
        FieldKind::Integer => "takes a whole number".into(),
        FieldKind::Boolean => "takes `true` or `false`".into(),
        FieldKind::Choice => format!("takes one of `{}`", field.choices.join("`, `")),
        FieldKind::Map => "takes a table of texts".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        let field = |key: &str, kind| Field {
            key: key.into(),
            help: String::new(),
            kind,
            required: false,
            default: None,
            choices: vec!["a".into()],
            places: match key {
                "secret" => vec![Place::Address, Place::Signature],
                "map" => vec![Place::Header { to: "url".into(), name: "*".into() }],
                _ => vec![],
            },
        };
        Description {
            name: "test".into(),
            version: "1".into(),
            summary: String::new(),
            fields: vec![
                field("text", FieldKind::Text),
                field("secret", FieldKind::Secret),
                field("url", FieldKind::Url),
                field("integer", FieldKind::Integer),
                field("boolean", FieldKind::Boolean),
                field("choice", FieldKind::Choice),
                field("map", FieldKind::Map),
                field("list", FieldKind::TextList),
            ],
            hosts: vec![],
            digests: true,
        }
    }

    fn text(text: &str) -> ResolvedSetting {
        ResolvedSetting::Text(Secret::new(text))
    }

    #[test]
    fn the_guest_gets_references_for_secrets_and_for_a_maps_values() {
        let settings = ResolvedSettings::from([
            (
                "secret".to_owned(),
                ResolvedSetting::List(vec![Secret::new("canary1"), Secret::new("canary2"), Secret::new("")]),
            ),
            (
                "map".to_owned(),
                ResolvedSetting::Map(BTreeMap::from([("key".to_owned(), Secret::new("canary3"))])),
            ),
            ("text".to_owned(), text("clear")),
        ]);
        let mut references = References::default();
        let given = for_guest(&description(), &settings, &mut references);
        let shown = format!("{given:?}");
        assert!(shown.contains("clear") && shown.contains("key") && !shown.contains("canary"), "{shown}");
        let SettingValue::List(secrets) = &given[1].value else { panic!("{shown}") };
        let SettingValue::Map(map) = &given[2].value else { panic!("{shown}") };
        let values: Vec<_> =
            secrets.iter().chain([&map[0].1]).map(|reference| references.mask(reference)).collect();
        assert_eq!(values, ["•••", "•••", "•••"]);
    }

    #[test]
    fn each_kind_takes_its_form_alone() {
        use ResolvedSetting as R;
        let list = || R::List(vec![Secret::new("x")]);
        let map = || R::Map(BTreeMap::from([("k".to_owned(), Secret::new("x"))]));
        for (key, good, bad) in [
            ("text", vec![text("x"), R::Integer(1)], vec![R::Boolean(true), list(), map()]),
            ("secret", vec![text("x"), R::Integer(1), list()], vec![R::Boolean(true), map()]),
            ("url", vec![text("http://x/y")], vec![text("x"), text("ftp://x"), R::Integer(1), list(), map()]),
            (
                "integer",
                vec![R::Integer(-1), text(" 7 ")],
                vec![text("x"), text("1.5"), R::Boolean(true), list(), map()],
            ),
            (
                "boolean",
                vec![R::Boolean(false), text("true")],
                vec![text("yes"), R::Integer(1), list(), map()],
            ),
            ("choice", vec![text("a")], vec![text("b"), R::Integer(1), list(), map()]),
            ("map", vec![map()], vec![text("x"), list(), R::Integer(1)]),
            ("list", vec![text("x"), R::Integer(1), list()], vec![R::Boolean(true), map()]),
        ] {
            for setting in good {
                assert_eq!(
                    check(&description(), &ResolvedSettings::from([(key.to_owned(), setting.clone())])),
                    [],
                    "{key} {setting:?}"
                );
            }
            for setting in bad {
                let problems =
                    check(&description(), &ResolvedSettings::from([(key.to_owned(), setting.clone())]));
                assert_eq!(problems.len(), 1, "{key} {setting:?}");
            }
        }
    }

    #[test]
    fn addresses_grant_their_origins() {
        let settings = ResolvedSettings::from([
            ("url".to_owned(), text("https://a.example:8443/x?y")),
            ("secret".to_owned(), text("https://b.example/token")),
            ("text".to_owned(), text("https://c.example/")),
        ]);
        let granted: Vec<_> = origins(&description(), &settings).map(|grant| grant.to_string()).collect();
        assert_eq!(granted, ["https://b.example", "https://a.example:8443"]);
        let token = ResolvedSettings::from([("secret".to_owned(), text("123:abc"))]);
        assert_eq!(origins(&description(), &token).count(), 0);
        let mut to_sign = description();
        to_sign.fields[1].places = vec![Place::Signature];
        let granted: Vec<_> = origins(&to_sign, &settings).map(|grant| grant.to_string()).collect();
        assert_eq!(granted, ["https://a.example:8443"], "a secret that goes nowhere opens nothing");
    }

    #[test]
    fn a_secret_fits_its_only_place() {
        for (place, value, message) in [
            (Place::Address, "https://hooks.example/x", None),
            (Place::Address, "x", Some(NO_ADDRESS)),
            (Place::Signature, "any bytes", None),
            (
                Place::Signature,
                "whsec_%%%",
                Some("a secret that begins with `whsec_` has to go on in base64"),
            ),
        ] {
            let mut description = description();
            description.fields[1].places = vec![place];
            let problems = check(&description, &ResolvedSettings::from([("secret".to_owned(), text(value))]));
            let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
            assert_eq!(messages, Vec::from_iter(message), "{value}");
        }
    }
}
