//! A report for a terminal of 80 columns.

use onewriter_proto::v1::{BuildRecord, Finding, FindingKind, RecipeOutcome, RecipeRecord};

use super::{Report, json};
use crate::{
    failure::Failure,
    output::{Output, shown},
    verbs::log::utc,
};

/// Columns of a line.
const WIDTH: usize = 80;

pub(super) fn print(output: &mut Output, report: &Report, most: usize) -> Result<(), Failure> {
    head(output, report)?;
    sums(output, report)?;
    let is_conflict = |f: &&Finding| f.kind() == FindingKind::Conflict;
    let (conflicts, races): (Vec<_>, Vec<_>) = report.findings.iter().partition(is_conflict);
    findings(output, report, ("conflict", "conflicts"), &conflicts, most)?;
    findings(output, report, ("race avoided", "races avoided"), &races, most)?;
    failures(output, report, most)?;
    slowest(output, report, most.min(5))
}

/// A build among others.
pub(super) fn one_line(build: &BuildRecord) -> String {
    let begun = build.begun.unwrap_or_default();
    let at = utc(begun.seconds, 0);
    let line = format!("{:<16} {}Z {:<10} {}", build.id, &at[..19], ending(build), build.command);
    cut(&printable(&line), WIDTH)
}

fn ending(build: &BuildRecord) -> String {
    match build.exit_code {
        None => "not ended".to_owned(),
        Some(0) => "succeeded".to_owned(),
        Some(code) => format!("exit {code}"),
    }
}

fn head(output: &mut Output, report: &Report) -> Result<(), Failure> {
    let build = &report.build;
    let begun = build.begun.unwrap_or_default();
    output.line(cut(&printable(&format!("build {}: {}", build.id, build.command)), WIDTH))?;
    output.line(format_args!(
        "  in '{}' at {}Z, {}, {}, {}",
        place(&build.directory),
        &utc(begun.seconds, 0)[..19],
        counted(u64::from(build.jobs), "job", "jobs"),
        took(report.summary.took_ms as f64 / 1000.0),
        ending(build),
    ))?;
    output.line("")
}

fn sums(output: &mut Output, report: &Report) -> Result<(), Failure> {
    let s = &report.summary;
    let parts = |parts: &[(u64, &str)]| {
        let some = parts.iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{} {what}", grouped(*count)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let of = |wanted: &str| {
        s.outcomes.iter().find(|o| o.outcome == wanted).map_or(0, |outcome| outcome.count)
    };
    let how = [(s.wrapped, "wrapped"), (s.direct, "direct"), (s.unwrapped, "unwrapped")];
    let changed = ["created", "replaced", "removed", "attributes"].map(|o| (of(o), o));
    let untouched = ["unchanged", "existed"].map(|o| (of(o), o));
    let rows = [
        ("recipes", s.recipes, parts(&how)),
        ("  at once", u64::from(s.most_at_once), String::new()),
        ("  failed", s.failed, String::new()),
        ("  run again", s.reruns, String::new()),
        ("changes", s.changed, parts(&changed)),
        ("untouched", s.unchanged, parts(&untouched)),
        ("bytes written", s.bytes, String::new()),
        ("races avoided", s.races_avoided, String::new()),
        ("conflicts", s.conflicts, String::new()),
    ];
    for (name, count, more) in rows {
        let line = format!("  {name:<14} {:>13}  {more}", grouped(count));
        output.line(cut(line.trim_end(), WIDTH))?;
    }
    Ok(())
}

fn findings(
    output: &mut Output,
    report: &Report,
    (one, many): (&str, &str),
    found: &[&Finding],
    most: usize,
) -> Result<(), Failure> {
    if found.is_empty() {
        return Ok(());
    }
    output.line(format_args!("\n{}", counted(found.len() as u64, one, many)))?;
    for finding in found.iter().take(most) {
        tell(output, report, finding)?;
    }
    rest(output, found.len(), most)
}

