use std::time::{Duration, Instant};

use onewriter_tree::mutation::{Change, Deed, Outcome};
use proptest::prelude::*;

use super::*;

const DEEDS: [Deed; 13] = [
    Deed::Stay,
    Deed::Read,
    Deed::MakeDirectory,
    Deed::Publish,
    Deed::Symlink,
    Deed::HardLink,
    Deed::Rename,
    Deed::Remove,
    Deed::SetAttributes,
    Deed::Touch,
    Deed::Change,
    Deed::Lock,
    Deed::Administer,
];

const KINDS: [&str; 12] = [
    "read",
    "write",
    "make-directory",
    "publish",
    "symlink",
    "hard-link",
    "rename",
    "remove",
    "set-attributes",
    "touch",
    "lock",
    "administer",
];

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

fn rule(who: &[&str], paths: &[&str], may: &[&str]) -> Rule {
    Rule {
        name: "rule".into(),
        who: who.iter().map(|who| who.to_string()).collect(),
        paths: paths.iter().map(|text| path(text)).collect(),
        may: Kinds::named(may.iter().copied()).unwrap(),
    }
}

fn book(rules: Vec<Rule>, limits: Limits) -> Book {
    let book = Book::default();
    book.replace(Policy { rules, limits: vec![Limit { who: vec!["*".into()], limits }] });
    book
}

fn rights(book: &Book, who: &str) -> Arc<Rights> {
    book.rights(who, vec![who.to_owned()])
}

#[test]
fn a_rule_holds_below_its_paths_and_nowhere_else() {
    let book = book(vec![rule(&["cert:a"], &["stage", "x/y"], &["publish"])], Limits::default());
    let a = rights(&book, "cert:a");
    for (place, may) in [
        ("stage", true),
        ("stage/d/f", true),
        ("x/y/z", true),
        ("x", false),
        ("stages", false),
        (".", false),
    ] {
        assert_eq!(a.may(Deed::Publish, &path(place)), may, "{place}");
        assert!(!a.may(Deed::Read, &path(place)) && !a.may(Deed::Change, &path(place)));
    }
    assert!(!rights(&book, "cert:b").may(Deed::Publish, &path("stage")));
    assert!(!rights(&book, "token:a").may_somewhere(Deed::Publish));
}

#[test]
fn who_is_refused_learns_of_the_nearest_rule_and_of_what_would_help() {
    let book = book(vec![rule(&["cert:a"], &["stage"], &["publish"])], Limits::default());
    let refused = rights(&book, "cert:a").refuse(Deed::Publish, &path("lib/x"));
    assert_eq!(&*refused.denial.identity, "cert:a");
    assert_eq!(refused.denial.rule, "rule lets it publish at stage");
    for part in ["cert:a", "\"lib\"", "\"publish\""] {
        assert!(refused.denial.cure.contains(part), "{}", refused.denial.cure);
    }
    let nobody = rights(&book, "cert:b").refuse(Deed::Publish, &path("stage"));
    assert_eq!(nobody.denial.rule, "no rule names it");
}

#[test]
fn another_policy_holds_at_once_for_those_who_are_known() {
    let book = book(vec![rule(&["*"], &["."], &["write"])], Limits::default());
    assert!(rights(&book, "token:t").may(Deed::Publish, &path("f")));
    book.replace(Policy { rules: vec![rule(&["*"], &["."], &["read"])], limits: vec![] });
    let now = rights(&book, "token:t");
    assert!(!now.may(Deed::Publish, &path("f")) && now.may(Deed::Read, &path("f")));
}

