//! Prometheus's text format, version 0.0.4.
//!
//! Written by hand, as it is a dozen lines. The libraries for it bring a registry of counters of
//! their own, where these are counted in the core, which knows no library for that.

use std::fmt::Write as _;

use onewriter_core::histogram::{BOUNDS, Histogram};

/// What a page of this format is called.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page as it grows.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// Names and values that tell samples of one family from each other.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// Samples of one name. All are written before the next family begins, as the format wants it.
pub(super) struct Family<'p> {
    page: &'p mut String,
    name: &'static str,
}

impl Page {
    /// What only grows, from the daemon's start on.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// What goes up and down.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Durations in seconds.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { page: &mut self.0, name }
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// The one sample of a family without labels.
    pub(super) fn is(&mut self, value: f64) {
        self.sample(&[], value);
    }

    pub(super) fn sample(&mut self, labels: Labels<'_>, value: f64) {
        self.line("", labels, None, value);
    }

    pub(super) fn durations(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(histogram.buckets) {
            below += count;
            self.line("_bucket", labels, Some(&bound.to_string()), below as f64);
        }
        self.line("_bucket", labels, Some("+Inf"), histogram.count as f64);
        self.line("_sum", labels, None, histogram.sum.as_secs_f64());
        self.line("_count", labels, None, histogram.count as f64);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: f64) {
        let _ = write!(self.page, "{}{suffix}", self.name);
        let labels = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        for (n, (name, value)) in labels.clone().enumerate() {
            let begin = if n == 0 { '{' } else { ',' };
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.page, "{begin}{name}=\"{value}\"");
        }
        let end = if labels.count() == 0 { "" } else { "}" };
        let _ = writeln!(self.page, "{end} {value}");
    }
}
