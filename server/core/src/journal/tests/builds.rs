//! Builds and recipes in the journal.

use super::*;
use crate::journal::{Build, How, Recipe, RecipeOutcome, schema};

fn build(id: &str) -> Build {
    Build {
        id: id.into(),
        command: "make -j8".into(),
        directory: "sub".into(),
        jobs: 8,
        pid: 12,
        begun: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_000_123_456_789),
        ended: None,
    }
}

fn recipe(build: &str, target: &str) -> Recipe {
    Recipe {
        build: build.into(),
        target: target.into(),
        directory: "sub".into(),
        prerequisites: "a b".into(),
        command: "cc -c a.c".into(),
        pid: 13,
        begun: SystemTime::UNIX_EPOCH + Duration::from_secs(5),
        ended: SystemTime::UNIX_EPOCH + Duration::from_secs(9),
        how: How::Unwrapped,
        outcome: RecipeOutcome::Conflicted,
        exit_code: 3,
        reruns: 2,
    }
}

fn targets(journal: &Journal, build: &str) -> Vec<String> {
    let recipes = journal.recipes(build).unwrap();
    recipes.into_iter().map(|(_, recipe)| recipe.target).collect()
}

#[test]
fn builds_and_recipes_come_back_as_they_were_told() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    assert_eq!(journal.build(None).unwrap(), None);
    journal.begin_build(build("one"));
    journal.begin_build(build("two"));
    for (how, outcome) in [
        (How::Wrapped, RecipeOutcome::Done),
        (How::Unwrapped, RecipeOutcome::Failed),
        (How::Direct, RecipeOutcome::Conflicted),
        (How::Wrapped, RecipeOutcome::Interrupted),
        (How::Wrapped, RecipeOutcome::Refused),
    ] {
        journal.note_recipe(Recipe { how, outcome, ..recipe("one", "t") });
    }
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(99);
    journal.end_build("one".into(), end, -1);
    journal.flush();
    let ended = Build { ended: Some((end, -1)), ..build("one") };
    assert_eq!(journal.build(Some("one")).unwrap(), Some(ended.clone()));
    assert_eq!(journal.build(None).unwrap(), Some(build("two")), "the one that began last");
    assert_eq!(journal.build(Some("three")).unwrap(), None);
    assert_eq!(journal.builds(10).unwrap(), [build("two"), ended]);
    assert_eq!(journal.builds(1).unwrap(), [build("two")]);
    let told = journal.recipes("one").unwrap();
    assert_eq!(told.len(), 5);
    assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0), "numbers grow: {told:?}");
    let second = Recipe { outcome: RecipeOutcome::Failed, ..recipe("one", "t") };
    assert_eq!(told[1].1, second);
    let how: Vec<_> = told.iter().map(|(_, r)| (r.how, r.outcome)).collect();
    assert_eq!(how[2], (How::Direct, RecipeOutcome::Conflicted));
    assert_eq!(how[4], (How::Wrapped, RecipeOutcome::Refused));
}

#[test]
fn a_build_that_begins_twice_is_one_and_stays_as_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    journal.begin_build(build("one"));
    journal.begin_build(Build { jobs: 1, ..build("one") });
    journal.flush();
    assert_eq!(journal.builds(10).unwrap(), [build("one")]);
}

#[test]
fn notes_and_entries_go_one_way_and_take_no_numbers_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    // An end that overtook its begin would find nothing to end.
    for round in 0..50 {
        let id = format!("b{round}");
        journal.begin_build(build(&id));
        append(&journal, [round]);
        journal.note_recipe(recipe(&id, &round.to_string()));
        journal.end_build(id, SystemTime::now(), round as i32);
    }
    journal.flush();
    assert_eq!(seqs(&everything(&journal)), Vec::from_iter(1..=50), "entries without gaps");
    let builds = journal.builds(100).unwrap();
    let codes: Vec<_> = builds.iter().rev().map(|b| b.ended.map(|(_, code)| code)).collect();
    assert_eq!(codes, (0..50).map(Some).collect::<Vec<_>>());
    assert_eq!(targets(&journal, "b7"), ["7"]);
    assert_eq!(journal.stats().written, 200);
}

#[test]
fn old_recipes_are_forgotten_like_old_entries() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open_with(dir.path(), &bounded(3, 100)).unwrap();
    for target in ["a", "b", "c", "d", "e"] {
        journal.note_recipe(recipe("one", target));
    }
    journal.flush();
    assert_eq!(targets(&journal, "one"), ["c", "d", "e"]);
}

#[test]
fn a_journal_of_an_older_version_keeps_what_it_has_and_takes_builds() {
    let dir = tempfile::tempdir().unwrap();
    {
        let old = Connection::open(dir.path().join("journal.sqlite")).unwrap();
        // Version 2, before there were builds.
        for step in &schema::STEPS[..2] {
            old.execute_batch(step).unwrap();
        }
        old.pragma_update(None, "user_version", 2).unwrap();
        old.execute_batch(
            "INSERT INTO entry VALUES (41, 5, 6, 'b', 't', 'd', 7, 8, 'mkdir', x'64', NULL,
                                       'created', 1, 0, NULL);
             INSERT INTO setting VALUES ('last_token', 77);",
        )
        .unwrap();
    }
    let journal = Journal::open(dir.path()).unwrap();
    journal.begin_build(build("one"));
    journal.note_recipe(recipe("one", "t"));
    append(&journal, [1]);
    journal.flush();
    assert_eq!(seqs(&everything(&journal)), [41, 42]);
    assert_eq!(journal.number("last_token").unwrap(), 77);
    assert_eq!((journal.builds(9).unwrap().len(), targets(&journal, "one").len()), (1, 1));
}
