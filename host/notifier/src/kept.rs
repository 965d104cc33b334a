//! What plugins keep from one call to the next: tokens that providers gave, of each channel its own.
//!
//! In memory alone, and bounded; a plugin is content when it is gone. A dry run and a scripted run keep nothing beyond themselves,
//! since the answers that they get are made up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use uptime_core::secret::Secret;

/// The most texts of a channel.
const TEXTS_MOST: usize = 8;
/// The longest name of one, in bytes.
const NAME_MOST: usize = 40;
/// The longest one, in bytes.
const TEXT_MOST: usize = 4 * 1024;
/// For so long at most.
const TTL_MOST: Duration = Duration::from_hours(24);

/// By name, each with the instant at which it is forgotten.
type Texts = HashMap<String, (Secret, Instant)>;

/// All that is kept, by plugin and channel.
#[derive(Default)]
pub(crate) struct KeptTexts(Mutex<HashMap<(String, String), Texts>>);

/// What one channel of a plugin keeps.
#[derive(Clone)]
pub(crate) struct KeptOf {
    all: Arc<KeptTexts>,
    whose: (String, String),
}

impl KeptOf {
    pub(crate) fn new(all: Arc<KeptTexts>, notifier: &str, channel: &str) -> Self {
        Self { all, whose: (notifier.to_owned(), channel.to_owned()) }
    }

    fn with<T>(&self, now: Instant, change: impl FnOnce(&mut Texts) -> T) -> T {
        // Nothing panics while it is locked.
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = all.entry(self.whose.clone()).or_default();
        texts.retain(|_, (_, until)| *until > now);
        let done = change(texts);
        if texts.is_empty() {
            all.remove(&self.whose);
        }
        done
    }

    /// Keeps `value` for so long.
    pub(crate) fn keep(
        &self,
        name: String,
        value: &Secret,
        ttl: Duration,
        now: Instant,
    ) -> Result<(), String> {
        if name.len() > NAME_MOST || value.expose().len() > TEXT_MOST {
            return Err(format!(
                "a name of at most {NAME_MOST} bytes and a text of at most {TEXT_MOST} are kept"
            ));
        }
        self.with(now, |texts| {
            if texts.len() >= TEXTS_MOST && !texts.contains_key(&name) {
                return Err(format!("a channel keeps at most {TEXTS_MOST} texts"));
            }
            texts.insert(name, (value.clone(), now + ttl.min(TTL_MOST)));
            Ok(())
        })
    }

    /// What was kept under this name.
    pub(crate) fn kept(&self, name: &str, now: Instant) -> Option<Secret> {
        self.with(now, |texts| texts.get(name).map(|(value, _)| value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_its_own_for_so_long_and_not_too_many() {
        let all = Arc::new(KeptTexts::default());
        let now = Instant::now();
        let (ops, boss) =
            (KeptOf::new(Arc::clone(&all), "a", "ops"), KeptOf::new(Arc::clone(&all), "a", "boss"));
        let keep = |name: &str, ttl| ops.keep(name.to_owned(), &Secret::new("token"), ttl, now);
        let minute = Duration::from_mins(1);
        assert_eq!(keep("t", minute), Ok(()));
        let kept = |of: &KeptOf, at| of.kept("t", at).map(|value| value.expose().to_owned());
        assert_eq!(kept(&ops, now).as_deref(), Some("token"));
        assert_eq!((kept(&boss, now), kept(&ops, now + minute)), (None, None));
        assert!(all.0.lock().expect("no panic").is_empty(), "what is over leaves nothing");
        for n in 0..TEXTS_MOST {
            assert_eq!(keep(&n.to_string(), Duration::MAX), Ok(()));
        }
        assert!(keep("one more", minute).is_err());
        assert_eq!(keep("0", minute), Ok(()), "in place of the old one");
        assert_eq!(kept(&ops, now), None);
        assert!(ops.kept("1", now + TTL_MOST).is_none());
        let long = Secret::new("x".repeat(TEXT_MOST + 1));
        assert!(ops.keep("0".into(), &long, minute, now).is_err());
        assert!(keep(&"x".repeat(NAME_MOST + 1), minute).is_err());
    }
}
