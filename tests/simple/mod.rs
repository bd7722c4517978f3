//! Lines of simple commands do what `/bin/sh` and the coreutils do, to the last bit and word.

mod lines;
mod refusals;
mod shims;
mod surprises;
mod tree;

use std::{
    collections::BTreeMap,
    fs::{File, FileTimes},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use self::lines::Dice;
use crate::support::{ONEWRITER, Root, until};

/// `onewriter simple` says by it that a line needs a shell.
const NOT_SIMPLE: i32 = 125;

/// What a program left behind.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a program under a umask.
fn run(umask: &str, directory: &Path, words: &[&str]) -> Left {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "umask $0; exec \"$@\"", umask]).args(words).current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ONEWRITER") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C").env("ONEWRITER_IDLE_TIMEOUT", "90").env("PWD", directory);
    let done = command.stdin(Stdio::null()).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Left { code: done.status.code(), stdout: text(done.stdout), stderr: text(done.stderr) }
}

/// Two equal trees in one build root: one for the client, one for the shell.
struct Bench {
    root: Root,
    history: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        Self { root: Root::new(), history: Vec::new() }
    }

    fn side(&self, name: &str) -> PathBuf {
        self.root.at(name).join("case")
    }

    fn plant(&mut self) {
        self.history.clear();
        for side in ["ours", "theirs"] {
            tree::plant(&self.side(side));
        }
    }

    /// Whether one can still stand in the trees.
    fn is_open(&self) -> bool {
        ["ours", "theirs"].iter().all(|side| self.side(side).join(".").exists())
    }

    /// Whether the client took the line; then both sides must be equal.
    fn compare(&mut self, line: &str, umask: &str, flags: &str) -> bool {
        let flags_given = format!("--flags={flags}");
        let words = [ONEWRITER, "simple", &flags_given, "--", line];
        let shell = if self.history.len() % 3 == 2 { "/bin/bash" } else { "/bin/sh" };
        self.compare_with(&words, line, umask, &[shell, flags])
    }

    /// `words`: what does the line on our side. `shell`: what does it on theirs.
    fn compare_with(&mut self, words: &[&str], line: &str, umask: &str, shell: &[&str]) -> bool {
        let before = tree::seen(&self.side("theirs"));
        let old = |side| tree::old_directories(&self.side(side));
        let same_past = old("ours") == old("theirs");
        let ours = run(umask, &self.side("ours"), words);
        if ours.code == Some(NOT_SIMPLE) && ours.stderr.contains("needs a shell") {
            assert_eq!(tree::seen(&self.side("ours")), before, "{line:?} was refused and done");
            return false;
        }
        self.history.push(format!("umask {umask}; {} {line:?}", shell.join(" ")));
        let theirs = run(umask, &self.side("theirs"), &[shell, &[line]].concat());
        assert_eq!(ours, theirs, "ours, theirs, after {:#?}", self.history);
        // A removed tree goes in the background; until then its files have one name more.
        until("what was removed is gone", || self.root.staging().is_empty());
        let (left, right) = (tree::seen(&self.side("ours")), tree::seen(&self.side("theirs")));
        assert!(left == right, "{}\nafter {:#?}", difference(&left, &right), self.history);
        // A file that is replaced changes its directory, which one that is written to does not: so
        // it is only without such a past that kept times of directories must be the same.
        let times = |side| {
            let mut old = tree::old_directories(&self.side(side));
            old.retain(|path, _| !before.contains_key(path));
            old
        };
        if same_past {
            assert_eq!(times("ours"), times("theirs"), "of directories, {:#?}", self.history);
        }
        true
    }
}