#[test]
fn a_user_has_the_rights_of_the_group_that_asks_and_one_quota() {
    let limits = Limits { files: Some(1), requests: Some(1), ..Limits::default() };
    let book = book(vec![rule(&["gid:1"], &["."], &["write"])], limits.clone());
    let of = |gid: &str| book.rights("uid:7", vec!["uid:7".into(), gid.into()]);
    let may = |gid: &str| of(gid).may(Deed::Publish, &path("f"));
    assert!(!may("gid:2") && may("gid:1") && !may("gid:2"));
    let more = Limits { requests: Some(2), ..limits };
    let limits = vec![Limit { who: vec!["uid:7".into()], limits: more }];
    book.replace(Policy { rules: vec![rule(&["gid:2"], &["."], &["write"])], limits });
    assert!(may("gid:2") && !may("gid:1"));
    of("gid:1").charge(&[Change::new(&path("f"), Outcome::Created)]);
    assert!(of("gid:2").check_quota().is_err());
    assert!(Arc::ptr_eq(&of("gid:1").turnstile, &of("gid:2").turnstile), "they take turns");
    assert!(rights(&book, "uid:8").check_quota().is_ok());
}

#[test]
fn what_was_used_is_counted_for_each_and_survives_another_policy() {
    let limits = Limits { bytes: Some(100), files: Some(3), ..Limits::default() };
    let book = book(vec![], limits);
    let made = |bytes| Change { bytes, ..Change::new(&path("f"), Outcome::Created) };
    let a = rights(&book, "cert:a");
    a.charge(&[made(60), made(30)]);
    assert!(a.check_quota().is_ok());
    book.replace(Policy {
        rules: vec![],
        limits: vec![Limit {
            who: vec!["*".into()],
            limits: Limits { bytes: Some(100), ..Limits::default() },
        }],
    });
    let a = rights(&book, "cert:a");
    let mut stream = a.usage();
    assert!(stream.add(10).is_ok());
    let refused = stream.add(1).expect_err("101 bytes are too many");
    assert_eq!(refused.denial.rule, "bytes = 100");
    drop(stream);
    assert!(a.usage().add(10).is_ok(), "what did not come in the end does not count");
    assert!(rights(&book, "cert:b").usage().add(100).is_ok(), "others have their own");
}

#[test]
fn a_file_counts_when_it_is_made_and_a_window_ends() {
    let limits = Limits { files: Some(1), window: Some(0), ..Limits::default() };
    let ended = rights(&book(vec![], limits.clone()), "cert:a");
    let change = |outcome| Change::new(&path("f"), outcome);
    ended.charge(&[change(Outcome::Created)]);
    assert!(ended.check_quota().is_ok(), "the window is over");
    let lasts = rights(&book(vec![], Limits { window: None, ..limits }), "cert:a");
    lasts.charge(&[change(Outcome::Replaced), change(Outcome::Existed)]);
    assert!(lasts.check_quota().is_ok());
    lasts.charge(&[change(Outcome::Created)]);
    assert_eq!(lasts.check_quota().err().unwrap().denial.rule, "files = 1");
}

#[tokio::test(start_paused = true)]
async fn turns_are_given_in_order_and_only_so_many_wait_for_them() {
    let limits = Limits { requests: Some(1), waiting: Some(1), ..Limits::default() };
    let book = Arc::new(book(vec![], limits));
    let a = rights(&book, "cert:a");
    let deadline = Instant::now() + Duration::from_secs(60);
    let first = a.turn(deadline).await.ok().unwrap();
    let second = tokio::spawn({
        let a = Arc::clone(&a);
        async move { a.turn(deadline).await.is_ok() }
    });
    tokio::task::yield_now().await;
    let third = a.turn(deadline).await;
    assert_eq!(third.expect_err("one waits already").0.denial.rule, "waiting = 1");
    assert!(rights(&book, "cert:b").turn(deadline).await.is_ok(), "nobody else is kept waiting");
    drop(first);
    assert!(second.await.unwrap());
    let held = a.turn(deadline).await.ok().unwrap();
    let late = a.turn(Instant::now() + Duration::from_millis(5)).await;
    assert_eq!(late.expect_err("it does not come").0.denial.rule, "requests = 1");
    drop(held);
}

