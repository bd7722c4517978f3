//! Accounts of builds that are made up.

use std::time::{Duration, SystemTime};

use super::*;
use crate::journal::Entry;

fn moment(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000 + ms)
}

/// A recipe that ran from one moment to another, in milliseconds.
pub(super) fn recipe(target: &str, begun: u64, ended: u64) -> Recipe {
    Recipe {
        build: "b".into(),
        target: target.into(),
        directory: String::new(),
        prerequisites: String::new(),
        command: format!("make {target}"),
        pid: 0,
        begun: moment(begun),
        ended: moment(ended),
        how: How::Wrapped,
        outcome: RecipeOutcome::Done,
        exit_code: 0,
        reruns: 0,
    }
}

/// A journal with one build.
struct Told {
    journal: Journal,
    _dir: tempfile::TempDir,
}

impl Told {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.begin_build(Build {
            id: "b".into(),
            command: "make -j2".into(),
            directory: String::new(),
            jobs: 2,
            pid: 1,
            begun: moment(0),
            ended: None,
        });
        Self { journal, _dir: dir }
    }

    /// A recipe of a process of its own, which it is named by.
    fn recipe(&self, pid: u32, recipe: Recipe) {
        self.journal.note_recipe(Recipe { pid, ..recipe });
    }

    fn entry(&self, pid: u32, at: u64, method: &'static str, outcome: &'static str, path: &str) {
        let entry = crate::journal::entry_for_tests(path);
        let (build, target) = ("b".into(), String::new());
        self.journal.append(Entry { at: moment(at), build, target, pid, method, outcome, ..entry });
    }

    fn account(&self) -> Account {
        self.journal.flush();
        Account::of(&self.journal, None).unwrap().unwrap()
    }

    /// As in "Directory d a b": what, where, who first, who second.
    fn findings(&self) -> Vec<String> {
        let account = self.account();
        let target = |number: i64| {
            let line = account.recipes.iter().find(|line| line.number == number);
            line.map_or("?", |line| &*line.recipe.target)
        };
        let text = |f: &Finding| {
            let path = String::from_utf8_lossy(&f.path);
            format!("{:?} {path} {} {}", f.kind, target(f.first), target(f.second))
        };
        account.findings.iter().map(text).collect()
    }
}

/// Two recipes with one entry each at `x`.
fn two(first: (&'static str, u64, u64), second: (&'static str, u64, u64)) -> Told {
    let told = Told::new();
    for (pid, target, (outcome, begun, ended)) in [(1, "one", first), (2, "two", second)] {
        told.recipe(pid, recipe(target, begun, ended));
        let method = if outcome == "existed" { "mkdir" } else { "run" };
        told.entry(pid, ended - 1, method, outcome, "x");
    }
    told
}

#[test]
fn a_directory_that_overlapping_recipes_made_is_a_race_avoided() {
    assert_eq!(two(("created", 0, 10), ("existed", 5, 20)).findings(), ["Directory x one two"]);
    let none: [&str; 0] = [];
    assert_eq!(two(("created", 0, 10), ("existed", 10, 20)).findings(), none, "one after another");
    assert_eq!(two(("existed", 0, 10), ("existed", 5, 20)).findings(), none, "it was there before");
}

#[test]
fn a_file_that_overlapping_recipes_wrote_is_a_race_or_a_conflict_by_its_content() {
    assert_eq!(two(("replaced", 0, 10), ("unchanged", 5, 20)).findings(), ["File x one two"]);
    assert_eq!(two(("replaced", 0, 10), ("attributes", 5, 20)).findings(), ["File x one two"]);
    assert_eq!(two(("created", 0, 10), ("replaced", 5, 20)).findings(), ["Conflict x one two"]);
    let none: [&str; 0] = [];
    assert_eq!(two(("created", 0, 10), ("removed", 5, 20)).findings(), none);
}

#[test]
fn a_conflict_on_record_names_both_and_is_told_once() {
    let told = Told::new();
    told.recipe(1, recipe("one", 0, 10));
    told.entry(1, 9, "run", "replaced", "lib.a");
    told.entry(2, 15, "run", "conflict", "lib.a");
    told.entry(2, 29, "run", "replaced", "lib.a");
    told.recipe(2, Recipe { reruns: 1, ..recipe("two", 5, 30) });
    assert_eq!(told.findings(), ["Conflict lib.a one two"]);
    let account = told.account();
    let finding = &account.findings[0];
    assert!(finding.reran);
    assert_eq!(finding.cure.line, "two: one");
    assert_eq!((account.sums.conflicts, account.sums.races_avoided), (1, 0));
    assert_eq!((account.sums.reruns, account.sums.most_at_once), (1, 2));
}

