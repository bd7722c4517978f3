//! Who may hold what together, and in which order a set is taken.

use super::*;

fn paths(set: &LockSet) -> Vec<String> {
    set.iter().map(|(key, access)| format!("{access} {key}")).collect()
}

#[test]
fn ancestors_are_proper_and_without_the_root() {
    let of = |path| Key::from(path).ancestors().map(|key| key.to_string()).collect::<Vec<_>>();
    assert_eq!(of("a/b/c"), ["a", "a/b"]);
    assert!(of("a").is_empty());
    assert!(of("").is_empty());
}

#[test]
fn an_ancestor_is_the_same_key_however_it_was_made() {
    let table = LockTable::new();
    let parent = Key::from("a/b/c").ancestors().nth(1).unwrap();
    assert_eq!(parent, Key::from("a/b"));
    let _guard = table.try_acquire(LockSet::exclusive(parent), owner(1)).unwrap();
    assert!(try_lock(&table, &[("a/b", SHARED)]).is_none());
}

#[test]
fn a_key_is_shown_on_one_line_whatever_its_bytes() {
    assert_eq!(Key::new(*b"a\n\xff/\xc3\xa9").to_string(), "a\\n\\xff/é");
    assert_eq!(Key::root().to_string(), ".");
}

#[test]
#[cfg(debug_assertions)]
fn a_path_that_is_not_canonical_is_no_key() {
    for path in ["/a", "a/", "a//b", "./a", "a/../b", "/"] {
        assert!(std::panic::catch_unwind(|| Key::from(path)).is_err(), "{path}");
    }
}

#[test]
fn a_set_is_complete_merged_and_sorted() {
    let set = set(&[("b/x", EXCLUSIVE), ("a/y", SHARED), ("b", EXCLUSIVE), ("a/y", EXCLUSIVE)]);
    assert_eq!(paths(&set), ["shared a", "exclusive a/y", "exclusive b", "exclusive b/x"]);
}

#[test]
fn the_order_of_a_set_does_not_depend_on_the_claims() {
    let forth = set(&[("a-b", SHARED), ("a/b", EXCLUSIVE), ("a", SHARED)]);
    let back = set(&[("a", SHARED), ("a/b", EXCLUSIVE), ("a-b", SHARED)]);
    assert_eq!(paths(&forth), paths(&back));
}

#[test]
fn shared_holders_hold_together() {
    let table = LockTable::new();
    let first = try_lock(&table, &[("a", SHARED)]);
    let second = try_lock(&table, &[("a", SHARED)]);
    assert!(first.is_some() && second.is_some());
    assert!(try_lock(&table, &[("a", EXCLUSIVE)]).is_none());
}

#[test]
fn an_exclusive_holder_is_alone() {
    let table = LockTable::new();
    let guard = try_lock(&table, &[("a", EXCLUSIVE)]);
    assert!(guard.is_some());
    assert!(try_lock(&table, &[("a", EXCLUSIVE)]).is_none());
    assert!(try_lock(&table, &[("a", SHARED)]).is_none());
    drop(guard);
    assert!(try_lock(&table, &[("a", EXCLUSIVE)]).is_some());
    assert_idle(&table);
}

#[test]
fn different_places_do_not_meet() {
    let table = LockTable::new();
    let guards =
        ["d/a", "d/b", "e", "d/ab", "d/a-"].map(|path| try_lock(&table, &[(path, EXCLUSIVE)]));
    assert!(guards.iter().all(Option::is_some));
}

#[test]
fn who_holds_a_directory_alone_holds_all_below_it() {
    let table = LockTable::new();
    let directory = try_lock(&table, &[("a/b", EXCLUSIVE)]);
    assert!(directory.is_some());
    assert!(try_lock(&table, &[("a/b/c/d", EXCLUSIVE)]).is_none());
    assert!(try_lock(&table, &[("a/b/c", SHARED)]).is_none());
    assert!(try_lock(&table, &[("a/x", EXCLUSIVE)]).is_some());
    drop(directory);

    let below = try_lock(&table, &[("a/b/c/d", SHARED)]);
    assert!(below.is_some());
    assert!(try_lock(&table, &[("a", EXCLUSIVE)]).is_none());
    assert!(try_lock(&table, &[("a", SHARED)]).is_some());
}

#[test]
fn the_root_conflicts_only_with_itself() {
    let table = LockTable::new();
    let _root = try_lock(&table, &[("", EXCLUSIVE)]).unwrap();
    assert!(try_lock(&table, &[("", SHARED)]).is_none());
    assert!(try_lock(&table, &[("a/b", EXCLUSIVE)]).is_some());
}

#[test]
fn trying_takes_all_or_nothing() {
    let table = LockTable::new();
    let _taken = try_lock(&table, &[("c", EXCLUSIVE)]).unwrap();
    assert!(try_lock(&table, &[("a/b", EXCLUSIVE), ("c", EXCLUSIVE), ("d", SHARED)]).is_none());
    let locked: Vec<_> = table.snapshot().into_iter().map(|status| status.key).collect();
    assert_eq!(locked, [Key::from("c")]);
}

#[test]
fn an_empty_set_is_always_free() {
    let table = LockTable::new();
    drop(Request::new(&table, 1, LockSet::default(), None).granted());
    assert_eq!(table.counters().acquisitions, 1);
    assert_idle(&table);
}

#[test]
fn a_guard_tells_what_it_holds() {
    let table = LockTable::new();
    let guard = try_lock(&table, &[("a/b", EXCLUSIVE)]).unwrap();
    let held: Vec<_> = guard.iter().collect();
    assert_eq!(held, [(&Key::from("a"), SHARED), (&Key::from("a/b"), EXCLUSIVE)]);
}

#[test]
fn a_guard_may_be_dropped_in_a_thread_without_a_runtime() {
    fn movable<T: Send + 'static>(_: &T) {}
    let table = LockTable::new();
    let guard = try_lock(&table, &[("a", EXCLUSIVE)]).unwrap();
    let waiter = Request::waiting(&table, 2, &[("a", EXCLUSIVE)]);
    movable(&guard);
    std::thread::spawn(move || drop(guard)).join().unwrap();
    drop(waiter.granted());
    assert_idle(&table);
}
