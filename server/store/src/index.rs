//! What the store holds, in memory: sizes, who uses what, and in which order things were used.

use std::collections::{BTreeMap, HashMap};

/// What takes less of the disk than this is counted as this, in bytes: a filesystem's block.
const BLOCK: u64 = 4096;

/// The name of one file of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) space: Space,
    pub(crate) hash: [u8; 32],
}

/// What kinds of files there are, each in a directory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Space {
    Sha256,
    Blake3,
    Results,
}

impl Space {
    pub(crate) const ALL: [Self; 3] = [Self::Sha256, Self::Blake3, Self::Results];

    /// Its directory.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
            Self::Results => "results",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) size: u64,
    /// It was there before the machine started: its content has to be hashed before it is served.
    pub(crate) doubted: bool,
    /// When the time of its last use was written down, in seconds since 1970.
    pub(crate) dated: i64,
    /// What no other entry has, nor had: under one name there may be one file after another.
    pub(crate) born: u64,
    /// Its place in the order of use.
    turn: u64,
    pins: u32,
}

/// All files, oldest use first.
#[derive(Debug)]
pub(crate) struct Index {
    entries: HashMap<Key, Entry>,
    order: BTreeMap<u64, Key>,
    next_turn: u64,
    /// What the files take, and what uploads under way have written.
    taken: u64,
    max: u64,
    evicted: u64,
}

/// There is no room that could be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Index {
    pub(crate) fn new(max: u64) -> Self {
        let (entries, order) = (HashMap::new(), BTreeMap::new());
        Self { entries, order, next_turn: 0, taken: 0, max, evicted: 0 }
    }

    /// A file that is there, used later than all others. What had its name may still be in use.
    pub(crate) fn insert(&mut self, key: Key, size: u64, doubted: bool, dated: i64) {
        let pins = self.entries.get(&key).map_or(0, |entry| entry.pins);
        self.remove(key);
        let turn = self.take_turn(key);
        self.taken += cost(size);
        self.entries.insert(key, Entry { size, doubted, dated, born: turn, turn, pins });
    }

    /// It is not there any more.
    pub(crate) fn remove(&mut self, key: Key) {
        if let Some(entry) = self.entries.remove(&key) {
            self.order.remove(&entry.turn);
            self.taken -= cost(entry.size);
        }
    }

    /// What is known of it; it was used just now.
    pub(crate) fn used(&mut self, key: Key) -> Option<&mut Entry> {
        let old = self.entries.get(&key)?.turn;
        self.order.remove(&old);
        let turn = self.take_turn(key);
        let entry = self.entries.get_mut(&key)?;
        entry.turn = turn;
        Some(entry)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.get_mut(&key)
    }

    /// Which entry there is, if there is one.
    pub(crate) fn born(&self, key: Key) -> Option<u64> {
        self.entries.get(&key).map(|entry| entry.born)
    }

    /// It may not go until it was unpinned as often.
    pub(crate) fn pin(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.pins += 1;
        }
    }

    /// What was removed and came again meanwhile has nothing to be unpinned.
    pub(crate) fn unpin(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.pins = entry.pins.saturating_sub(1);
        }
    }

    /// Takes room for `bytes` more, for which the oldest files go that nobody uses: `delete` each.
    pub(crate) fn charge(&mut self, bytes: u64, mut delete: impl FnMut(Key)) -> Result<(), Full> {
        while self.taken + bytes > self.max {
            let is_free = |key: &&Key| self.entries.get(key).is_some_and(|entry| entry.pins == 0);
            let oldest = *self.order.values().find(is_free).ok_or(Full)?;
            delete(oldest);
            self.remove(oldest);
            self.evicted += 1;
        }
        self.taken += bytes;
        Ok(())
    }

    /// Gives room back.
    pub(crate) fn release(&mut self, bytes: u64) {
        self.taken -= bytes;
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn take_turn(&mut self, key: Key) -> u64 {
        let turn = self.next_turn;
        self.next_turn += 1;
        self.order.insert(turn, key);
        turn
    }
}

/// What a file of `size` bytes takes of the disk.
pub(crate) fn cost(size: u64) -> u64 {
    size.next_multiple_of(BLOCK).max(BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Key {
        Key { space: Space::Sha256, hash: [n; 32] }
    }

    fn full_of(count: u8) -> Index {
        let mut index = Index::new(u64::from(count) * BLOCK);
        (0..count).for_each(|n| index.insert(key(n), 1, false, 0));
        index
    }

    fn evicted(index: &mut Index, bytes: u64) -> Result<Vec<u8>, Full> {
        let mut gone = Vec::new();
        index.charge(bytes, |key| gone.push(key.hash[0])).map(|()| gone)
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        let mut index = full_of(4);
        index.used(key(0)).unwrap();
        assert_eq!(evicted(&mut index, 2 * BLOCK), Ok(vec![1, 2]));
        assert_eq!((index.len(), index.taken(), index.evicted()), (2, 4 * BLOCK, 2));
    }

    #[test]
    fn what_is_in_use_stays() {
        let mut index = full_of(3);
        index.pin(key(0));
        index.pin(key(0));
        index.pin(key(2));
        assert_eq!(evicted(&mut index, BLOCK), Ok(vec![1]));
        assert_eq!(evicted(&mut index, BLOCK), Err(Full));
        index.unpin(key(0));
        assert_eq!(evicted(&mut index, BLOCK), Err(Full));
        index.unpin(key(0));
        assert_eq!(evicted(&mut index, BLOCK), Ok(vec![0]));
    }

    #[test]
    fn room_is_taken_once_and_given_back() {
        let mut index = full_of(0);
        index = Index { max: 10 * BLOCK, ..index };
        index.charge(3 * BLOCK, |_| unreachable!()).unwrap();
        index.insert(key(1), 5000, false, 0);
        index.insert(key(1), 5000, false, 0);
        assert_eq!(index.taken(), 5 * BLOCK);
        index.release(3 * BLOCK);
        index.remove(key(1));
        index.remove(key(1));
        assert_eq!((index.taken(), index.len()), (0, 0));
    }
}
