//! Reading the journal: a [`Query`] in, records out.

use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::Record;
use super::entry::time_from_ns;
use super::schema::COLUMNS;

/// Which entries to list. The default asks for the first thousand.
///
/// To read on, ask again with `after_seq` set to the last number received: no entry that matches
/// is passed over or comes twice, whatever is appended meanwhile. For the last entries, set
/// `newest_first`, and `before_seq` to read on backwards. Numbers below
/// [`Stats::first_seq`](super::Stats::first_seq) were pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only entries with a higher number.
    pub after_seq: i64,
    /// Only entries with a lower number.
    pub before_seq: Option<i64>,
    /// At most so many.
    pub limit: usize,
    /// Only entries that touched these paths, as `path` or as `other`: a file that was renamed
    /// away is found under its old name too.
    pub path: Option<PathFilter>,
    /// Only entries for this target.
    pub target: Option<String>,
    /// Only entries of this build.
    pub build: Option<String>,
    /// Only entries that changed the tree.
    pub changes_only: bool,
    /// From the newest backwards.
    pub newest_first: bool,
}

/// Which paths a query is about. They are relative to the build root; a trailing slash means
/// nothing, and an empty path is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathFilter {
    /// This path.
    Exactly(Vec<u8>),
    /// This path and everything below it: `a/b` has `a/b/c` below it, but not `a/bc`.
    AtOrBelow(Vec<u8>),
}

impl Default for Query {
    fn default() -> Self {
        Query {
            after_seq: 0,
            before_seq: None,
            limit: 1000,
            path: None,
            target: None,
            build: None,
            changes_only: false,
            newest_first: false,
        }
    }
}

/// The conditions on paths; `?1` is `after_seq`. The numbers come from the indexes of `path` and
/// `other` alone and are sorted as they are gathered, so that a page fetches only the rows that it
/// shows. (Left to choose, SQLite reads the whole table from `after_seq` on to save the sorting.)
const EXACTLY: &str = " AND seq IN (
    SELECT seq FROM entry WHERE path = ? AND seq > ?1
    UNION ALL SELECT seq FROM entry WHERE other = ? AND seq > ?1)";
const AT_OR_BELOW: &str = " AND seq IN (
    SELECT seq FROM entry WHERE (path = ? OR path >= ? AND path < ?) AND seq > ?1
    UNION ALL
    SELECT seq FROM entry WHERE (other = ? OR other >= ? AND other < ?) AND seq > ?1)";

/// A statement as it is put together, with the values of its parameters.
struct Statement {
    sql: String,
    values: Vec<Value>,
}

impl Statement {
    fn for_query(query: &Query) -> Statement {
        let mut statement = Statement {
            sql: format!("SELECT {COLUMNS} FROM entry WHERE seq > ?1"),
            values: vec![query.after_seq.into()],
        };
        if let Some(before) = query.before_seq {
            statement.push(" AND seq < ?", [before.into()]);
        }
        if let Some(path) = &query.path {
            statement.push_path(path);
        }
        if let Some(target) = &query.target {
            statement.push(" AND target = ? AND target <> ''", [target.clone().into()]);
        }
        if let Some(build) = &query.build {
            statement.push(" AND build = ? AND build <> ''", [build.clone().into()]);
        }
        if query.changes_only {
            statement.push(" AND is_change", []);
        }
        statement.push(if query.newest_first { " ORDER BY seq DESC" } else { " ORDER BY seq" }, []);
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        statement.push(" LIMIT ?", [limit.into()]);
        statement
    }

    fn push_path(&mut self, filter: &PathFilter) {
        let (PathFilter::Exactly(path) | PathFilter::AtOrBelow(path)) = filter;
        let path = without_slash(path);
        let at = Value::Blob(path.into());
        // In the order of bytes, what begins with `path/` lies from `path/` to before `path0`.
        let [from, to] = [b'/', b'/' + 1].map(|end| Value::Blob([path, &[end]].concat()));
        match filter {
            PathFilter::Exactly(_) => self.push(EXACTLY, [at.clone(), at]),
            PathFilter::AtOrBelow(_) if path.is_empty() => {} // everything is below the root
            PathFilter::AtOrBelow(_) => {
                let twice = [at.clone(), from.clone(), to.clone(), at, from, to];
                self.push(AT_OR_BELOW, twice);
            }
        }
    }

    fn push<const N: usize>(&mut self, sql: &str, values: [Value; N]) {
        self.sql.push_str(sql);
        self.values.extend(values);
    }
}

fn without_slash(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    &path[..end]
}

pub(super) fn list(connection: &Connection, query: &Query) -> rusqlite::Result<Vec<Record>> {
    let Statement { sql, values } = Statement::for_query(query);
    connection.prepare_cached(&sql)?.query_map(params_from_iter(values), record)?.collect()
}

/// Reads the columns by their place in [`COLUMNS`]. SQLite's numbers are signed; the writer never
/// stores a negative duration or size.
fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        seq: row.get(0)?,
        at: time_from_ns(row.get(1)?),
        took: Duration::from_nanos(row.get::<_, i64>(2)?.unsigned_abs()),
        build: row.get(3)?,
        target: row.get(4)?,
        directory: row.get(5)?,
        pid: row.get(6)?,
        uid: row.get(7)?,
        method: row.get(8)?,
        path: row.get(9)?,
        other: row.get(10)?,
        outcome: row.get(11)?,
        is_change: row.get(12)?,
        bytes: row.get::<_, i64>(13)?.unsigned_abs(),
        error: row.get(14)?,
        identity: row.get(15)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::schema::{self, Mode};

    /// How SQLite goes about `query`, step by step.
    fn plan(query: &Query) -> String {
        let dir = tempfile::tempdir().unwrap();
        let (connection, _) = schema::connect(&dir.path().join("j"), Mode::Wal).unwrap();
        let Statement { sql, values } = Statement::for_query(query);
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = explain.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
        steps.unwrap().collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    }

    #[test]
    fn a_narrow_query_reads_what_its_index_names_in_order_without_sorting() {
        let path = |filter| Query { path: Some(filter), ..Query::default() };
        let cases = [
            (path(PathFilter::Exactly(b"a/b".into())), &["entry_by_path", "entry_by_other"][..]),
            (path(PathFilter::AtOrBelow(b"a/b".into())), &["entry_by_path", "entry_by_other"]),
            (Query { build: Some("b".into()), ..Query::default() }, &["entry_by_build"]),
            (Query { target: Some("t".into()), ..Query::default() }, &["entry_by_target"]),
            (Query::default(), &["PRIMARY KEY"]),
        ];
        for (query, indexes) in cases {
            for newest_first in [false, true] {
                let plan = plan(&Query {
                    after_seq: 5,
                    newest_first,
                    changes_only: true,
                    ..query.clone()
                });
                for index in indexes {
                    assert!(plan.contains(index), "{query:?}: {plan}");
                }
                assert!(!plan.contains("SCAN") && !plan.contains("B-TREE"), "{query:?}: {plan}");
            }
        }
    }
}
