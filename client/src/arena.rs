//! Memory for a program that lives for one request.
//!
//! The first allocations come from an arena in the program's own image, which costs an addition
//! each and touches few pages; nothing in it is given back. What does not fit comes from the
//! system's allocator, so that a long-lived command (a log, a large copy) is bounded all the same.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::UnsafeCell,
    ptr::null_mut,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// A hot request needs about a third of it. Pages that are not touched cost nothing.
const SIZE: usize = 64 * 1024;

/// Larger ones, such as buffers for content, always come from the system, which takes them back.
const LARGEST: usize = 16 * 1024;

/// The allocator.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Arena {
    /// On the page of the first allocations, which is touched anyway.
    used: AtomicUsize,
    memory: UnsafeCell<[u8; SIZE]>,
}

#[expect(unsafe_code, reason = "an allocator hands out shared memory")]
// SAFETY: each byte of `memory` belongs to at most one allocation, since `used` only grows.
unsafe impl Sync for Arena {}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl Arena {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { used: AtomicUsize::new(0), memory: UnsafeCell::new([0; SIZE]) }
    }

    fn holds(&self, at: *mut u8) -> bool {
        (at as usize).wrapping_sub(self.memory.get() as usize) < SIZE
    }

    fn take(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST {
            return null_mut();
        }
        let base = self.memory.get() as usize;
        let mut used = self.used.load(Relaxed);
        loop {
            let start = (base + used).next_multiple_of(layout.align()) - base;
            let end = start + layout.size();
            if end > SIZE {
                return null_mut();
            }
            match self.used.compare_exchange_weak(used, end, Relaxed, Relaxed) {
                Ok(_) => return self.memory.get().cast::<u8>().wrapping_add(start),
                Err(now) => used = now,
            }
        }
    }
}

#[expect(unsafe_code, reason = "the trait is unsafe")]
// SAFETY: `take` hands out disjoint, aligned pieces of `memory`, or nothing; all else is System's.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let piece = self.take(layout);
        if !piece.is_null() {
            return piece;
        }
        // SAFETY: the caller keeps the trait's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if !self.holds(at) {
            // SAFETY: it is not the arena's, so it came from System with this layout.
            unsafe { System.dealloc(at, layout) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_aligned_disjoint_and_end() {
        let arena = Box::new(Arena::new());
        let mut last = 0;
        let mut pieces = 0;
        loop {
            let layout = Layout::from_size_align(1000, 64).unwrap();
            let piece = arena.take(layout);
            if piece.is_null() {
                break;
            }
            assert_eq!(piece as usize % 64, 0);
            assert!(piece as usize >= last && arena.holds(piece));
            last = piece as usize + 1000;
            pieces += 1;
        }
        assert!(pieces > 50);
        assert!(arena.take(Layout::from_size_align(LARGEST + 1, 1).unwrap()).is_null());
    }
}
