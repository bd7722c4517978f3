//! Listing: pages, filters, and what lies below a path.

use std::thread;

use proptest::prelude::*;

use crate::journal::PathFilter;

use super::*;

fn journal_of(entries: impl IntoIterator<Item = Entry>) -> (tempfile::TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    entries.into_iter().for_each(|entry| journal.append(entry));
    journal.flush();
    (dir, journal)
}

fn paths_found(journal: &Journal, path: PathFilter) -> Vec<String> {
    let records = journal.list(&Query { path: Some(path), ..Query::default() }).unwrap();
    records.iter().map(|record| record.path.escape_ascii().to_string()).collect()
}

#[test]
fn what_is_below_a_path_ends_at_a_component() {
    let paths = ["a", "a/b", "a/bc", "a/b/c", "a/b/c/d", "a/b.c", "a/b0", "a/b/", "b", "a/B"];
    let (_dir, journal) = journal_of(paths.map(entry));
    let below = |path: &str| paths_found(&journal, PathFilter::AtOrBelow(path.into()));
    let exactly = |path: &str| paths_found(&journal, PathFilter::Exactly(path.into()));

    assert_eq!(below("a/b"), ["a/b", "a/b/c", "a/b/c/d", "a/b/"]);
    assert_eq!(below("a/b/"), below("a/b"));
    assert_eq!(below("a/b/c"), ["a/b/c", "a/b/c/d"]);
    assert_eq!(below("b"), ["b"]);
    assert_eq!(below(""), paths);
    assert_eq!(below("a/"), below("a"));
    assert_eq!(below("nowhere"), [""; 0]);
    assert_eq!(exactly("a/b"), ["a/b"]);
    assert_eq!(exactly("a/b/"), ["a/b"]);
}

#[test]
fn a_rename_is_found_under_both_names() {
    let renamed = Entry { other: Some(b"old/f".into()), method: "rename", ..entry("new/f") };
    let (_dir, journal) = journal_of([entry("old/f"), renamed, entry("old/g")]);
    for (filter, found) in [
        (PathFilter::Exactly(b"old/f".into()), vec!["old/f", "new/f"]),
        (PathFilter::Exactly(b"new/f".into()), vec!["new/f"]),
        (PathFilter::AtOrBelow(b"old".into()), vec!["old/f", "new/f", "old/g"]),
        (PathFilter::AtOrBelow(b"ol".into()), vec![]),
    ] {
        assert_eq!(paths_found(&journal, filter.clone()), found, "{filter:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn below_a_path_means_the_same_as_by_components(
        paths in prop::collection::vec("[ab/0.]{0,5}", 1..40),
        asked in "[ab]{1,2}(/[ab]{1,2}){0,2}",
    ) {
        let (_dir, journal) = journal_of(paths.iter().map(|path| entry(path)));
        let is_below = |path: &&String| match path.strip_prefix(&asked) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        };
        let expected: Vec<_> = paths.iter().filter(is_below).cloned().collect();
        prop_assert_eq!(paths_found(&journal, PathFilter::AtOrBelow(asked.clone().into())), expected);
    }
}

#[test]
fn filters_narrow_together() {
    let made = |number: usize, build: &str, target: &str, outcome| Entry {
        build: build.into(),
        target: target.into(),
        outcome,
        ..entry(&number.to_string())
    };
    let (_dir, journal) = journal_of([
        made(1, "one", "all", "created"),
        made(2, "one", "lib", "unchanged"),
        made(3, "two", "lib", "replaced"),
        made(4, "two", "lib", "existed"),
        Entry { error: Some("outside".into()), ..made(5, "two", "lib", "refused") },
        made(6, "two", "all", "removed"),
    ]);
    let found = |query: Query| numbers(&journal.list(&query).unwrap());
    let build = Some("two".to_owned());
    let target = Some("lib".to_owned());
    let all = Query::default();

    assert_eq!(found(Query { build: build.clone(), ..all.clone() }), [3, 4, 5, 6]);
    assert_eq!(found(Query { target: target.clone(), ..all.clone() }), [2, 3, 4, 5]);
    assert_eq!(found(Query { changes_only: true, ..all.clone() }), [1, 3, 6]);
    let narrow = Query { build, target, changes_only: true, ..all.clone() };
    assert_eq!(found(narrow.clone()), [3]);
    assert_eq!(found(Query { path: Some(PathFilter::Exactly(b"3".into())), ..narrow }), [3]);
}

#[test]
fn the_end_is_listed_from_the_newest_backwards() {
    let (_dir, journal) = journal_of((1..=50).map(|i| entry(&i.to_string())));
    let tail = Query { newest_first: true, limit: 3, ..Query::default() };
    assert_eq!(seqs(&journal.list(&tail).unwrap()), [50, 49, 48]);
    let earlier = Query { before_seq: Some(48), ..tail };
    assert_eq!(seqs(&journal.list(&earlier).unwrap()), [47, 46, 45]);
    let none = Query { limit: 0, ..Query::default() };
    assert_eq!(journal.list(&none).unwrap(), []);
}

#[test]
fn pages_read_while_entries_come_in_have_no_gaps() {
    const COUNT: usize = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    let mut seen = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| append(&journal, 0..COUNT));
        let mut after_seq = 0;
        eventually("all are read", || {
            let page = Query { after_seq, limit: 77, ..Query::default() };
            let page = journal.list(&page).unwrap();
            after_seq = page.last().map_or(after_seq, |last| last.seq);
            seen.extend(page);
            seen.len() >= COUNT
        });
    });
    assert_eq!(seqs(&seen), Vec::from_iter(1..=COUNT as i64));
    assert_eq!(numbers(&seen), Vec::from_iter(0..COUNT));
}
