use super::*;
use crate::{
    Reason,
    mutation::{Batch, Remove, Symlink},
};

fn symbolic(path: &str, target: &str) -> Box<dyn Mutation> {
    let target = target.into();
    Box::new(Symlink { path: rel(path), target, replace: false, parents: false, umask: 0 })
}

fn boxed(path: &str) -> Box<dyn Mutation> {
    Box::new(make(path))
}

#[test]
fn one_after_another() {
    let root = Root::new();
    let items =
        vec![boxed("a"), symbolic("l", "a"), boxed("l/b"), symbolic("a/m", "b"), boxed("l/m/c")];
    let done = root.run(Batch::new("batch", items, false)).unwrap();
    assert_eq!(done, ["a created", "l created", "a/b created", "a/m created", "a/b/c created"]);
}

#[test]
fn the_first_failure_stops_it_and_is_counted() {
    let root = Root::new();
    root.link(root.outside("elsewhere"), "out");
    for bad in ["out/x", "out", "f/x"] {
        root.write("f", "");
        let items = vec![boxed("a"), boxed(bad), boxed("b")];
        let (done, changes) = root.attempt(&mut Batch::new("batch", items, false));
        assert_eq!(done.unwrap_err().index, Some(1), "{bad}");
        assert!(changes.len() == 1 && !root.exists("b"));
    }
}

#[test]
fn all_are_attempted_where_wanted_however_many_fail() {
    let root = Root::new();
    root.link(root.outside("elsewhere"), "out");
    root.link("loop", "loop");
    root.mkdir("real");
    root.link("real", "good");
    let mut items = Vec::new();
    for n in 0..20 {
        items.extend([boxed(&format!("out/{n}")), boxed(&format!("good/{n}")), boxed("loop/x")]);
    }
    items.push(boxed("last"));
    let (done, changes) = root.attempt(&mut Batch::new("mkdir", items, true));
    let error = done.unwrap_err();
    assert_eq!((error.reason, error.index), (Reason::OutsideRoot, Some(0)));
    assert_eq!((changes.len(), root.exists("last")), (21, true));
    assert_eq!(root.names("real").len(), 20);
}

#[test]
fn what_is_done_is_not_looked_at_again() {
    let root = Root::new();
    root.mkdir("x");
    let gone = Remove { path: rel("x"), recursive: true, allow_missing: false, directory: false };
    let items = vec![
        boxed("x/d"),
        Box::new(gone),
        symbolic("x", root.outside("elsewhere").to_str().unwrap()),
        symbolic("l", "."),
        boxed("l/y"),
    ];
    let done = root.run(Batch::new("batch", items, false)).unwrap();
    assert_eq!(done, ["x/d created", "x removed", "x created", "l created", "y created"]);
}

#[test]
fn names_are_made_in_one_directory_if_all_of_them_are() {
    let of = |items| Batch::new("batch", items, false).makes_name_in().map(<[u8]>::to_vec);
    assert_eq!(of(vec![boxed("d/a")]), Some(b"d".to_vec()));
    assert_eq!(of(vec![boxed("a"), boxed("b")]), Some(Vec::new()));
    assert_eq!(of(vec![boxed("d/a"), boxed("e/a")]), None);
    assert_eq!(of(vec![boxed("d/a"), symbolic("d/l", "a")]), None);
    assert_eq!(of(Vec::new()), None);
}

#[test]
fn the_shortcut_is_all_or_nothing() {
    let root = Root::new();
    root.mkdir("a");
    let mut effects = Effects::new(false);
    let both = Batch::new("mkdir", vec![boxed("a"), boxed("b")], true);
    assert!(!both.shortcut(&root.tree, &mut effects) && effects.changes.is_empty());
    let one = Batch::new("mkdir", vec![boxed("a"), boxed("a")], true);
    assert!(one.shortcut(&root.tree, &mut effects) && effects.changes.len() == 2);
}

#[test]
fn what_names_the_new_is_left_to_be_synchronised_together() {
    let root = Root::new();
    let mut few = Batch::new("mkdir", vec![boxed("a"), boxed("b"), boxed("c/d")], true);
    let mut effects = Effects::new(true);
    few.apply(&root.tree, &mut effects).unwrap();
    assert_eq!(effects.take_unsynced().len(), 4);

    let many = (0..300).map(|n| boxed(&format!("many.{n}"))).collect();
    let mut effects = Effects::new(true);
    Batch::new("mkdir", many, true).apply(&root.tree, &mut effects).unwrap();
    assert!(effects.take_unsynced().len() <= 65, "each is an open descriptor");
}