/// One finding: the path, both recipes, and what orders them.
fn tell(output: &mut Output, report: &Report, f: &Finding) -> Result<(), Failure> {
    let what = match f.kind() {
        FindingKind::Directory => "directory",
        FindingKind::File => "same content",
        FindingKind::Conflict if f.reran => "ran again",
        FindingKind::Conflict => "different content",
        FindingKind::Unspecified => "",
    };
    let more = match f.other_count {
        0 => String::new(),
        more => format!(", and {}", counted(more, "other", "others")),
    };
    output.line(format_args!("  '{}' ({what}{more})", shown(&f.path)))?;
    match report.recipe(f.first) {
        Some(first) => side(output, report, "first", first)?,
        None if f.met.is_empty() => output.line("    first   not a recipe of this build")?,
        None => output.line(cut(&printable(&format!("    first   {}", f.met)), WIDTH))?,
    }
    if let Some(second) = report.recipe(f.second) {
        side(output, report, "second", second)?;
    }
    // Never cut: it is there to be copied.
    match f.cure.is_empty() {
        false => output.line(format_args!(
            "    cure    {}    (Makefile of '{}')",
            printable(&f.cure),
            place(&f.cure_directory)
        )),
        true => wrapped(&printable(&f.advice), WIDTH - 12)
            .iter()
            .zip(["cure"].into_iter().chain(std::iter::repeat("")))
            .try_for_each(|(line, label)| output.line(format_args!("    {label:<7} {line}"))),
    }
}

/// In lines of `most` letters, broken at spaces.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A recipe in a finding: its target, directory and times on a line, its command below.
fn side(
    output: &mut Output,
    report: &Report,
    which: &str,
    r: &RecipeRecord,
) -> Result<(), Failure> {
    let at = |ns: i64| (ns - report.begun_ns()) as f64 / 1e9;
    let times = format!("{:.3}-{:.3} s", at(r.begun_ns), at(r.ended_ns));
    let name = format!("{} in '{}'", printable(target(r)), place(&r.directory));
    let room = WIDTH - 12 - times.len() - 2;
    output.line(format_args!("    {which:<7} {:<room$}  {times}", cut(&name, room)))?;
    output.line(format_args!("            {}", cut(&printable(&r.command), WIDTH - 12)))
}

fn failures(output: &mut Output, report: &Report, most: usize) -> Result<(), Failure> {
    let failed = |r: &&RecipeRecord| r.outcome() != RecipeOutcome::Done;
    let failed: Vec<_> = report.recipes.iter().filter(failed).collect();
    if failed.is_empty() {
        return Ok(());
    }
    output.line("\nnot done")?;
    for r in failed.iter().take(most) {
        let how = match r.exit_code {
            0 => json::outcome(r.outcome()).to_owned(),
            code => format!("{} ({code})", json::outcome(r.outcome())),
        };
        row(output, &how, r)?;
    }
    rest(output, failed.len(), most)
}

fn slowest(output: &mut Output, report: &Report, most: usize) -> Result<(), Failure> {
    let mut slow: Vec<_> = report.recipes.iter().collect();
    if slow.is_empty() {
        return Ok(());
    }
    slow.sort_by_key(|r| std::cmp::Reverse(r.ended_ns - r.begun_ns));
    output.line("\nslowest")?;
    slow.into_iter()
        .take(most)
        .try_for_each(|r| row(output, &took((r.ended_ns - r.begun_ns) as f64 / 1e9), r))
}

fn row(output: &mut Output, what: &str, r: &RecipeRecord) -> Result<(), Failure> {
    let line =
        format!("  {what:>14}  {:<24} {}", cut(&printable(target(r)), 24), printable(&r.command));
    output.line(cut(&line, WIDTH))
}

fn rest(output: &mut Output, all: usize, most: usize) -> Result<(), Failure> {
    match all.saturating_sub(most) {
        0 => Ok(()),
        more => {
            output.line(format_args!("  … and {more} more: --lines=0, --json or --html tells all"))
        }
    }
}

fn target(r: &RecipeRecord) -> &str {
    if r.target.is_empty() { "(no target)" } else { &r.target }
}

fn place(directory: &str) -> String {
    if directory.is_empty() { ".".to_owned() } else { printable(directory) }
}

fn took(seconds: f64) -> String {
    format!("{seconds:.3} s")
}

fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        0 => format!("any number of {many}"),
        1 => format!("1 {one}"),
        count => format!("{} {many}", grouped(count)),
    }
}

/// As in 12,345,678.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}

/// On one line, and without anything that a terminal would take for more than text.
fn printable(text: &str) -> String {
    let letter = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(letter).collect()
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_texts_cut_at_letters() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(cut("\u{e4}\u{e4}\u{e4}", 3), "\u{e4}\u{e4}\u{e4}");
        assert_eq!(cut("\u{e4}\u{e4}\u{e4}\u{e4}", 3), "\u{e4}\u{e4}…");
        assert_eq!(printable("a\nb\x1b[1m"), "a b [1m");
        assert_eq!(wrapped("a bc def ghij", 6), ["a bc", "def", "ghij"]);
    }
}
