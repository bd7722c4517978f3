//! Manual pages and completions, which are made of the command definitions: what is checked in is
//! what they say. `UPDATE_GENERATED=1 cargo test --test onewriter generated` makes them anew.

use std::{collections::BTreeMap, fs, path::Path};

use clap::CommandFactory as _;
use clap_complete::{Generator, Shell};
use clap_mangen::Man;
use onewriter_server::config::Flags;

/// Files by their names below `deploy/`.
type Files = BTreeMap<String, Vec<u8>>;

/// When the pages last changed in substance: today's date would make others of them each day.
const DATE: &str = "2026-11-23";

fn manual(command: clap::Command, name: &str, files: &mut Files) {
    let source = concat!("onewriter ", env!("CARGO_PKG_VERSION"));
    let page = Man::new(command).title(name.to_uppercase()).date(DATE).source(source);
    let page = page.manual("onewriter");
    let mut text = Vec::new();
    page.render(&mut text).expect("a page in memory");
    files.insert(format!("man/{name}.1"), text);
}

fn manuals(files: &mut Files) {
    let mut client = onewriter_client::clap().disable_help_subcommand(true);
    client.build();
    for verb in client.get_subcommands().cloned() {
        let name = format!("onewriter-{}", verb.get_name());
        manual(verb.display_name(&name), &name, files);
    }
    manual(client, "onewriter", files);
    manual(Flags::command(), "onewriterd", files);
}

fn completions(files: &mut Files) {
    for (program, command) in
        [("onewriter", onewriter_client::clap()), ("onewriterd", Flags::command())]
    {
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            let (mut command, mut text) = (command.clone(), Vec::new());
            clap_complete::generate(shell, &mut command, program, &mut text);
            files.insert(format!("completions/{}", shell.file_name(program)), text);
        }
    }
}

#[test]
fn manual_pages_and_completions_are_those_of_the_programs() {
    let mut files = Files::new();
    manuals(&mut files);
    completions(&mut files);
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let update = std::env::var_os("UPDATE_GENERATED").is_some();
    for directory in ["man", "completions"] {
        let directory = deploy.join(directory);
        if update {
            let _ = fs::remove_dir_all(&directory);
            fs::create_dir(&directory).unwrap();
        }
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&deploy).unwrap().to_str().unwrap();
            assert!(files.contains_key(name), "{name} belongs to no command any more");
        }
    }
    for (name, text) in files {
        let path = deploy.join(&name);
        if update {
            fs::write(path, text).unwrap();
        } else {
            let there = fs::read(path).unwrap_or_default();
            assert!(there == text, "{name} is not what the commands say: UPDATE_GENERATED=1");
        }
    }
}