#[test]
fn a_conflict_with_somebody_who_is_no_recipe_is_told_in_words() {
    let told = Told::new();
    told.recipe(2, recipe("two", 5, 30));
    told.entry(2, 15, "run", "conflict", "lib.a");
    assert_eq!(told.findings(), ["Conflict lib.a ? two"]);
}

#[test]
fn an_entry_is_that_of_its_process_at_that_moment_or_of_its_target() {
    let told = Told::new();
    // The same process id, twice.
    told.recipe(7, recipe("early", 0, 100));
    told.recipe(7, recipe("late", 200, 300));
    told.recipe(8, Recipe { directory: "sub".into(), ..recipe("all", 0, 300) });
    told.recipe(9, Recipe { directory: "lib".into(), ..recipe("all", 0, 300) });
    told.entry(7, 50, "run", "created", "a");
    told.entry(7, 250, "run", "created", "b");
    told.entry(7, 150, "run", "created", "nobody's");
    let by_target = |directory: &str, pid| Entry {
        at: moment(20),
        build: "b".into(),
        target: "all".into(),
        directory: directory.into(),
        pid,
        outcome: "unchanged",
        ..crate::journal::entry_for_tests("c")
    };
    told.journal.append(by_target("lib", 1000));
    told.journal.append(by_target("elsewhere", 1001));
    let account = told.account();
    let of = |target: &str, directory: &str| {
        let line = account
            .recipes
            .iter()
            .find(|line| line.recipe.target == target && line.recipe.directory == directory);
        line.map(|line| (line.changed, line.unchanged)).unwrap()
    };
    assert_eq!((of("early", ""), of("late", "")), ((1, 0), (1, 0)));
    assert_eq!(of("all", "sub").1 + of("all", "lib").1, 2);
    assert!(of("all", "lib").1 >= 1, "the directory decides between targets of one name");
    assert_eq!((account.sums.changed, account.sums.unchanged), (3, 2), "all entries are counted");
}

#[test]
fn what_an_unwrapped_recipe_ran_in_it_does_not_race_with_it() {
    let told = Told::new();
    told.recipe(1, Recipe { how: How::Unwrapped, ..recipe("all", 0, 100) });
    told.recipe(2, recipe("all", 10, 20));
    told.entry(1, 15, "mkdir", "created", "d");
    told.entry(2, 16, "mkdir", "existed", "d");
    let none: [&str; 0] = [];
    assert_eq!(told.findings(), none);
    // Two makes that make one target are another matter.
    let told = Told::new();
    told.recipe(1, recipe("all", 0, 100));
    told.recipe(2, recipe("all", 10, 20));
    told.entry(1, 15, "mkdir", "created", "d");
    told.entry(2, 16, "mkdir", "existed", "d");
    assert_eq!(told.findings(), ["Directory d all all"]);
}

#[test]
fn of_many_that_met_some_are_named_and_all_are_counted() {
    let told = Told::new();
    for pid in 1..=40 {
        told.recipe(pid, recipe(&format!("t{pid}"), u64::from(pid), 100));
        let outcome = if pid == 1 { "created" } else { "existed" };
        told.entry(pid, 50, "mkdir", outcome, "d");
    }
    let account = told.account();
    let [finding] = &account.findings[..] else { panic!("{:?}", account.findings) };
    assert_eq!((finding.others.len(), finding.other_count), (16, 38));
    assert_eq!(finding.cure.line, "t2: | t1");
}

#[test]
fn an_account_without_a_build_is_none_and_an_empty_one_is_empty() {
    let told = Told::new();
    told.journal.flush();
    assert!(Account::of(&told.journal, Some("other")).unwrap().is_none());
    let account = told.account();
    assert_eq!(account.sums, Sums::default());
    told.journal.end_build("b".into(), moment(250), 2);
    let account = told.account();
    assert_eq!(account.sums.took, Duration::from_millis(250));
    assert_eq!(account.build.ended, Some((moment(250), 2)));
}
