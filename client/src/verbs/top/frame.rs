//! What `top` shows, as lines of text.

use std::time::Instant;

use onewriter_proto::v1::{
    Leased, LockParty, LockedPath, StatisticsResponse, StatusResponse, TransactionStatus, leased,
};

use crate::output::shown;

/// Columns of a target: enough for most, and a path fits beside it in 80.
const TARGET: usize = 20;

/// What one look at the daemon has shown.
pub(super) struct Seen {
    pub(super) status: StatusResponse,
    pub(super) statistics: StatisticsResponse,
    pub(super) at: Instant,
}

/// What happened between two looks, for each second.
#[derive(Debug, PartialEq)]
pub(super) struct Rates {
    mutations: f64,
    bytes: f64,
    waits: f64,
}

impl Rates {
    /// `None` where the daemon is another one now.
    pub(super) fn between(before: &Seen, now: &Seen) -> Option<Self> {
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(1e-3);
        let rate = |of: fn(&StatisticsResponse) -> u64| {
            let more = of(&now.statistics).checked_sub(of(&before.statistics))?;
            Some(more as f64 / seconds)
        };
        Some(Self {
            mutations: rate(mutations)?,
            bytes: rate(|s| s.bytes_written)?,
            waits: rate(|s| s.lock_waits)?,
        })
        .filter(|_| before.status.pid == now.status.pid)
    }
}

fn mutations(statistics: &StatisticsResponse) -> u64 {
    statistics.mutations.iter().map(|count| count.count).sum()
}

/// At most `rows` lines of at most `columns` letters.
pub(super) fn lines(
    seen: Option<&Seen>,
    rates: Option<&Rates>,
    columns: usize,
    rows: usize,
) -> Vec<String> {
    let mut lines = match seen {
        None => vec!["no daemon runs for this build root".to_owned()],
        Some(seen) => {
            let mut lines = head(seen, rates);
            let sections = sections(&seen.status);
            // The rest of the lines is shared; what one section leaves, the others have.
            let mut left = rows.saturating_sub(lines.len());
            for (index, (title, body)) in sections.iter().enumerate() {
                let share = left / (sections.len() - index);
                let body = fit(body, share.saturating_sub(2));
                left = left.saturating_sub(body.len() + 2);
                lines.push(String::new());
                lines.push(title.clone());
                lines.extend(body);
            }
            lines
        }
    };
    lines.truncate(rows.max(1));
    lines.into_iter().map(|line| cut(&line, columns)).collect()
}

/// As many of them as there is room for, the last of which says how many there are more.
fn fit(body: &[String], room: usize) -> Vec<String> {
    if body.len() <= room {
        return body.to_vec();
    }
    let most = room.saturating_sub(1);
    let more = format!("  … and {} more", body.len() - most);
    body[..most].iter().cloned().chain((room > 0).then_some(more)).collect()
}

fn head(seen: &Seen, rates: Option<&Rates>) -> Vec<String> {
    let (status, statistics) = (&seen.status, &seen.statistics);
    let draining = if status.draining { ", draining" } else { "" };
    let all = mutations(statistics);
    let mut done =
        format!("done     {all} mutations, {} written", bytes(statistics.bytes_written as f64));
    if let Some(rates) = rates {
        done.push_str(&format!(
            "; {:.0}/s, {}/s, {:.0} waits/s",
            rates.mutations,
            bytes(rates.bytes),
            rates.waits
        ));
    }
    let parties = |of: fn(&Leased) -> &[LockParty]| {
        status.leases.iter().map(|lease| of(lease).len() as u64).sum::<u64>()
    };
    vec![
        format!(
            "onewriter {} on '{}', up {}, pid {}{draining}",
            status.version,
            shown(&status.root),
            duration(status.uptime_ms),
            status.pid
        ),
        done,
        format!(
            "now      {} running, {} holding, {} waiting; journal {} queued; {} resident",
            status.transactions.len(),
            statistics.lock_holders + parties(|lease| &lease.holders),
            statistics.lock_waiters + parties(|lease| &lease.waiters),
            statistics.journal_queued,
            bytes(statistics.resident_bytes as f64)
        ),
    ]
}

