//! A table of what was seen lately.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Mutex, PoisonError},
};

/// How many entries a table has; the oldest are forgotten.
const MAX: usize = 16_384;

/// What is remembered of each key.
#[derive(Debug)]
pub(super) struct Recent<K, V>(Mutex<Table<K, V>>);

#[derive(Debug)]
struct Table<K, V> {
    values: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V: Clone> Recent<K, V> {
    pub(super) fn get(&self, key: K) -> Option<V> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.values.get(&key).cloned()
    }

    pub(super) fn insert(&self, key: K, value: V) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.values.insert(key, value).is_none() {
            table.order.push_back(key);
        }
        if table.order.len() > MAX
            && let Some(oldest) = table.order.pop_front()
        {
            table.values.remove(&oldest);
        }
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Table { values: HashMap::new(), order: VecDeque::new() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_when_there_are_too_many() {
        let recent = Recent::default();
        for n in 0..=MAX {
            recent.insert(n, n);
            recent.insert(n, n + 1);
        }
        assert_eq!(recent.get(0), None);
        assert_eq!((recent.get(1), recent.get(MAX)), (Some(2), Some(MAX + 1)));
    }
}
