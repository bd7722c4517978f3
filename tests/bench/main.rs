//! The figures: what this project promises about speed, measured.
//!
//! `tests/bench/run` builds the programs as the README installs them and runs this. Each row is
//! two medians and their ratio, from measurements that took turns in one run: the machine may be
//! busy or slow, the ratio holds.
//!
//! Usage: `figures --bin DIR [--quick] [SECTION…]`, where DIR holds the installed programs. It exits
//! with 1 where a row says MISSED.

#![allow(clippy::disallowed_methods, reason = "sets up files to measure with")]

mod account;
mod client;
mod cluster;
mod content;
mod daemon;
mod locks;
mod make;
mod memory;
mod power;
mod remote;
mod support;
mod transactions;

use std::{path::PathBuf, process::ExitCode};

use support::Setup;

type Section = (&'static str, fn(&Setup));

/// Those that make many files come before those that delete many: for minutes, ext4 passes over each
/// inode that was freed before it takes another.
const SECTIONS: [Section; 11] = [
    ("make", make::figures),
    ("client", client::figures),
    ("daemon", daemon::figures),
    ("locks", locks::figures),
    ("content", content::figures),
    ("power", power::figures),
    ("memory", memory::figures),
    ("transactions", transactions::figures),
    ("account", account::figures),
    ("remote", remote::figures),
    ("cluster", cluster::figures),
];

fn main() -> ExitCode {
    let mut bin = None;
    let mut quick = false;
    let mut wanted = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bin" => bin = arguments.next().map(PathBuf::from),
            "--quick" => quick = true,
            // What cargo bench passes.
            "--bench" => {}
            name if SECTIONS.iter().any(|(section, _)| *section == name) => {
                wanted.push(name.to_owned())
            }
            other => {
                let names = SECTIONS.map(|(name, _)| name).join(", ");
                eprintln!("figures: '{other}' is none of {names}");
                return ExitCode::from(2);
            }
        }
    }
    let Some(bin) = bin else {
        eprintln!("figures: --bin DIR is needed: the directory of the installed programs");
        return ExitCode::from(2);
    };
    let setup = Setup { bin: std::path::absolute(bin).expect("a working directory"), quick };
    for (name, figures) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            println!("\n{name}");
            figures(&setup);
        }
    }
    match support::missed() {
        0 => ExitCode::SUCCESS,
        missed => {
            eprintln!("figures: {missed} MISSED what they are to reach");
            ExitCode::FAILURE
        }
    }
}
