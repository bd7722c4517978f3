//! Opening: again, after a crash, after damage, from another version, on other filesystems.
#![expect(clippy::disallowed_methods, reason = "temporary directories, not a build tree")]

use std::fs;
use std::os::unix::fs::FileExt;

use crate::journal::{JournalError, Mode};

use super::*;

/// Something done to the file of a closed journal.
type Damage = fn(&Path);

const FILE: &str = "journal.sqlite";

/// The name under which a damaged file was set aside.
fn set_aside(dir: &Path) -> Option<String> {
    names(dir).into_iter().find(|name| name.starts_with("journal.sqlite.corrupt-"))
}

#[test]
fn numbers_go_on_where_they_ended() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.stats().last_seq, round as i64 * 10);
        append(&journal, round * 10..(round + 1) * 10);
    }
    let journal = Journal::open(dir.path()).unwrap();
    assert_eq!(seqs(&everything(&journal)), Vec::from_iter(1..=30));
    assert_eq!(numbers(&everything(&journal)), Vec::from_iter(0..30));

    journal.store.begin_anew(&rusqlite::Error::InvalidQuery).unwrap();
    append(&journal, [30]);
    journal.flush();
    assert_eq!(seqs(&everything(&journal)), [31], "in a fresh file, too");
}

#[test]
fn after_a_kill_whole_batches_are_there_and_nothing_of_an_unfinished_one() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    for batch in 0..5 {
        append(&journal, batch * 20..(batch + 1) * 20);
        journal.flush();
    }
    let finished = journal.stats().transactions;
    let ends: Vec<usize> =
        if finished == 5 { vec![0, 20, 40, 60, 80, 100] } else { (0..=100).collect() };

    // A transaction in the middle, with so small a cache that its pages are in the log already.
    let writer = journal.store.writer();
    writer.pragma_update(None, "cache_size", 1).unwrap();
    let log_size = || fs::metadata(dir.path().join("journal.sqlite-wal")).unwrap().len();
    let before = log_size();
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE entry SET path = randomblob(5000)").unwrap();
    let length = log_size();
    assert!(length > before, "nothing of it has reached the log");

    // What a kill leaves, and what a power cut may leave: a log that ends somewhere.
    for cut in (0..=length).rev().step_by(length as usize / 40) {
        let copy = tempfile::tempdir().unwrap();
        for name in [FILE, "journal.sqlite-wal"] {
            fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let log = fs::File::options().write(true).open(copy.path().join("journal.sqlite-wal"));
        log.unwrap().set_len(cut).unwrap();

        let copied = Journal::open(copy.path()).unwrap();
        let found = everything(&copied).len();
        assert!(ends.contains(&found), "{found} entries after a cut at {cut} of {length}");
        assert!(cut < length || found == 100, "a kill lost {} written entries", 100 - found);
        append(&copied, found..found + 5);
        copied.flush();
        assert_eq!(numbers(&everything(&copied)), Vec::from_iter(0..found + 5));
        assert_eq!(seqs(&everything(&copied)), Vec::from_iter(1..=found as i64 + 5));
    }
    writer.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn a_damaged_file_is_set_aside_with_what_is_beside_it() {
    let damages: [(&str, Damage); 5] = [
        ("not a database", |file| {
            fs::write(file, "hello, this is no database ".repeat(99)).unwrap()
        }),
        ("zeroed schema", |file| {
            let file = fs::File::options().write(true).open(file).unwrap();
            file.write_all_at(&[0xff; 3900], 100).unwrap();
        }),
        ("cut short", |file| {
            fs::File::options().write(true).open(file).unwrap().set_len(4096).unwrap();
        }),
        ("tables of somebody else", |file| {
            let other = Connection::open(file).unwrap();
            other.execute_batch("DROP TABLE entry; CREATE TABLE entry (seq, path)").unwrap();
        }),
        ("a table of somebody else before ours", |file| {
            fs::write(file, "").unwrap();
            let other = Connection::open(file).unwrap();
            other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE entry (seq)").unwrap();
        }),
    ];
    for (what, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        let journal = Journal::open(dir.path()).unwrap();
        append(&journal, 0..100);
        drop(journal);
        damage(&file);
        fs::write(dir.path().join("journal.sqlite-journal"), "left over").unwrap();
        let damaged = fs::read(&file).unwrap();

        let journal = Journal::open(dir.path()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        append(&journal, [1]);
        journal.flush();
        assert_eq!(seqs(&everything(&journal)), [1], "{what}");
        let aside = set_aside(dir.path()).unwrap_or_else(|| panic!("{what}: not set aside"));
        assert!(fs::read(dir.path().join(&aside)).unwrap() == damaged, "{what}: changed");
    }
}

#[test]
fn damage_met_while_writing_begins_a_fresh_file_too() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    append(&journal, 0..5000);
    journal.flush();
    {
        let writer = journal.store.writer();
        writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let file = fs::File::options().write(true).open(dir.path().join(FILE)).unwrap();
        let length = file.metadata().unwrap().len();
        file.write_all_at(&vec![0xff; length as usize - 4096], 4096).unwrap();
        writer.release_memory().unwrap();
    }
    append(&journal, 5000..5010);
    journal.flush();

    assert!(set_aside(dir.path()).is_some());
    assert_eq!(numbers(&everything(&journal)), Vec::from_iter(5000..5010));
    assert_eq!(seqs(&everything(&journal)), Vec::from_iter(5001..=5010), "numbers go on");
    assert_eq!(journal.stats().lost, 0);
    append(&journal, 5010..5020);
    drop(journal);
    assert_eq!(everything(&Journal::open(dir.path()).unwrap()).len(), 20);
}

#[test]
fn a_file_set_aside_can_still_be_read_with_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    append(&journal, 0..10);
    journal.flush();
    for _ in 0..2 {
        journal.store.begin_anew(&rusqlite::Error::InvalidQuery).unwrap();
    }
    assert_eq!(everything(&journal), []);
    let mut rescued: Vec<i64> = Vec::new();
    for name in names(dir.path()).iter().filter(|name| name.contains("corrupt")) {
        let old = Connection::open(dir.path().join(name)).unwrap();
        rescued.push(old.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap());
    }
    rescued.sort();
    assert_eq!(rescued, [0, 10], "two within a second get two names");
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    for mode in [Mode::Wal, Mode::Exclusive] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let before = fs::read(&file).unwrap();
        let options = Options { mode: Some(mode), ..Options::default() };
        match Journal::open_with(dir.path(), &options) {
            Err(JournalError::NewerSchema { path, found: 99, .. }) => assert_eq!(path, file),
            other => panic!("{mode:?}: {other:?}"),
        }
        assert_eq!(fs::read(&file).unwrap(), before);
        assert_eq!(names(dir.path()), [FILE]);
    }
}

