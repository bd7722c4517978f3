//! `onewriter make`, end to end.

mod equal;
mod equal_recursive;
mod equal_shells;
mod jobs;
mod recipes;
mod roots;
mod settings;

use std::{collections::BTreeMap, path::PathBuf};

use crate::support::{Args, Client, Done, Entry, ONEWRITER, Root, shape};

/// What a makefile is built with.
#[derive(Clone, Copy, Default)]
struct Case<'c> {
    /// Paths, and what they hold. Those that end in `/` are directories.
    files: &'c [(&'c str, &'c str)],
    arguments: &'c [&'c str],
    environment: &'c [(&'c str, &'c str)],
    input: &'c str,
}

/// All that can be seen of a make.
struct Seen {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    tree: BTreeMap<PathBuf, Entry>,
}

impl Case<'_> {
    fn prepare(&self, root: &Root) {
        for entry in std::fs::read_dir(root.path()).unwrap().flatten() {
            match entry.file_name() {
                state if state == ".onewriter" => {}
                _ if entry.path().is_dir() => std::fs::remove_dir_all(entry.path()).unwrap(),
                _ => std::fs::remove_file(entry.path()).unwrap(),
            }
        }
        for (path, content) in self.files {
            match path.strip_suffix('/') {
                Some(directory) => std::fs::create_dir_all(root.at(directory)).unwrap(),
                None => drop(root.write(path, content)),
            }
        }
    }

    fn client<'r>(&self, root: &'r Root) -> Client<'r> {
        let client = root.client().input(self.input);
        self.environment.iter().fold(client, |client, (name, value)| client.env(name, value))
    }

    /// Builds, and builds again what was built.
    fn seen(&self, root: &Root, first: &str, more: &[&str]) -> [Seen; 2] {
        self.prepare(root);
        [(), ()].map(|()| {
            let words = [more, self.arguments].concat();
            let words: Vec<_> = words.into_iter().map(std::ffi::OsString::from).collect();
            let done = self.client(root).start_program(first, words).done();
            Seen {
                code: done.code(),
                stdout: as_plain(root, &String::from_utf8_lossy(&done.stdout)),
                stderr: as_plain(root, &done.stderr),
                tree: shape(root.path()),
            }
        })
    }

    /// How `onewriter make` differs from make; `name` is for people.
    fn difference(&self, name: &str) -> Option<String> {
        let root = Root::new();
        let plain = self.seen(&root, "make", &[]);
        let ours = self.seen(&root, ONEWRITER, &["make", "--"]);
        let mut found = String::new();
        for (run, (plain, ours)) in plain.iter().zip(&ours).enumerate() {
            if plain.code != ours.code || plain.stdout != ours.stdout || plain.stderr != ours.stderr
            {
                found += &format!("{name}, run {run}: {plain}\n--- is with onewriter {ours}\n");
            } else if plain.tree != ours.tree {
                let (plain, ours) = (&plain.tree, &ours.tree);
                found += &format!("{name}, run {run}: {plain:?}\n--- is with onewriter {ours:?}\n");
            }
        }
        Some(found).filter(|found| !found.is_empty())
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr, .. } = self;
        write!(f, "{code:?}\n{stdout:.2000}--- stderr\n{stderr:.2000}")
    }
}

/// Makefiles that are built as by make, all of them.
#[derive(Default)]
struct Equal(Vec<String>);

impl Equal {
    fn case(&mut self, name: &str, case: Case<'_>) {
        self.0.extend(case.difference(name));
    }

    #[track_caller]
    fn hold(&self) {
        assert!(self.0.is_empty(), "{} differ\n{}", self.0.len(), self.0.join("\n"));
    }
}

/// What make and its shell say, in the names that they have without onewriter: the tools that make
/// is given lie in `$XDG_RUNTIME_DIR/onewriter/HASH/`.
fn as_plain(root: &Root, text: &str) -> String {
    let lines = text.split_inclusive('\n').filter(|line| !line.starts_with("onewriter make: "));
    let mut made: String = lines.collect();
    let tools = format!("{}/", root.outside("runtime/onewriter").display());
    while let Some(at) = made.find(&tools) {
        let tool = made[at + tools.len()..].split_once('/').unwrap_or_default().1;
        let before = made[at..].len() - tool.len();
        let (plain, length) = match tool {
            tool if tool.starts_with("make") => ("make", 4),
            tool if tool.starts_with("shell") => ("/bin/sh", 5),
            _ => ("/bin/sh", 2),
        };
        made.replace_range(at..at + before + length, plain);
    }
    // What make itself reads from its standard input.
    while let Some(at) = made.find("/tmp/Gm") {
        made.replace_range(at..at + "/tmp/GmXXXXXX".len(), "stdin");
    }
    made
}

/// A root with this makefile.
fn root_with(makefile: &str) -> Root {
    let root = Root::uninitialised("root");
    root.write("Makefile", makefile);
    root
}

/// Runs `onewriter make`.
#[track_caller]
fn make(root: &Root, arguments: impl Args) -> Done {
    let mut words = arguments.args();
    words.insert(0, "make".into());
    root.client().env("BESIDE", root.outside("")).run(words)
}
