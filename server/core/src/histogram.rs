//! How often something took how long.

use std::time::Duration;

/// Upper bounds of the buckets, in seconds: from what an existing directory takes to what a person
/// would not wait for. What took longer is in the count only.
pub const BOUNDS: [f64; 14] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0,
    300.0,
];

/// Durations, counted in buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many were no longer than the bound of the same place in [`BOUNDS`], and longer than the
    /// one before.
    pub buckets: [u64; BOUNDS.len()],
    /// How many there were, longer ones included.
    pub count: u64,
    /// All together.
    pub sum: Duration,
}

impl Histogram {
    /// Counts one.
    pub fn observe(&mut self, took: Duration) {
        if let Some(bucket) = bucket(took) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum += took;
    }
}

/// Where one that took so long is counted; `None`: it is longer than all bounds.
#[must_use]
pub fn bucket(took: Duration) -> Option<usize> {
    let seconds = took.as_secs_f64();
    BOUNDS.iter().position(|bound| seconds <= *bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::default();
        for micros in [0, 50, 51, 1_000_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        assert_eq!((histogram.buckets[0], histogram.buckets[1]), (2, 1));
        assert_eq!((histogram.count, histogram.buckets.iter().sum::<u64>()), (4, 3));
        assert_eq!(histogram.sum, Duration::from_micros(1_000_000_101));
    }
}
