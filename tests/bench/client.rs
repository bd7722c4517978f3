//! The client, one process a request, against the tools that it replaces.

use std::{fs, process::Command, time::Duration};

use crate::support::{Root, Setup, each, median, row, time};

pub(crate) fn figures(setup: &Setup) {
    let root = Root::new(setup, "process");
    // A command with a directory of its own would be forked, which costs as much as it does itself.
    std::env::set_current_dir(root.path()).expect("the root can be entered");
    let at = |name: &str| root.path().join(name);
    for (name, seed) in [("one", 1u8), ("two", 2)] {
        let content: Vec<u8> =
            (0..4096u32).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed)).collect();
        fs::write(at(name), content).expect("a source");
    }
    let tool = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments);
        command
    };
    let client = setup.bin.join("onewriter");
    let ours = |arguments: &[&str]| tool(client.to_str().expect("UTF-8"), arguments);
    root.onewriter(&["mkdir", "there"]);
    root.onewriter(&["publish", "one", "same"]);
    time(&mut tool("/usr/bin/install", &["-C", "-D", "one", "same.install"]));

    // Source files take turns, so that a changed file changes every time.
    let source = |round: usize| if round.is_multiple_of(2) { "one" } else { "two" };
    let rows: [&dyn Fn(usize) -> Command; 10] = [
        &|_| ours(&["mkdir", "there"]),
        &|_| tool("/usr/bin/mkdir", &["-p", "there"]),
        &|round| ours(&["mkdir", &format!("ours.{round}")]),
        &|round| tool("/usr/bin/mkdir", &["-p", &format!("theirs.{round}")]),
        &|_| ours(&["publish", "one", "same"]),
        &|_| tool("/usr/bin/install", &["-C", "-D", "one", "same.install"]),
        &|round| ours(&["publish", source(round), "changed"]),
        &|round| tool("/usr/bin/install", &["-D", source(round), "changed.install"]),
        &|round| {
            let script = format!("cp {} changed.new && mv changed.new changed.cp", source(round));
            tool("/bin/sh", &["-c", &script])
        },
        &|_| tool("/bin/true", &[]),
    ];
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); rows.len()];
    for round in 0..setup.rounds(400) {
        for (command, times) in rows.iter().zip(&mut times) {
            times.push(time(&mut command(round)));
        }
    }
    let took: Vec<f64> = times.into_iter().map(|times| each(median(times), 1)).collect();
    let show = |what: &str, ours: usize, theirs: usize, against: &str, target: Option<f64>| {
        row(what, took[ours], took[theirs], "us", against, target);
    };
    show("mkdir of an existing directory", 0, 1, "us mkdir -p", Some(0.45));
    show("mkdir of a new directory", 2, 3, "us mkdir -p", None);
    show("publish of an unchanged 4 KiB file", 4, 5, "us install -C -D", Some(0.45));
    show("publish of a changed 4 KiB file", 6, 7, "us install -D", Some(0.6));
    show("publish of a changed 4 KiB file", 6, 8, "us cp + mv", Some(0.3));
    show("(a process that does nothing)", 9, 1, "us mkdir -p", None);
    std::env::set_current_dir("/").expect("the root can be left");
}