#[test]
fn rights_are_superseded_by_others_and_not_by_the_same() {
    let policy =
        |path: &str| Policy { rules: vec![rule(&["a"], &[path], &["read"])], limits: vec![] };
    let book = Book::default();
    book.replace(policy("d"));
    let (a, b) = (rights(&book, "a"), rights(&book, "b"));
    book.replace(policy("d"));
    assert!(!a.are_superseded() && Arc::ptr_eq(&a, &rights(&book, "a")));
    book.replace(policy("e"));
    assert!(a.are_superseded() && !b.are_superseded(), "nothing is different for b");
    assert!(!rights(&book, "a").are_superseded());
    book.expire();
    assert!(b.are_superseded() && !rights(&book, "b").are_superseded());
}

#[tokio::test]
async fn room_that_is_scarce_says_so_and_comes_back() {
    let limits = Limits { queued_bytes: Some(LEAST_QUEUED), ..Limits::default() };
    let a = rights(&book(vec![], limits), "cert:a");
    let first = a.room(LEAST_QUEUED / 2).await;
    assert!(!first.is_scarce());
    let second = a.room(LEAST_QUEUED / 2).await;
    assert!(second.is_scarce());
    assert!(tokio::time::timeout(Duration::from_millis(5), a.room(1)).await.is_err());
    drop(first);
    a.room(1).await;
}

/// What a policy means, in the plainest words.
fn naive(rules: &[Rule], name: &str, deed: Deed, path: &RelPath) -> bool {
    let one_says = |kind: Deed| {
        rules.iter().any(|rule| {
            let means = rule.who.iter().any(|who| match who.strip_suffix('*') {
                Some(start) => name.len() >= start.len() && &name[..start.len()] == start,
                None => who == name,
            });
            let is_there = rule.paths.iter().any(|top| {
                let (top, path): (Vec<_>, Vec<_>) =
                    (top.components().collect(), path.components().collect());
                path.len() >= top.len() && path[..top.len()] == top[..]
            });
            means && is_there && rule.may.hold(kind)
        })
    };
    match deed {
        Deed::Stay => true,
        Deed::Change => DEEDS[2..10].iter().all(|kind| one_says(*kind)),
        deed => one_says(deed),
    }
}

fn name() -> impl Strategy<Value = String> {
    "(cert|token):[ab]{1,2}"
}

fn place() -> impl Strategy<Value = RelPath> {
    "[ab]{1,2}(/[ab]){0,2}|\\.".prop_map(|text| path(&text))
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let who = prop_oneof![name(), "(cert:|token:)?[ab]?\\*"];
    let kind = proptest::sample::select(&KINDS[..]);
    let rule = (
        prop::collection::vec(who, 1..3),
        prop::collection::vec(place(), 1..3),
        prop::collection::vec(kind, 1..3),
    );
    let rule = rule.prop_map(|(who, paths, may)| Rule {
        name: "rule".into(),
        who,
        paths,
        may: Kinds::named(may).unwrap(),
    });
    prop::collection::vec(rule, 0..5)
}

proptest! {
    #[test]
    fn a_policy_decides_as_its_words_say(rules in rules(), name in name(), place in place()) {
        let book = book(rules.clone(), Limits::default());
        let rights = rights(&book, &name);
        for deed in DEEDS {
            let expected = naive(&rules, &name, deed, &place);
            prop_assert_eq!(rights.may(deed, &place), expected, "{:?} at {:?}", deed, place);
        }
    }

    #[test]
    fn who_may_do_it_to_a_directory_may_do_it_in_it(
        rules in rules(), name in name(), place in place(), child in "[ab]{1,2}",
    ) {
        let book = book(rules, Limits::default());
        let rights = rights(&book, &name);
        let below = place.child(child.as_bytes()).unwrap();
        for deed in DEEDS {
            prop_assert!(!rights.may(deed, &place) || rights.may(deed, &below), "{:?}", deed);
        }
    }

    #[test]
    fn kinds_are_shown_as_they_can_be_read(names in prop::collection::vec(
        proptest::sample::select(&KINDS[..]), 0..6)) {
        let kinds = Kinds::named(names).unwrap();
        let shown = kinds.to_string();
        let again = Kinds::named(shown.split(", ").filter(|name| !name.is_empty())).unwrap();
        prop_assert_eq!(kinds, again);
    }
}
