//! Bytes that have come and wait to be used.

use prost::bytes::{Bytes, BytesMut};

/// From this size on, bytes are not copied when they are taken: the memory goes with them.
const LARGE: usize = 32 << 10;

/// A queue of bytes, filled at the end and used up at the front.
///
/// Its memory is zeroed once, when it grows, and then used again and again: reading into it needs
/// neither `unsafe` nor a fresh zeroing for each read.
#[derive(Default)]
pub(super) struct Buffer {
    memory: BytesMut,
    start: usize,
    end: usize,
    /// Memory that went with bytes that were taken. Once they are dropped, it is used again.
    lent: Option<Bytes>,
}

impl Buffer {
    /// A buffer that has room for `size` bytes.
    pub(super) fn with_room(size: usize) -> Self {
        Self { memory: BytesMut::zeroed(size), ..Self::default() }
    }

    /// What waits to be used.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How much the buffer holds without growing.
    pub(super) fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Forgets the first `count` bytes, or all if they are fewer.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.is_empty() {
            self.clear();
        }
    }

    /// Takes the first `count` bytes out, or all if they are fewer.
    pub(super) fn take(&mut self, count: usize) -> Bytes {
        let range = self.start..(self.start + count).min(self.end);
        if range.len() < LARGE {
            let taken = Bytes::copy_from_slice(&self.memory[range]);
            self.consume(count);
            return taken;
        }
        // Memory whose bytes are still in use is left to them.
        let next = self.lent.take().and_then(|lent| lent.try_into_mut().ok()).unwrap_or_default();
        let memory = std::mem::replace(&mut self.memory, next).freeze();
        let rest = memory.slice(range.end..self.end);
        self.clear();
        self.extend(&rest);
        let taken = memory.slice(range);
        self.lent = Some(memory);
        taken
    }

    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Free memory behind the bytes, at least `least` of it (and at least one byte). Announce with
    /// [`Buffer::filled`] how much of it was written to.
    pub(super) fn room(&mut self, least: usize) -> &mut [u8] {
        let least = least.max(1);
        // Moving is worth it when less is moved than was used up since the last time.
        if self.memory.len() - self.end < least && self.len() <= self.start {
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.len());
        }
        if self.memory.len() - self.end < least {
            let size = (self.end + least).max(self.memory.len() * 2);
            self.memory.resize(size, 0);
        }
        &mut self.memory[self.end..]
    }

    /// Counts `count` bytes that were written to the start of [`Buffer::room`] as present.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.memory.len());
    }

    /// Appends `bytes`.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.filled(bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is done with it, it is a queue.
        #[test]
        fn it_is_a_queue(
            steps in proptest::collection::vec((0..3, prop_oneof![0..200usize, 0..90_000usize]), 0..60)
        ) {
            let mut buffer = Buffer::with_room(16);
            let mut model = std::collections::VecDeque::new();
            let mut kept = Vec::new();
            for (index, (step, count)) in steps.into_iter().enumerate() {
                if step == 0 {
                    let bytes = vec![index as u8; count];
                    buffer.extend(&bytes);
                    model.extend(bytes);
                } else {
                    let wanted: Vec<u8> = model.drain(..count.min(model.len())).collect();
                    if step == 1 {
                        buffer.consume(count);
                    } else {
                        let taken = buffer.take(count);
                        prop_assert_eq!(&taken, &wanted);
                        kept.push((taken, wanted));
                        kept.truncate(index % 4);
                    }
                }
                for (taken, wanted) in &kept {
                    prop_assert_eq!(taken, wanted);
                }
                prop_assert!(buffer.bytes().iter().eq(model.iter()));
                prop_assert_eq!(buffer.len(), model.len());
            }
        }
    }

    #[test]
    fn a_queue_in_steady_use_does_not_grow() {
        let mut buffer = Buffer::with_room(64);
        for _ in 0..1000 {
            buffer.extend(&[7; 24]);
            buffer.consume(23);
            buffer.consume(1);
        }
        assert_eq!(buffer.capacity(), 64);
    }

    #[test]
    fn large_bytes_are_not_copied_and_their_memory_comes_back() {
        let mut buffer = Buffer::with_room(2 * LARGE);
        let mut places = Vec::new();
        for number in 0..10 {
            buffer.extend(&vec![number; LARGE + 1]);
            let place = buffer.bytes().as_ptr();
            let taken = buffer.take(LARGE);
            assert_eq!(taken.as_ptr(), place);
            assert_eq!(buffer.take(1)[0], number);
            places.push(place);
        }
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 2);
    }
}
