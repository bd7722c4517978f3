//! The tables of `journal.sqlite`, their versions, and how SQLite keeps the file.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::error::JournalError;

/// Step `n` lifts a file of version `n` (`PRAGMA user_version`) to version `n + 1`. A step that
/// was released is never edited; a new table or column is a new step.
///
/// * `path` and `other` are blobs, which SQLite compares byte by byte, so that a range of the
///   index is a directory.
/// * SQLite appends the row number to every index entry, and `seq` is the row number: each index
///   yields its entries in order of `seq`.
/// * Most entries outside of a build have neither build nor target: they are in no index of these,
///   which would cost as much as the entry itself.
pub(super) const STEPS: &[&str] = &[
    ENTRIES, //
    LEASES, BUILDS, IDENTITIES,
];

const ENTRIES: &str = "
    CREATE TABLE entry (
        seq       INTEGER PRIMARY KEY,
        at_ns     INTEGER NOT NULL,
        took_ns   INTEGER NOT NULL,
        build     TEXT    NOT NULL,
        target    TEXT    NOT NULL,
        directory TEXT    NOT NULL,
        pid       INTEGER NOT NULL,
        uid       INTEGER NOT NULL,
        method    TEXT    NOT NULL,
        path      BLOB    NOT NULL,
        other     BLOB,
        outcome   TEXT    NOT NULL,
        is_change INTEGER NOT NULL,
        bytes     INTEGER NOT NULL,
        error     TEXT
    ) STRICT;
    CREATE INDEX entry_by_path   ON entry (path);
    CREATE INDEX entry_by_other  ON entry (other) WHERE other IS NOT NULL;
    CREATE INDEX entry_by_build  ON entry (build)  WHERE build  <> '';
    CREATE INDEX entry_by_target ON entry (target) WHERE target <> '';
";

