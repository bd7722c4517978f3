//! `--metrics`: figures that are well formed, move as they must, and are those that the dashboard
//! and the alerts ask for.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::Value;

use super::{deployed, exposition::Exposition};
use crate::support::{Client, LIMIT, Root, until};

/// The address of the figures, as the daemon's log says.
fn address(root: &Root) -> String {
    let log = root.read(".onewriter/daemon.log");
    let line = log.lines().rfind(|line| line.contains("figures are served")).expect("it says so");
    line.rsplit_once("address=").expect("where").1.trim().to_owned()
}

fn scrape(root: &Root) -> Exposition {
    let mut socket = TcpStream::connect(address(root)).expect("somebody listens");
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("headers and a body");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    Exposition::parse(body)
}

fn measured(root: &Root) -> Client<'_> {
    root.client().env("ONEWRITER_METRICS", "127.0.0.1:0")
}

#[test]
fn the_figures_move_with_what_is_done() {
    let root = Root::new();
    measured(&root).run("mkdir a").ok();
    let before = scrape(&root);
    assert!(before.samples.keys().any(|s| s.starts_with("onewriter_build_info{version=")));
    root.run("mkdir a b").ok();
    root.client().input("12345").run("publish f").ok();
    root.run("mkdir f/g").exits(1);
    let after = scrape(&root);
    let grew = |series: &str| after.value(series) - before.value(series);
    for (series, by) in [
        ("onewriter_mutations_total{method=\"mkdir\",outcome=\"created\"}", 1.0),
        ("onewriter_mutations_total{method=\"mkdir\",outcome=\"existed\"}", 1.0),
        ("onewriter_mutations_total{method=\"mkdir\",outcome=\"refused\"}", 1.0),
        ("onewriter_mutations_total{method=\"publish\",outcome=\"created\"}", 1.0),
        ("onewriter_refusals_total{reason=\"NOT_A_DIRECTORY\"}", 1.0),
        ("onewriter_written_bytes_total", 5.0),
        ("onewriter_request_seconds_count{method=\"onewriter.v1.Mutations/MakeDirectories\"}", 2.0),
        ("onewriter_lock_holders", 0.0),
    ] {
        assert_eq!(grew(series), by, "{series}");
    }
    assert!(grew("onewriter_uptime_seconds") > 0.0);
    assert!(after.value("onewriter_resident_bytes") > 1e6);
    until("the journal is written", || {
        scrape(&root).value("onewriter_journal_written_total") == 5.0
    });
}

#[test]
fn who_holds_and_who_waits_is_counted() {
    let root = Root::new();
    measured(&root).run("mkdir d").ok();
    let holder = root.client().start(["lock", "d", "--", "sleep", "600"]);
    until("it holds the lease", || scrape(&root).value("onewriter_lease_holders") == 1.0);
    let waiter = root.client().start("mkdir d/e");
    until("somebody waits", || scrape(&root).value("onewriter_lease_waiters") == 1.0);
    assert!(scrape(&root).value("onewriter_requests") >= 2.0);
    assert!(scrape(&root).value("onewriter_connections") >= 2.0);
    drop(holder);
    waiter.done().ok();
    until("nobody does", || scrape(&root).value("onewriter_lease_waiters") == 0.0);
}

#[test]
fn without_being_asked_for_there_are_none() {
    let root = Root::new();
    root.started();
    assert!(!root.read(".onewriter/daemon.log").contains("figures"));
}

#[test]
fn an_address_that_is_taken_is_named() {
    let root = Root::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = root.client().env("ONEWRITER_METRICS", &address).json("mkdir d");
    assert_eq!(done.code(), Some(4), "{done}");
    assert!(done.stderr.contains(&address), "{done}");
}

/// Everything in the texts of queries that looks like a figure of ours.
fn asked_for(queries: &[String]) -> BTreeSet<String> {
    let words = queries.iter().flat_map(|query| {
        query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned)
    });
    words.filter(|word| word.starts_with("onewriter_")).collect()
}

fn queries_of(value: &Value, key: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if name == key => into.push(text.clone()),
                    other => queries_of(other, key, into),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries_of(value, key, into)),
        _ => {}
    }
}

#[test]
fn dashboard_and_alerts_ask_for_figures_that_there_are() {
    let root = Root::new();
    measured(&root).run("mkdir a").ok();
    let names = scrape(&root).names();
    let dashboard: Value = serde_json::from_str(&deployed("monitoring/dashboard.json")).unwrap();
    let mut queries = Vec::new();
    queries_of(&dashboard, "expr", &mut queries);
    let alerts = deployed("monitoring/alerts.yml");
    let rules: Vec<String> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .map(str::to_owned)
        .collect();
    for (queries, least) in [(queries, 10), (rules, 6)] {
        assert!(queries.len() >= least, "{queries:?}");
        let asked = asked_for(&queries);
        let unknown: Vec<_> = asked.difference(&names).collect();
        assert!(unknown.is_empty(), "there is no {unknown:?}");
        assert!(queries.iter().all(|query| query.contains("onewriter_") || query.contains("up{")));
    }
}

#[test]
fn the_runbook_explains_every_alert() {
    let (alerts, runbook) = (deployed("monitoring/alerts.yml"), deployed("README.md"));
    let named: BTreeSet<&str> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(named.len() >= 6, "{named:?}");
    let explained: BTreeSet<&str> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("| `Onewriter")?.split('`').next())
        .collect();
    let named: BTreeSet<&str> =
        named.iter().map(|name| name.strip_prefix("Onewriter").expect("ours")).collect();
    assert_eq!(named, explained);
}
