//! Chance that can be had again: all that a test does at random follows from one number, which is printed when the
//! test begins and once more when it fails.

use fastrand::Rng;
use std::fmt;
use std::io::Write;

/// A test's seed. While the test panics it says how to have the same chance again.
pub struct Seed {
    variable: &'static str,
    value: u64,
    test: &'static str,
}

impl Seed {
    /// The seed of `test`: what the environment variable says, else one that nobody knows.
    ///
    /// # Panics
    /// If the variable holds no number.
    pub fn of(test: &'static str, variable: &'static str) -> Self {
        let value = match std::env::var(variable) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}=`{text}` is no number")),
            Err(_) => fastrand::u64(..),
        };
        let seed = Self { variable, value, test };
        seed.say("begins");
        seed
    }

    /// A generator. Each call gives the same.
    pub fn rng(&self) -> Rng {
        Rng::with_seed(self.value)
    }

    /// Says a line about the test, with its seed.
    pub fn say(&self, line: &str) {
        // Past the test runner, which would show it only after a failure.
        let _ = writeln!(std::io::stderr(), "── {self}: {line}");
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}={})", self.test, self.variable, self.value)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.say("failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_chance_again() {
        let seed = Seed { variable: "UPTIME_TORTURE_SEED", value: 7, test: "a test" };
        assert_eq!(seed.to_string(), "a test (UPTIME_TORTURE_SEED=7)");
        let chances = |mut rng: Rng| [rng.u64(..), rng.u64(..)];
        assert_eq!(chances(seed.rng()), chances(seed.rng()));
        assert_ne!(chances(seed.rng()), chances(Rng::with_seed(8)));
    }
}