fn difference(ours: &BTreeMap<PathBuf, String>, theirs: &BTreeMap<PathBuf, String>) -> String {
    let mut text = String::new();
    for path in ours.keys().chain(theirs.keys().filter(|path| !ours.contains_key(*path))) {
        let (one, other) = (ours.get(path), theirs.get(path));
        if one != other {
            text.push_str(&format!("{path:?}\n  ours   {one:?}\n  theirs {other:?}\n"));
        }
    }
    text
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// How many lines are tried on one tree before it is made anew.
const LINES: usize = 6;

/// `ONEWRITER_LINES` and `ONEWRITER_SEED` make a campaign of it.
#[test]
fn random_lines_do_what_the_shell_does() {
    let (wanted, mut seed) = (setting("ONEWRITER_LINES", 500), setting("ONEWRITER_SEED", 1));
    let mut bench = Bench::new();
    let (mut taken, mut refused) = (0, 0);
    while taken < wanted {
        let mut dice = Dice::new(seed);
        seed += 1;
        bench.plant();
        let umask = dice.pick(&["022", "022", "027", "077", "002", "000"]);
        let flags = dice.pick(&["-c", "-c", "-ec"]);
        let mut tried = 0;
        while tried < LINES && bench.is_open() {
            let line = lines::line(&mut dice);
            if bench.compare(&line, umask, flags) {
                (taken, tried) = (taken + 1, tried + 1);
            } else {
                refused += 1;
                tried += usize::from(dice.below(4) == 0);
            }
        }
    }
    println!("{taken} lines were done and compared, {refused} left to the shell");
    assert!(refused < 6 * taken, "hardly a line is simple: {taken} of {}", taken + refused);
}

#[test]
fn what_ends_in_dots_is_what_the_tools_take_it_for() {
    let mut bench = Bench::new();
    for end in ["/.", "/./", "/.//", "/..", "/../", "/x/..", "/x/../"] {
        for line in [
            format!("mkdir -p e/x; rm -rf e{end}"),
            format!("rm -r tree{end}"),
            format!("rm -rf missing{end}"),
            format!("rmdir e{end}"),
            format!("mkdir new{end}"),
            format!("mkdir -p new{end}"),
            format!("mkdir -m 711 new{end}"),
            format!("mkdir -p -m 711 new{end}"),
            format!("mkdir -p -m 711 new/deep{end}"),
            format!("install -d -m 711 new/deep{end}"),
            format!("mkdir -p d/x; mv d{end} new"),
            format!("mv f d{end}"),
            format!("mv f new{end}"),
            format!("cp f e{end}"),
            format!("cp -r tree e{end}"),
            format!("cp -rT tree new{end}"),
            format!("ln -s f e{end}"),
            format!("touch e{end} new{end}"),
            format!("chmod 700 e{end}"),
        ] {
            bench.plant();
            bench.compare(&line, "022", "-c");
        }
    }
    bench.plant();
    assert!(bench.compare("mkdir -p new/./deep/. && cp f d/./ && cd d/./", "022", "-c"));
}

#[test]
fn copies_that_keep_times_keep_both() {
    let mut bench = Bench::new();
    for (line, taken) in [
        ("cp -p f new", true),
        ("cp -a f new", true),
        ("cp -p f exe e", true),
        ("cp -rp tree/a new", true),
        ("cp -rp d new", true),
        ("install -p f new", true),
        ("install -p f g e", true),
        // What was read has another access time then.
        ("cp -p f new; cp -p f new2", false),
        ("cp f new; touch -r f new", false),
    ] {
        bench.plant();
        let path = |side: &str, name: &str| bench.side(side).join(name);
        let atime = |side: &str, name: &str| {
            std::fs::symlink_metadata(path(side, name)).ok().map(|found| found.atime())
        };
        for side in ["ours", "theirs"] {
            for (number, name) in ["f", "g", "exe", "tree/a", "d/f", "d/e"].iter().enumerate() {
                let accessed = SystemTime::UNIX_EPOCH + Duration::from_secs(500 + number as u64);
                let times = FileTimes::new().set_accessed(accessed);
                File::open(path(side, name)).and_then(|file| file.set_times(times)).unwrap();
            }
        }
        let words = [ONEWRITER, "simple", "--", line];
        let ours = run("022", &bench.side("ours"), &words);
        assert_eq!(ours.code, Some(if taken { 0 } else { NOT_SIMPLE }), "{line}: {ours:?}");
        run("022", &bench.side("theirs"), &["/bin/sh", "-c", line]);
        let copies = ["new", "new/e", "new/f", "e/f", "e/g", "e/exe"];
        for name in copies.iter().filter(|_| taken) {
            assert_eq!(atime("ours", name), atime("theirs", name), "{line}: {name}");
        }
        assert!(copies.iter().any(|name| atime("theirs", name).is_some()), "{line}");
    }
}
