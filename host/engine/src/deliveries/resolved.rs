//! What a channel's notifier is called with: its settings with the values looked up, and what goes wrong then.

use jiff::Timestamp;
use uptime_check::secrets;
use uptime_core::ErrorClass;
use uptime_core::channel::{Setting, Settings};
use uptime_core::event::Event;
use uptime_core::secret::access::Access;
use uptime_core::secret::{Secret, SecretRef};
use uptime_core::text::printable;
use uptime_notifier::{Delivery, Earlier, NotifierError, ResolvedSetting, ResolvedSettings};
use uptime_store::notifications::ChannelRow;
use uuid::Uuid;

/// Why a delivery did not come about.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// A setting has no value here.
    #[error("`{key}` of channel `{channel}`: {source}")]
    Setting {
        /// The channel.
        channel: String,
        /// The key.
        key: String,
        /// What is missing.
        source: secrets::SecretError,
    },
    /// The notifier's word.
    #[error(transparent)]
    Notifier(#[from] NotifierError),
}

impl DeliveryError {
    /// What may be done about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Setting { source, .. } => source.class(),
            Self::Notifier(error) => error.class(),
        }
    }

    pub(super) fn notifier(&self) -> Option<&NotifierError> {
        match self {
            Self::Notifier(error) => Some(error),
            Self::Setting { .. } => None,
        }
    }

    /// As it is recorded: with the way out where only that host knows it.
    pub(super) fn in_words(&self) -> String {
        let way_out = if self.is_denied_here() { self.hint() } else { None };
        let way_out = way_out.map(|hint| format!("; hint: {hint}")).unwrap_or_default();
        printable(&format!("{self}{way_out}"), 1_000)
    }

    /// Whether this host does not let the channel use a secret. The channel is broken until somebody allows it, and its
    /// messages wait, for another host may allow it or this one will.
    pub fn is_denied_here(&self) -> bool {
        matches!(self, Self::Setting { source: secrets::SecretError::Denied(_), .. })
    }

    /// The way out.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Setting { source, .. } => Some(source.hint()),
            Self::Notifier(error) => error.hint(),
        }
    }
}

/// Puts the values in for a channel's references. Called where the values are used, and nowhere else.
pub fn resolve_settings(
    channel: &str,
    settings: &Settings,
    access: &Access,
) -> Result<ResolvedSettings, DeliveryError> {
    settings
        .iter()
        .map(|(key, setting)| {
            let value = |reference: &SecretRef| {
                secrets::resolve(reference, access).map_err(|source| DeliveryError::Setting {
                    channel: channel.to_owned(),
                    key: key.clone(),
                    source,
                })
            };
            let resolved = match setting {
                Setting::Boolean(switch) => ResolvedSetting::Boolean(*switch),
                Setting::Integer(number) => ResolvedSetting::Integer(*number),
                Setting::Text(text) => ResolvedSetting::Text(value(text)?),
                Setting::List(list) => {
                    ResolvedSetting::List(list.iter().map(value).collect::<Result<_, _>>()?)
                }
                Setting::Map(map) => ResolvedSetting::Map(
                    map.iter().map(|(name, text)| Ok((name.clone(), value(text)?))).collect::<Result<
                        _,
                        DeliveryError,
                    >>(
                    )?,
                ),
            };
            Ok((key.clone(), resolved))
        })
        .collect()
}

/// The proxy of a channel, if it has one.
pub fn resolve_proxy(channel: &ChannelRow, access: &Access) -> Result<Option<Secret>, DeliveryError> {
    let resolved =
        channel.proxy.as_ref().map(|reference| secrets::resolve_line(reference, access)).transpose();
    resolved.map_err(|source| DeliveryError::Setting {
        channel: channel.name.clone(),
        key: "proxy".into(),
        source,
    })
}

/// The values of `resolved` that `settings` only refers to: whoever wrote `{ env = … }` said that the value is nobody's
/// business, whatever the notifier thinks of its key.
pub fn referenced(settings: &Settings, resolved: &ResolvedSettings) -> Vec<Secret> {
    let is_elsewhere = |reference: &SecretRef| !matches!(reference, SecretRef::Literal(_));
    let pairs = settings.iter().filter_map(|(key, setting)| Some((setting, resolved.get(key)?)));
    let found = pairs.flat_map(|pair| match pair {
        (Setting::Text(reference), ResolvedSetting::Text(value)) => vec![(reference, value)],
        (Setting::List(references), ResolvedSetting::List(values)) => references.iter().zip(values).collect(),
        // The same keys in the same order.
        (Setting::Map(references), ResolvedSetting::Map(values)) => {
            references.values().zip(values.values()).collect()
        }
        _ => Vec::new(),
    });
    found.filter(|(reference, _)| is_elsewhere(reference)).map(|(_, value)| value.clone()).collect()
}

/// What a channel's notifier is called with, values and all.
pub struct Resolved<'a> {
    channel: &'a ChannelRow,
    settings: ResolvedSettings,
    /// What nobody may see.
    pub hidden: Vec<Secret>,
    proxy: Option<Secret>,
}

impl<'a> Resolved<'a> {
    /// Looks the values up.
    pub fn new(channel: &'a ChannelRow, access: &Access) -> Result<Self, DeliveryError> {
        let settings = resolve_settings(&channel.name, &channel.settings, access)?;
        let hidden = referenced(&channel.settings, &settings);
        let proxy = resolve_proxy(channel, access)?;
        Ok(Self { channel, settings, hidden, proxy })
    }

    /// The first try to tell it `event` at the instant `now`, which is the database's.
    pub fn delivery<'b>(&'b self, event: &'b Event, installation: Uuid, now: Timestamp) -> Delivery<'b> {
        let channel = self.channel;
        Delivery {
            notifier: &channel.notifier,
            settings: &self.settings,
            allow: &channel.allow,
            limits: &channel.limits,
            channel: &channel.name,
            time_zone: channel.filter.hours.as_ref().map_or("UTC", |hours| hours.zone().name()),
            installation,
            event,
            digest: None,
            before: Earlier::default(),
            now,
            attempt: 1,
            hidden: &self.hidden,
            proxy: self.proxy.as_ref(),
        }
    }
}
