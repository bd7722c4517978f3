//! A strict reader of Prometheus's text format, 0.0.4: what Prometheus would forgive is refused.

use std::collections::{BTreeMap, BTreeSet};

/// Everything that a page says.
#[derive(Debug, Default)]
pub struct Exposition {
    /// The kind of each family.
    pub kinds: BTreeMap<String, String>,
    /// Values by name and labels, as in `a_total{b="c"}`; the labels are in the order of the page.
    pub samples: BTreeMap<String, f64>,
}

impl Exposition {
    /// # Panics
    /// Where the text is not as it must be.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let (mut page, mut helped, mut current) = (Self::default(), BTreeSet::new(), String::new());
        assert!(text.ends_with('\n'), "the last line has no end");
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, text) = help.split_once(' ').expect("a name and a text");
                assert!(is_name(name) && !text.is_empty(), "{line}");
                assert!(helped.insert(name.to_owned()), "{name} is there twice");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a name and a kind");
                assert!(helped.contains(name), "{name} is not explained");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(page.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
                name.clone_into(&mut current);
            } else {
                page.sample(line, &current);
            }
        }
        assert_eq!(helped.len(), page.kinds.len());
        page.check_histograms();
        page
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("labels end")),
            None => (series, ""),
        };
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("in {family}: {line}"));
        let allowed = match &*self.kinds[family] {
            "histogram" => &["_bucket", "_sum", "_count"][..],
            _ => &[""],
        };
        assert!(allowed.contains(&suffix), "{line}");
        for (name, _) in pairs(labels) {
            assert!(is_name(&name) && !name.contains(':'), "{line}");
        }
        let value: f64 = value.parse().unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value >= 0.0 && value.is_finite(), "{line}");
        assert!(self.samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }

    fn check_histograms(&self) {
        let mut bounds: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (series, value) in &self.samples {
            let Some((name, labels)) = series.split_once("_bucket{") else { continue };
            let mut others = String::new();
            let mut bound = None;
            for (label, value) in pairs(labels.trim_end_matches('}')) {
                match &*label {
                    "le" => bound = Some(value.parse().expect("a number")),
                    _ => others.push_str(&format!("{label}=\"{value}\"")),
                }
            }
            let histogram = bounds.entry(format!("{name}_count{{{others}}}")).or_default();
            histogram.push((bound.expect("a bound"), *value));
        }
        for (count, mut buckets) in bounds {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{count}: {buckets:?}");
            let (last, all) = buckets.pop().expect("one at least");
            assert_eq!((last, all), (f64::INFINITY, self.samples[&count]), "{count}");
            assert!(self.samples.contains_key(&count.replace("_count{", "_sum{")));
        }
    }

    /// The value of one sample; none is 0, as a counter that was never counted is.
    pub fn value(&self, series: &str) -> f64 {
        self.samples.get(series).copied().unwrap_or(0.0)
    }

    /// The names under which there are samples, or could be.
    pub fn names(&self) -> BTreeSet<String> {
        let names = self.kinds.iter().flat_map(|(name, kind)| {
            let suffixes: &[&str] = match &**kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
        });
        names.collect()
    }
}

fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `a="b",c="d"`, without the escapes.
fn pairs(mut labels: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    while !labels.is_empty() {
        let (name, rest) = labels.split_once("=\"").unwrap_or_else(|| panic!("{labels}"));
        let (mut value, mut chars) = (String::new(), rest.char_indices());
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("no end: {labels}")) {
                (at, '"') => break at,
                (_, '\\') => match chars.next() {
                    Some((_, c @ ('"' | '\\'))) => value.push(c),
                    Some((_, 'n')) => value.push('\n'),
                    other => panic!("{other:?} is no escape"),
                },
                (_, c) => value.push(c),
            }
        };
        pairs.push((name.to_owned(), value));
        labels = &rest[end + 1..];
        if let Some(more) = labels.strip_prefix(',') {
            assert!(!more.is_empty(), "a comma at the end");
            labels = more;
        } else {
            assert!(labels.is_empty(), "{labels}");
        }
    }
    pairs
}

#[test]
fn pages_that_are_not_strict_are_refused() {
    const HEAD: &str = "# HELP a_total x\n# TYPE a_total counter\n";
    let page = |rest: &str| format!("{HEAD}{rest}");
    Exposition::parse(&page("a_total{b=\"c\\\"\\\\\\n\"} 1\na_total{b=\"d\"} 2\n"));
    for bad in [
        page("a_total 1"),
        page("a_total 1\na_total 2\n"),
        page("a_total -1\n"),
        page("a_total{b=c} 1\n"),
        page("a_total{b=\"c\",} 1\n"),
        page("b_total 1\n"),
        page(HEAD),
        "# TYPE a_total counter\n".to_owned(),
        "# HELP a x\n# TYPE a counter\n".to_owned(),
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n".to_owned(),
    ] {
        let parsed = std::panic::catch_unwind(|| Exposition::parse(&bad));
        assert!(parsed.is_err(), "{bad}");
    }
}
