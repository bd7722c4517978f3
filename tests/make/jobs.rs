//! As many jobs at once as make was allowed, and never more.

use std::fs;

use super::{Case, Equal, make, root_with};

/// Three recipes at a time, in the first makes, and still at the end. Each leaves its name in
/// `started`, and for as long as it runs in `running`; `$(meet)` waits until three have come.
const MAKEFILE: &str = "\
begin = @: > $$BESIDE/started/$@; : > $$BESIDE/running/$@; ls $$BESIDE/running | wc -l >> $$BESIDE/counts
meet = until test $$(ls $$BESIDE/started | grep -c ^$(1)) -ge 3; do sleep 0.01; done
end = rm $$BESIDE/running/$@

.PHONY: sub
all: late1 late2 late3
late1 late2 late3: early1 early2 early3 sub
\t$(begin); $(call meet,late); $(end)
early1 early2 early3:
\t$(begin); $(call meet,early); $(end)
sub:
\t@$(MAKE) -C sub
";

const SUB: &str = "\
begin = @: > $$BESIDE/started/$@; : > $$BESIDE/running/$@; ls $$BESIDE/running | wc -l >> $$BESIDE/counts
end = rm $$BESIDE/running/$@

all: in1 in2 in3 in4 in5 in6
in%: ; $(begin); sleep 0.02; false; $(end)
";

#[test]
fn jobs_are_as_many_as_allowed() {
    let root = root_with(MAKEFILE);
    root.write("sub/Makefile", SUB);
    for name in ["started", "running"] {
        fs::create_dir(root.outside(name)).unwrap();
    }
    let done = make(&root, "-j3");
    assert!(done.succeeded(), "{done}");
    let counts = fs::read_to_string(root.outside("counts")).unwrap();
    let counts: Vec<u32> = counts.lines().map(|count| count.trim().parse().unwrap()).collect();
    assert_eq!(counts.len(), 12);
    assert_eq!(counts.iter().max(), Some(&3), "{counts:?}");
    let report = root.run("report");
    assert!(report.ok().contains(", 3 jobs, "), "{report}");
}

#[test]
fn makes_that_lose_their_jobserver_say_so_as_ever() {
    let mut equal = Equal::default();
    for makefile in [
        "all: ; @$(MAKE) -C sub\n",
        "all: ; +@$(MAKE) -C sub\n",
        "all: ; @make -C sub\n",
        "all: ; +@make -C sub\n",
        "M = make -C sub\nall: ; @$(M)\n",
    ] {
        let files = &[("Makefile", makefile), ("sub/Makefile", "all: ; @echo a > a\n")];
        equal.case(makefile, Case { files, arguments: &["-j3"], ..Case::default() });
    }
    equal.hold();
}
