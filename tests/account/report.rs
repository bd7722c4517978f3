//! `onewriter report`.

use std::time::Duration;

use super::{Gate, Teller, objects, of_type, race, two_at_once};
use crate::{
    support::Root,
    transactions::{go_on, waiting},
};

#[test]
fn a_report_names_what_raced_with_both_recipes_and_the_cure() {
    let (root, mut teller) = race();
    teller.end("b1", 0);
    let told = objects(&root.run("report --json"));
    let sums = told.last().unwrap();
    assert_eq!((sums["type"].as_str(), sums["build"].as_str()), (Some("summary"), Some("b1")));
    assert_eq!(
        (&sums["recipes"], &sums["wrapped"], &sums["reruns"]),
        (&2.into(), &2.into(), &1.into())
    );
    assert_eq!(sums["conflicts"], 1, "{sums}");
    assert_eq!(of_type(&told, "build")[0]["command"], "make -j2 all");
    let recipes = of_type(&told, "recipe");
    let number = |target: &str| {
        let of = recipes.iter().find(|recipe| recipe["target"] == target);
        of.unwrap_or_else(|| panic!("{recipes:?}"))["number"].clone()
    };
    let findings = of_type(&told, "finding");
    let conflict = findings.iter().find(|finding| finding["kind"] == "conflict").unwrap();
    assert_eq!((conflict["path"].as_str(), &conflict["reran"]), (Some("log"), &true.into()));
    let cures =
        [(number("one"), number("two"), "two: one"), (number("two"), number("one"), "one: two")];
    let cured =
        (conflict["first"].clone(), conflict["second"].clone(), conflict["cure"].as_str().unwrap());
    assert!(cures.contains(&cured), "{conflict}");

    let text = root.run("report b1");
    let text = text.ok();
    for part in ["build b1: make -j2 all", "1 conflict\n", "'log' (ran again)", "succeeded"] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "wider than a terminal:\n{text}");
}

#[test]
fn a_directory_that_both_made_is_a_race_avoided() {
    let root = Root::new();
    let mut teller = Teller::new(&root);
    teller.begin("b1", "make");
    let work = "mkdir -p d/e; echo > d/e/$TARGET; echo same > same";
    let [one, two] = two_at_once(&root, work);
    let mut gate = Gate::open(&root);
    gate.let_go(2);
    one.done().ok();
    two.done().ok();
    teller.end("b1", 0);
    let told = objects(&root.run("report --json"));
    let findings = of_type(&told, "finding");
    let found: Vec<_> = findings
        .iter()
        .map(|f| format!("{} {}", f["kind"].as_str().unwrap(), f["path"].as_str().unwrap()))
        .collect();
    assert_eq!(found, ["directory d", "directory d/e", "file same"]);
    let text = root.run("report");
    assert!(text.ok().contains("3 races avoided"), "{text}");
    assert!(text.ok().contains(": | "), "{text}");
}

#[test]
fn recipes_that_did_not_end_well_are_told() {
    let root = Root::new();
    let mut teller = Teller::new(&root);
    teller.begin("b1", "make");
    teller.ran("b1", "slow", "sleep 5", Duration::from_secs(5), 0);
    teller.ran("b1", "fails", "false", Duration::from_millis(1), 1);
    let killed = ["run", "--build=b1", "--target=killed", "--", "sh", "-c", "kill $$"];
    assert!(!root.run(killed).succeeded());
    teller.end("b1", 2);
    let told = objects(&root.run("report --json b1"));
    let ended: Vec<_> = of_type(&told, "recipe")
        .iter()
        .map(|r| {
            format!("{} {} {} {}", r["target"], r["how"], r["outcome"], r["exit_code"])
                .replace('"', "")
        })
        .collect();
    let expected =
        ["slow unwrapped done 0", "fails unwrapped failed 1", "killed wrapped failed 143"];
    assert_eq!(ended, expected);
    assert_eq!(of_type(&told, "recipe")[0]["prerequisites"], "x.c x.h");
    let text = root.run("report");
    for part in ["exit 2", "not done", "failed (1)", "failed (143)", "slowest\n         5.00"] {
        assert!(text.ok().contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn builds_are_listed_and_one_that_is_not_there_is_not_found() {
    let root = Root::new();
    root.refuses("report", 1, "NOT_FOUND");
    let mut teller = Teller::new(&root);
    teller.begin("early", "make early");
    teller.end("early", 0);
    teller.begin("late", "make late");
    let text = root.run("report --list");
    let lines: Vec<_> = text.ok().lines().collect();
    assert!(lines[0].starts_with("late ") && lines[0].contains("not ended"), "{text}");
    assert!(lines[1].starts_with("early ") && lines[1].ends_with("make early"), "{text}");
    let listed = objects(&root.run("report --list --json -n 1"));
    assert_eq!((listed.len(), listed[0]["build"].as_str()), (1, Some("late")));
    assert!(root.run("report").ok().starts_with("build late"), "the newest");
    assert!(root.run("report --build early").ok().starts_with("build early"));
    root.refuses("report nowhere", 1, "NOT_FOUND");
}

#[test]
fn many_findings_are_cut_and_told_on_request() {
    let root = Root::new();
    let mut teller = Teller::new(&root);
    teller.begin("b1", "make");
    for n in 0..30 {
        teller.ran("b1", &format!("t{n}"), "false", Duration::from_millis(1), 1);
    }
    let lines =
        |args: &str| root.run(args).ok().lines().filter(|l| l.contains("failed (1)")).count();
    assert_eq!((lines("report"), lines("report -n 7"), lines("report --lines=0")), (20, 7, 30));
    assert!(root.run("report").ok().contains("… and 10 more"));
}

#[test]
fn who_only_wrote_into_a_directory_of_others_did_not_make_it() {
    let root = Root::new();
    let mut teller = Teller::new(&root);
    teller.begin("b1", "make");
    let writes = waiting(&root, "--build b1 --target writes", "echo > d/file");
    root.run("run --build b1 --target makes -- mkdir d").ok();
    go_on(&root);
    writes.done().ok();
    let told = objects(&root.run("report --json"));
    assert_eq!(of_type(&told, "recipe").len(), 2);
    assert!(of_type(&told, "finding").is_empty(), "{told:?}");
}
