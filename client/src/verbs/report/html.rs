//! A report for a browser: one page that needs nothing else. All that it shows it makes itself of
//! the data in it.

use std::{collections::HashMap, fmt::Write as _};

use onewriter_proto::v1::RecipeRecord;
use serde_json::{Value, json};

use super::{Report, json};
use crate::verbs::log::utc;

const PAGE: &str = include_str!("page.html");

/// Where the page has its data.
const DATA: &str = "/*DATA*/";

/// So many recipes have their commands at full length; of more, a browser would be slow.
const MANY: usize = 20_000;

/// What is left of the commands of many, in bytes.
const CUT: usize = 160;

pub(super) fn page(report: &Report) -> String {
    let (head, tail) = PAGE.split_once(DATA).expect("the page has a place for its data");
    let mut page = String::with_capacity(PAGE.len() + report.recipes.len() * 200);
    page.push_str(head);
    write_data(report, &mut page);
    page.push_str(tail);
    page
}

/// Piece by piece: as one value, the recipes of a large build would be many times as large.
fn write_data(report: &Report, page: &mut String) {
    let begun = report.build.begun.unwrap_or_default();
    let mut build = json::build(&report.build);
    build["id"] = report.build.id.clone().into();
    build["begun"] = utc(begun.seconds, begun.nanoseconds).into();
    let mut directories = Directories::default();
    put(page, "{\"build\":", &build);
    put(page, ",\"summary\":", &json::summary(&report.summary));
    page.push_str(",\"recipes\":[");
    let most = if report.recipes.len() > MANY { CUT } else { usize::MAX };
    for (index, recipe) in report.recipes.iter().enumerate() {
        let columns = columns(report, recipe, most, directories.number(&recipe.directory));
        put(page, if index == 0 { "\n" } else { ",\n" }, &columns);
    }
    page.push_str("],\"findings\":[");
    for (index, finding) in report.findings.iter().enumerate() {
        let finding = Value::Object(json::finding_fields(finding));
        put(page, if index == 0 { "\n" } else { ",\n" }, &finding);
    }
    put(page, "],\"directories\":", &directories.names.into());
    page.push('}');
}

/// In the order in which the page takes them; times in microseconds since the build began.
fn columns(report: &Report, r: &RecipeRecord, most: usize, directory: usize) -> Value {
    let cut = |text: &str| match text.len() > most {
        true => format!("{}…", &text[..text.floor_char_boundary(most)]),
        false => text.to_owned(),
    };
    json!([
        r.number,
        r.target,
        directory,
        cut(&r.command),
        cut(&r.prerequisites),
        (r.begun_ns - report.begun_ns()) / 1000,
        (r.ended_ns - r.begun_ns).max(0) / 1000,
        r.how,
        r.outcome,
        r.exit_code,
        r.reruns,
        r.changed,
        r.unchanged,
        r.pid,
    ])
}

/// There are few directories, with long names.
#[derive(Default)]
struct Directories<'a> {
    numbers: HashMap<&'a str, usize>,
    names: Vec<&'a str>,
}

impl<'a> Directories<'a> {
    fn number(&mut self, name: &'a str) -> usize {
        *self.numbers.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.names.len() - 1
        })
    }
}

/// Whatever the data says, it cannot end the element that it is in, nor begin another.
fn put(page: &mut String, before: &str, value: &Value) {
    let from = page.len() + before.len();
    let _ = write!(page, "{before}{value}");
    if page[from..].contains('<') {
        let safe = page[from..].replace('<', "\\u003c");
        page.truncate(from);
        page.push_str(&safe);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(command: &str) -> RecipeRecord {
        RecipeRecord { number: 1, command: command.into(), ..Default::default() }
    }

    fn data(page: &str) -> Value {
        let from = page.find("id=\"data\">").unwrap() + "id=\"data\">".len();
        let to = from + page[from..].find("</script>").unwrap();
        serde_json::from_str(&page[from..to]).unwrap()
    }

    #[test]
    fn what_the_data_says_stays_data() {
        let nasty = "</script><script>alert(1)</script><!-- \u{2028} \"/*DATA*/";
        let report = Report { recipes: vec![recipe(nasty)], ..Report::default() };
        let page = page(&report);
        assert_eq!(page.matches("<script").count(), PAGE.matches("<script").count());
        assert_eq!(data(&page)["recipes"][0][3], nasty);
    }

    #[test]
    fn the_page_needs_nothing_else() {
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!PAGE.contains(outside), "{outside}");
        }
    }

    #[test]
    fn of_very_many_recipes_the_commands_are_cut() {
        let long = "\u{e4}".repeat(500);
        let few = Report { recipes: vec![recipe(&long)], ..Report::default() };
        assert_eq!(data(&page(&few))["recipes"][0][3], *long);
        let many = Report { recipes: vec![recipe(&long); MANY + 1], ..Report::default() };
        let cut = data(&page(&many))["recipes"][0][3].as_str().unwrap().to_owned();
        assert_eq!(cut, format!("{}…", "\u{e4}".repeat(80)));
    }
}
