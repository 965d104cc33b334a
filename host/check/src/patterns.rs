//! Compiled patterns, each made once: a spec is read from the database for each check, and compiling takes longer than
//! the check.
//!
//! The cache has two generations. What was not asked for while the younger one filled up goes, so that the memory of
//! monitors that are gone comes back.

use regex::Regex;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use uptime_core::expectation::Pattern;

/// How many patterns a generation has.
const GENERATION: usize = 256;

#[derive(Default)]
pub(crate) struct Patterns {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Pattern, Regex>,
    old: HashMap<Pattern, Regex>,
}

impl Patterns {
    /// The compiled form of `pattern`. Fails as its compilation does.
    pub(crate) fn get(&self, pattern: &Pattern) -> Result<Regex, String> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(regex) = generations.young.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = match generations.old.remove(pattern) {
            Some(regex) => regex,
            None => pattern.compile()?,
        };
        if generations.young.len() >= GENERATION {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(pattern.clone(), regex.clone());
        Ok(regex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let patterns = Patterns::default();
        let used: Pattern = "used".parse().expect("a pattern");
        for n in 0..5 * GENERATION {
            assert!(patterns.get(&used).expect("a pattern").is_match("it is used"));
            patterns.get(&format!("p{n}").parse().expect("a pattern")).expect("a pattern");
        }
        let generations = patterns.generations.lock().expect("no panic under it");
        assert!(generations.young.contains_key(&used) || generations.old.contains_key(&used));
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
        assert!(!generations.young.contains_key(&"p0".parse().expect("a pattern")));
    }
}