#[test]
fn the_exclusive_mode_works_without_shared_memory_and_alone() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { mode: Some(Mode::Exclusive), ..Options::default() };
    let journal = Journal::open_with(dir.path(), &options).unwrap();
    assert_eq!(journal.mode(), Mode::Exclusive);
    for round in 0..10 {
        append(&journal, round * 100..(round + 1) * 100);
        journal.flush();
        assert_eq!(everything(&journal).len(), (round + 1) * 100);
    }
    assert!(!names(dir.path()).iter().any(|n| n.ends_with("-wal") || n.ends_with("-shm")));
    match Journal::open_with(dir.path(), &options) {
        Err(JournalError::InUse { .. }) => {}
        other => panic!("{other:?}"),
    }
    journal.store.begin_anew(&rusqlite::Error::InvalidQuery).unwrap();
    append(&journal, [1]);
    journal.flush();
    assert_eq!(seqs(&everything(&journal)), [1001]);
    drop(journal);

    let _again = Journal::open_with(dir.path(), &options).unwrap();
    let other = Connection::open(dir.path().join(FILE)).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    let looked = other.query_row("SELECT max(seq) FROM entry", [], |row| row.get::<_, i64>(0));
    let looked = looked.unwrap_err().sqlite_error_code();
    assert_eq!(looked, Some(rusqlite::ErrorCode::DatabaseBusy), "it is locked from the start");
}

#[test]
fn a_journal_that_moves_between_filesystems_changes_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let suitable = Mode::for_directory(dir.path()).unwrap();
    let modes = [None, Some(Mode::Exclusive), Some(Mode::Wal), Some(Mode::Exclusive)];
    for (round, mode) in modes.into_iter().enumerate() {
        let options = Options { mode, ..Options::default() };
        let journal = Journal::open_with(dir.path(), &options).unwrap();
        assert_eq!(journal.mode(), mode.unwrap_or(suitable));
        append(&journal, [round]);
        journal.flush();
        assert_eq!(numbers(&everything(&journal)), Vec::from_iter(0..=round));
    }
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    match Journal::open(&missing) {
        Err(JournalError::Io { path, .. }) => assert_eq!(path, missing),
        other => panic!("{other:?}"),
    }
}