/// Titles and lines of what is under way. What is waited for comes with who holds it.
fn sections(status: &StatusResponse) -> Vec<(String, Vec<String>)> {
    let running: Vec<_> = status.transactions.iter().map(transaction).collect();
    let paths = |paths: &[LockedPath], what: &str| -> Vec<_> {
        let one =
            |l: &LockedPath| of_one(&format!("{what}'{}'", shown(&l.path)), &l.holders, &l.waiters);
        paths.iter().flat_map(one).collect()
    };
    let mut waited = paths(&status.locks, "");
    waited.extend(paths(&status.turns, "turn for "));
    let leases = status.leases.iter();
    waited.extend(leases.flat_map(|l| of_one(&subject(l), &l.holders, &l.waiters)));
    // Who waits is what a user came to see.
    waited.sort_by_key(|(waits, _)| !waits);
    let waited = waited.into_iter().map(|(_, line)| line).collect();
    let title = format!("{:>9}  {:>7}  {:<TARGET$} COMMAND", "RUNS FOR", "PID", "TARGET");
    let held = format!("{:>9}  {:>7}  {:<TARGET$} WHAT", "FOR", "PID", "TARGET");
    vec![(title, running), (held, waited)]
}

fn transaction(t: &TransactionStatus) -> String {
    row(t.for_ms, t.pid, &t.target, &t.command)
}

/// Lines of those who hold and those who wait, and whether each waits.
fn of_one(what: &str, holders: &[LockParty], waiters: &[LockParty]) -> Vec<(bool, String)> {
    let party = |p: &LockParty, verb: &str| {
        row(p.for_ms, p.pid, &p.target, &format!("{verb} {what} ({})", p.method))
    };
    let holder = holders.iter().find(|h| h.exclusive).or(holders.first());
    let behind = holder.map(|h| format!("waits behind pid {} for", h.pid));
    let behind = behind.unwrap_or_else(|| "waits for".into());
    let waits = waiters.iter().map(|w| (true, party(w, &behind)));
    // An ancestor is held by all that work below it: only who is alone there is worth a line.
    let holds = holders.iter().filter(|h| h.exclusive || !waiters.is_empty());
    waits.chain(holds.map(|h| (false, party(h, "holds")))).collect()
}

fn subject(lease: &Leased) -> String {
    match &lease.subject {
        Some(leased::Subject::Path(path)) => format!("lease '{}'", shown(path)),
        Some(leased::Subject::Name(name)) => format!("name '{}'", shown(name.as_bytes())),
        Some(leased::Subject::Once(once)) => format!("once '{}'", shown(once.key.as_bytes())),
        None => "a lease".to_owned(),
    }
}

fn row(for_ms: u64, pid: u32, target: &str, what: &str) -> String {
    let target = if target.is_empty() { "-" } else { target };
    let target = cut(&printable(target), TARGET);
    format!("{:>9}  {pid:>7}  {target:<TARGET$} {}", duration(for_ms), printable(what))
}

fn duration(ms: u64) -> String {
    match ms / 1000 {
        0..60 => format!("{:.1} s", ms as f64 / 1000.0),
        seconds @ 60..3600 => format!("{}:{:02} m", seconds / 60, seconds % 60),
        seconds => format!("{}:{:02} h", seconds / 3600, seconds / 60 % 60),
    }
}

