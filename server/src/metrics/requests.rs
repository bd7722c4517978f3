//! How long requests take, by method.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use onewriter_core::histogram::{BOUNDS, Histogram, bucket};
use onewriter_proto::DESCRIPTORS;
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// What all other methods are called: what peers make up may not become names of figures.
const OTHER: &str = "other";

/// The counts of all methods: relaxed atomics, so that nobody waits to count.
pub(crate) struct Meters {
    /// In the order of the names, as in `onewriter.v1.Mutations/Touch`.
    methods: Vec<(String, Meter)>,
    other: Meter,
    under_way: AtomicU64,
}

#[derive(Default)]
struct Meter {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Default for Meters {
    /// One for each method of the protocol.
    fn default() -> Self {
        let known = FileDescriptorSet::decode(DESCRIPTORS);
        let files = known.expect("the checked-in descriptors are well formed").file;
        let mut methods = Vec::new();
        for file in &files {
            for service in &file.service {
                let prefix = format!("{}.{}", file.package(), service.name());
                let names = service.method.iter().map(|m| format!("{prefix}/{}", m.name()));
                methods.extend(names.map(|name| (name, Meter::default())));
            }
        }
        methods.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self { methods, other: Meter::default(), under_way: AtomicU64::new(0) }
    }
}

impl Meters {
    /// Begins to time a request to this path of a URI, which ends when what is returned is dropped.
    pub(crate) fn begin(self: &Arc<Self>, path: &str) -> Timer {
        let name = path.strip_prefix('/').unwrap_or(path);
        let method = self.methods.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok();
        self.under_way.fetch_add(1, Relaxed);
        Timer { meters: Arc::clone(self), method, began: Instant::now() }
    }

    /// Requests that were begun and are not over.
    pub(super) fn under_way(&self) -> u64 {
        self.under_way.load(Relaxed)
    }

    /// The requests that are over, of each method that there were any of.
    pub(super) fn read(&self) -> impl Iterator<Item = (&str, Histogram)> {
        let other = std::iter::once((OTHER, &self.other));
        let methods = self.methods.iter().map(|(name, meter)| (name.as_str(), meter)).chain(other);
        methods.map(|(name, meter)| (name, meter.read())).filter(|(_, times)| times.count > 0)
    }
}

impl Meter {
    fn observe(&self, took: Duration) {
        if let Some(bucket) = bucket(took) {
            self.buckets[bucket].fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        // 2^64 nanoseconds are 584 years.
        self.nanoseconds.fetch_add(took.as_nanos() as u64, Relaxed);
    }

    fn read(&self) -> Histogram {
        Histogram {
            buckets: std::array::from_fn(|n| self.buckets[n].load(Relaxed)),
            count: self.count.load(Relaxed),
            sum: Duration::from_nanos(self.nanoseconds.load(Relaxed)),
        }
    }
}

/// A request that is under way.
pub(crate) struct Timer {
    meters: Arc<Meters>,
    method: Option<usize>,
    began: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        let known = self.method.map(|method| &self.meters.methods[method].1);
        known.unwrap_or(&self.meters.other).observe(self.began.elapsed());
        self.meters.under_way.fetch_sub(1, Relaxed);
    }
}
