//! `onewriter make` against make: many small recipes, and headers that are made again as they were.

use std::{
    fmt::Write as _,
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{Root, Setup, median, row, time, verdict};

const RECIPES: usize = 2000;
const HEADERS: usize = 100;

/// On two cores: make waits for its recipe, both have something to do, and there is always more.
const JOBS: [&str; 3] = ["-j1", "-j2", "-j4"];

pub(crate) fn figures(setup: &Setup) {
    let recipes = if setup.quick { RECIPES / 10 } else { RECIPES };
    // None is deleted before all have been measured.
    let mut roots = Vec::new();
    for jobs in JOBS {
        let what = format!("{recipes} recipes of one command, {jobs}");
        roots.push(small_recipes(setup, &what, jobs, recipes, one_command, 0.6));
        let what = format!("{recipes} of three, joined by &&, {jobs}");
        roots.push(small_recipes(setup, &what, jobs, recipes, three_commands, 0.3));
    }
    drop(roots);
    unchanged_headers(setup);
}

fn one_command(n: usize) -> String {
    match n % 5 {
        0 => format!("mkdir -p $(OUT)/d{n}"),
        1 => format!("cp source $(OUT)/c{n}"),
        2 => format!("touch $(OUT)/t{n}"),
        3 => format!("mv $(OUT)/moved/{n} $(OUT)/m{n}"),
        _ => format!("ln source $(OUT)/l{n}"),
    }
}

fn three_commands(n: usize) -> String {
    match n % 3 {
        0 => format!("mkdir -p $(OUT)/d{n} && cp source $(OUT)/d{n}/c && touch $(OUT)/d{n}/t"),
        1 => format!("cp source $(OUT)/c{n} && mv $(OUT)/c{n} $(OUT)/m{n} && touch $(OUT)/t{n}"),
        _ => format!("mkdir -p $(OUT)/e{n} && touch $(OUT)/e{n}/t && ln source $(OUT)/l{n}"),
    }
}

/// A build of recipes that need no compiler, each time into a directory of its own of the root that is
/// returned.
fn small_recipes(
    setup: &Setup,
    what: &str,
    jobs: &str,
    recipes: usize,
    line: fn(usize) -> String,
    most: f64,
) -> Root {
    let root = Root::new(setup, "process");
    let mut makefile = String::from("all:");
    (0..recipes).for_each(|n| write!(makefile, " r{n}").expect("memory"));
    makefile.push('\n');
    (0..recipes).for_each(|n| write!(makefile, "r{n}:\n\t@{}\n", line(n)).expect("memory"));
    fs::write(root.path().join("Makefile"), makefile).expect("a Makefile");
    fs::write(root.path().join("source"), "source\n").expect("a source");
    let mut times: [Vec<Duration>; 2] = Default::default();
    for round in 0..setup.rounds(5) {
        for (which, times) in times.iter_mut().enumerate() {
            let out = format!("out{which}.{round}");
            let moved = root.path().join(&out).join("moved");
            fs::create_dir_all(&moved).expect("a directory");
            for n in (3..recipes).step_by(5) {
                fs::write(moved.join(n.to_string()), "").expect("a file");
            }
            let mut command = make(&root, which == 0, jobs);
            times.push(time(command.arg(format!("OUT={out}"))));
        }
    }
    let [ours, theirs] = times.map(|times| median(times).as_secs_f64() * 1e3);
    row(what, ours, theirs, "ms", "ms make", Some(most));
    root
}

/// What is compiled after a generator has made all headers again as they were.
fn unchanged_headers(setup: &Setup) {
    const MAKEFILE: &str = "\
all: $(NUMBERS:%=o%.o)
$(NUMBERS:%=o%.o): o%.o: u%.c h%.h; @echo compiles $@ && gcc -O1 -c $< -o $@
$(NUMBERS:%=h%.h): stamp ;
stamp: grammar
\tfor n in $(NUMBERS); do printf '#define H%d %d\\n' $$n $$n > h$$n.h; done
\ttouch $@
";
    let mut seen = Vec::new();
    for ours in [true, false] {
        let root = Root::new(setup, "process");
        let numbers: Vec<_> = (0..HEADERS).map(|n| n.to_string()).collect();
        let makefile = format!("NUMBERS := {}\n{MAKEFILE}", numbers.join(" "));
        fs::write(root.path().join("Makefile"), makefile).expect("a Makefile");
        for n in &numbers {
            let unit = format!("#include \"h{n}.h\"\nint f{n}(void) {{ return H{n}; }}\n");
            fs::write(root.path().join(format!("u{n}.c")), unit).expect("a unit");
        }
        let build = || {
            fs::write(root.path().join("grammar"), "").expect("a grammar");
            let begun = Instant::now();
            let done = make(&root, ours, JOBS[1])
                .stderr(Stdio::inherit())
                .output()
                .expect("make can be run");
            assert!(done.status.success(), "make {}", done.status);
            let compiled = String::from_utf8_lossy(&done.stdout).matches("compiles o").count();
            (compiled, begun.elapsed())
        };
        assert_eq!(build().0, HEADERS, "the first time, all is compiled");
        seen.push(build());
    }
    let [(ours, our_time), (theirs, their_time)] = seen[..] else { unreachable!() };
    let verdict = verdict(ours == 0 && theirs == HEADERS);
    println!(
        "  {:<44} {ours:>10} in {:.0} ms, of {theirs} in {:.0} ms make (none: {verdict})",
        format!("compiled after {HEADERS} unchanged headers"),
        our_time.as_secs_f64() * 1e3,
        their_time.as_secs_f64() * 1e3,
    );
}

fn make(root: &Root, ours: bool, jobs: &str) -> Command {
    let mut command = match ours {
        true => root.command(&["make", "--quiet", "--unchanged", "keep"]),
        false => Command::new("make"),
    };
    command.arg(jobs).current_dir(root.path()).stdin(Stdio::null());
    command
}