fn bytes(count: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = (0..4).take_while(|step| count >= 1024_f64.powi(step + 1)).count();
    let number = count / 1024_f64.powi(step as i32);
    let digits = if step == 0 || number >= 100.0 { 0 } else { 1 };
    format!("{number:.digits$} {}", units[step])
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use onewriter_proto::v1::MutationCount;

    use super::*;

    fn party(pid: u32, target: &str) -> LockParty {
        let (method, target) = ("publish".into(), target.into());
        LockParty { method, target, pid, exclusive: true, for_ms: 1500, ..Default::default() }
    }

    /// A daemon with so much going on.
    fn busy(many: u32) -> Seen {
        let transaction = |n| TransactionStatus {
            pid: n,
            target: format!("src/module/file-{n}.o"),
            command: format!(
                "cc -c\nfile-{n}.c -o \x1b[31m and a line that is far too long to fit"
            ),
            for_ms: 61_000,
            ..Default::default()
        };
        let lock = |n: u32| LockedPath {
            path: format!("lib-{n}.a").into(),
            holders: vec![party(n, "holder")],
            waiters: vec![party(n + 1000, "waiter")],
        };
        let status = StatusResponse {
            version: "0.1.0".into(),
            pid: 7,
            root: b"/root".into(),
            uptime_ms: 3_700_000,
            transactions: (0..many).map(transaction).collect(),
            locks: (0..many).map(lock).collect(),
            ..Default::default()
        };
        let count = MutationCount { count: 100, ..Default::default() };
        let statistics = StatisticsResponse {
            mutations: vec![count],
            bytes_written: 5 << 20,
            ..Default::default()
        };
        Seen { status, statistics, at: Instant::now() }
    }

    #[test]
    fn a_frame_fits_its_terminal_whatever_goes_on() {
        for (columns, rows) in [(80, 24), (20, 5), (200, 60), (1, 1), (80, 3)] {
            for many in [0, 1, 8, 500] {
                let lines = lines(Some(&busy(many)), None, columns, rows);
                assert!(lines.len() <= rows, "{many} in {rows}: {}", lines.len());
                assert!(lines.iter().all(|l| l.chars().count() <= columns), "{lines:#?}");
                assert!(lines.iter().all(|l| !l.contains(['\n', '\x1b'])), "{lines:#?}");
            }
        }
    }

    #[test]
    fn both_sections_are_seen_and_what_is_left_out_is_counted() {
        let lines = lines(Some(&busy(500)), None, 80, 24).join("\n");
        let behind = "waits behind pid 0 for 'lib-0.a'";
        for part in ["RUNS FOR", "src/module/file-0.o", "1:01 m", behind, "more"] {
            assert!(lines.contains(part), "no {part:?} in\n{lines}");
        }
    }

    #[test]
    fn who_holds_and_awaits_leases_is_counted_with_the_others() {
        let mut seen = busy(1);
        (seen.statistics.lock_holders, seen.statistics.lock_waiters) = (1, 1);
        let lease = Leased {
            subject: Some(leased::Subject::Name("L".into())),
            holders: vec![party(1, "a")],
            waiters: vec![party(2, "b"), party(3, "c")],
        };
        seen.status.leases = vec![lease];
        let lines = lines(Some(&seen), None, 80, 24).join("\n");
        assert!(lines.contains("2 holding, 3 waiting"), "{lines}");
    }

    #[test]
    fn rates_are_those_between_two_looks_at_one_daemon() {
        let before = busy(1);
        let mut now = busy(1);
        now.at = before.at + Duration::from_secs(2);
        now.statistics.mutations[0].count = 300;
        let rates = Rates::between(&before, &now).unwrap();
        assert_eq!((rates.mutations, rates.bytes), (100.0, 0.0));
        assert!(lines(Some(&now), Some(&rates), 80, 24)[1].contains("; 100/s, 0 B/s"));
        now.status.pid = 8;
        assert_eq!(Rates::between(&before, &now), None, "another daemon");
    }

    #[test]
    fn without_a_daemon_it_says_so() {
        assert_eq!(lines(None, None, 80, 24), ["no daemon runs for this build root"]);
    }
}