/// Numbers by name, and what ran once: `build` is empty where that holds for good, `outputs` are
/// paths with a NUL between them.
const LEASES: &str = "
    CREATE TABLE setting (
        name  TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE once (
        build     TEXT    NOT NULL,
        key       TEXT    NOT NULL,
        at_ns     INTEGER NOT NULL,
        exit_code INTEGER NOT NULL,
        by        TEXT    NOT NULL,
        outputs   BLOB    NOT NULL,
        PRIMARY KEY (build, key)
    ) STRICT, WITHOUT ROWID;
";

/// Builds and recipes, the account of what make did. A recipe's number grows from one to the next in
/// the order in which they ended; `how` and `outcome` are those of `builds.rs`, in their order.
const BUILDS: &str = "
    CREATE TABLE build (
        number    INTEGER PRIMARY KEY,
        id        TEXT    NOT NULL UNIQUE,
        command   TEXT    NOT NULL,
        directory TEXT    NOT NULL,
        jobs      INTEGER NOT NULL,
        pid       INTEGER NOT NULL,
        begun_ns  INTEGER NOT NULL,
        ended_ns  INTEGER,
        exit_code INTEGER
    ) STRICT;
    CREATE TABLE recipe (
        number        INTEGER PRIMARY KEY,
        build         TEXT    NOT NULL,
        target        TEXT    NOT NULL,
        directory     TEXT    NOT NULL,
        prerequisites TEXT    NOT NULL,
        command       TEXT    NOT NULL,
        pid           INTEGER NOT NULL,
        begun_ns      INTEGER NOT NULL,
        ended_ns      INTEGER NOT NULL,
        how           INTEGER NOT NULL,
        outcome       INTEGER NOT NULL,
        exit_code     INTEGER NOT NULL,
        reruns        INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX recipe_by_build ON recipe (build);
";

/// Who asked from another machine.
const IDENTITIES: &str = "ALTER TABLE entry ADD COLUMN identity TEXT NOT NULL DEFAULT ''";

/// The columns of an entry, in the order in which writer and reader count them.
pub(super) const COLUMNS: &str = "seq, at_ns, took_ns, build, target, directory, pid, uid, \
                                  method, path, other, outcome, is_change, bytes, error, identity";

/// How long to wait for somebody else's lock, such as that of a `sqlite3` shell on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The write-ahead log is cut back to this after a checkpoint (a burst or a slow reader may have
/// let it grow).
const WAL_SIZE_LIMIT: i64 = 16 << 20;

/// SQLite's page cache in KiB (as a negative number: its way of telling them from pages). The
/// indexes of paths and targets are written all over the place; against the default of 2 MiB this
/// spares a third of the system calls' time at a million rows.
const CACHE_KIB: i64 = -16_384;

/// How SQLite keeps the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A write-ahead log: readers and the writer do not wait for each other. It needs memory
    /// shared between processes, so a local filesystem.
    Wal,
    /// A rollback journal, and the file locked for as long as it is open, because the locks of
    /// network filesystems are not to be trusted from one transaction to the next. Readers take
    /// turns with the writer, and other processes cannot look in.
    Exclusive,
}

impl Mode {
    /// The mode that suits the filesystem of `dir`.
    pub(super) fn for_directory(dir: &Path) -> Result<Mode, JournalError> {
        let filesystem = rustix::fs::statfs(dir)
            .map_err(|errno| JournalError::Io { path: dir.to_owned(), source: errno.into() })?;
        // The kernel's numbers have 32 bits; the field's width and sign depend on the machine.
        Ok(Mode::for_filesystem(filesystem.f_type as u32))
    }

    /// The mode for a filesystem by its number in statfs(2) and `linux/magic.h`.
    fn for_filesystem(magic: u32) -> Mode {
        match magic {
            0x6969 // NFS
            | 0x517b // SMB
            | 0xff53_4d42 // CIFS
            | 0xfe53_4d42 // SMB 2
            | 0x0102_1997 // 9p
            | 0x6573_5546 // FUSE: sshfs, virtiofs, …; nobody can tell
            | 0x5346_414f | 0x6b41_4653 // AFS
            | 0x7375_7245 // Coda
            | 0x00c3_6400 // Ceph
            | 0x0bd0_0bd0 // Lustre
            | 0x4750_4653 // GPFS
            | 0x0116_1970 // GFS2
            | 0x7461_636f // OCFS2
            | 0x786f_4256 // VirtualBox shared folders
            => Mode::Exclusive,
            _ => Mode::Wal,
        }
    }
}

/// Opens the file at `path` for writing, in `wanted` mode or, where SQLite declines a write-ahead
/// log, the other one; brings its tables up to date and looks whether they are sound.
pub(super) fn connect(path: &Path, wanted: Mode) -> Result<(Connection, Mode), JournalError> {
    let failed = |doing| move |source| JournalError::sqlite(path, doing, source);
    let mut connection = Connection::open(path).map_err(failed("open the file"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed("open the file"))?;

    let found = version(&connection, wanted).map_err(failed("read its version"))?;
    let known = STEPS.len() as i64;
    if found > known {
        return Err(JournalError::NewerSchema { path: path.to_owned(), found, known });
    }
    let mode = set_mode(&connection, wanted).map_err(failed("set its journal mode"))?;
    migrate(&mut connection)
        .and_then(|()| {
            let sql = format!("SELECT {COLUMNS} FROM entry INDEXED BY entry_by_path");
            connection.prepare(&sql)?.query([])?.next().map(drop)
        })
        .map_err(|source| match (source.sqlite_error_code(), &source) {
            // SQL that fails for no outer reason: the tables are not ours, whatever the version.
            (Some(ErrorCode::Unknown), _) | (_, rusqlite::Error::SqlInputError { .. }) => {
                JournalError::Corrupt { path: path.to_owned(), source }
            }
            _ => JournalError::sqlite(path, "bring its tables up to date", source),
        })?;
    Ok((connection, mode))
}

/// Reads the version before anything is changed, so that a file of a newer one stays as it was.
/// (The locking mode belongs to the connection, and must be set before the first look at a file
/// that has a write-ahead log, which could not be shared here.)
fn version(connection: &Connection, wanted: Mode) -> rusqlite::Result<i64> {
    if wanted == Mode::Exclusive {
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn set_mode(connection: &Connection, wanted: Mode) -> rusqlite::Result<Mode> {
    let journal_mode = |name| {
        connection
            .pragma_update_and_check(None, "journal_mode", name, |row| row.get::<_, String>(0))
    };
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", WAL_SIZE_LIMIT)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    if wanted == Mode::Wal && journal_mode("WAL")? == "wal" {
        return Ok(Mode::Wal);
    }
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    journal_mode("TRUNCATE")?;
    // Take the lock now, so that a second daemon finds out here and not at its first entry.
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
    Ok(Mode::Exclusive)
}

/// All missing steps in one transaction: after a crash, either all or none were done.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again under the lock: another process may have been here since.
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let missing = STEPS.get(usize::try_from(found).unwrap_or(0)..).unwrap_or_default();
    for step in missing {
        transaction.execute_batch(step)?;
    }
    if !missing.is_empty() {
        transaction.pragma_update(None, "user_version", STEPS.len() as i64)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_filesystems_get_a_write_ahead_log() {
        const EXT4: u32 = 0xef53;
        const TMPFS: u32 = 0x0102_1994;
        const BTRFS: u32 = 0x9123_683e;
        for local in [EXT4, TMPFS, BTRFS] {
            assert_eq!(Mode::for_filesystem(local), Mode::Wal, "{local:#x}");
        }
        for shared in [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x6573_5546] {
            assert_eq!(Mode::for_filesystem(shared), Mode::Exclusive, "{shared:#x}");
        }
    }
}
