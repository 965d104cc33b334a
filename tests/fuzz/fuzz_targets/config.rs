//! The file: whatever it has in it, complaints can be shown where they are, and what is taken can be stored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uptime_core::config::{self, Level, Notifiers};
use uptime_core::monitor::CheckSpec;

/// The longest complaint that is one.
const MESSAGE_MOST: usize = 2_000;

fuzz_target!(|text: &str| {
    let reading = config::read(text, Notifiers::default());
    let lines = text.lines().count().max(1) + 1;
    for diagnostic in &reading.diagnostics {
        let said = [Some(&diagnostic.message), diagnostic.hint.as_ref()];
        for said in said.into_iter().flatten() {
            assert!(!said.chars().any(char::is_control), "{said:?}");
            assert!(said.chars().count() <= MESSAGE_MOST, "{said}");
        }
        let span = &diagnostic.span;
        assert!(span.start <= span.end && text.get(span.clone()).is_some(), "{diagnostic:?}");
        assert!((1..=lines).contains(&diagnostic.line), "{diagnostic:?}");
        assert!(diagnostic.masked.windows(2).all(|pair| pair[0].end <= pair[1].start), "{diagnostic:?}");
    }
    let has_error = reading.diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Error);
    assert_eq!(reading.config.is_none(), has_error);
    for monitor in reading.config.iter().flat_map(|config| &config.monitors) {
        assert!(reading.position_of(&["monitors", &monitor.name]).is_some(), "{}", monitor.name);
        let stored = serde_json::to_string(&monitor.check).expect("a check is stored");
        assert_eq!(serde_json::from_str::<CheckSpec>(&stored).expect("what was stored"), monitor.check);
    }
});
