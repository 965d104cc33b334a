//! A cache of two generations: what was not asked for while the younger one filled up goes, so that the memory of
//! monitors that are gone comes back.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// How many entries a generation has.
pub(crate) const GENERATION: usize = 256;

pub(crate) struct Cache<K, V>(Mutex<Generations<K, V>>);

struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() }))
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// What is kept under `key` and is still right, or what `make` gives for it.
    pub(crate) fn get<E>(
        &self,
        key: &K,
        is_right: impl Fn(&V) -> bool,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = lock().young.get(key).filter(|value| is_right(value)) {
            return Ok(value.clone());
        }
        let kept = lock().old.remove(key).filter(is_right);
        // Whoever else wants something need not wait until it is made.
        let value = kept.map_or_else(make, Ok)?;
        let mut generations = lock();
        if generations.young.len() >= GENERATION {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key.clone(), value.clone());
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let cache = Cache::default();
        let get = |key: &str, value| cache.get(&key.to_owned(), |_| true, || Ok::<_, ()>(value));
        for n in 0..5 * GENERATION {
            assert_eq!(get("used", n), Ok(0));
            assert_eq!(get(&format!("p{n}"), n), Ok(n));
        }
        let replaced = |value| cache.get(&"used".to_owned(), |kept| *kept == value, || Ok::<_, ()>(value));
        assert_eq!((replaced(7), get("used", 0)), (Ok(7), Ok(7)));
        let failed = cache.get(&"none".to_owned(), |_| true, || Err("it can't be made"));
        assert_eq!(failed, Err("it can't be made"));
        let generations = cache.0.lock().expect("no panic under it");
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
        assert!(!generations.young.contains_key("p0") && !generations.old.contains_key("p0"));
    }
}
