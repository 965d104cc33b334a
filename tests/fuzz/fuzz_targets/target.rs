//! Targets as people type them: what is taken is shown, read again and stored without a change.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use uptime_core::monitor::CheckSpec;
use uptime_core::target;

fuzz_target!(|text: &str| -> Corpus {
    let spec = match target::parse(text) {
        Ok(spec) => spec,
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.hint().is_empty());
            return Corpus::Keep;
        }
    };
    let shown = spec.target();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    let again = target::parse(&shown).unwrap_or_else(|error| panic!("`{shown}` was shown: {error}"));
    assert_eq!(again.target(), shown);
    assert_eq!(again.kind(), spec.kind());
    let stored = serde_json::to_string(&spec).expect("a check is stored");
    assert_eq!(serde_json::from_str::<CheckSpec>(&stored).expect("what was stored"), spec);
    Corpus::Keep
});
