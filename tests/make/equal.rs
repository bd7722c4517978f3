//! Makefiles are built as by make: the same output, exit code and tree. Options, rules, recipes.

use super::{Case, Equal};

const RULES: &str = "\
all: a b
a: src ; cp src a
b: a
\t@echo making $@ from $<
\t-false
\t+@echo plus
\tcat a a > $@
clean: ; rm -f a b
";

#[test]
fn options_are_makes() {
    let mut equal = Equal::default();
    for arguments in [
        &[][..],
        &["-n"],
        &["-q"],
        &["-t"],
        &["-s"],
        &["-j4"],
        &["-j", "4", "-O"],
        &["--output-sync=target", "-j2"],
        &["-B"],
        &["-i", "b"],
        &["-k", "a", "nothing", "b"],
        &["nothing"],
        &["--trace"],
        &["-w"],
        &["--no-print-directory", "-w"],
        &["-W", "src", "-n"],
        &["-o", "src", "all"],
        &["--old-file=src"],
        &["-C", "."],
        &["-C", "nowhere"],
        &["-f", "nothing"],
        &["-f"],
        &["--nonsense"],
        &["-r", "-R", "a"],
        &["-e"],
        &["a", "--", "b"],
        &["--eval", "c: ; echo c", "c"],
        &["--warn-undefined-variables"],
        &["CFLAGS=-O2", "a"],
        &["--help"],
        &["-v"],
        &["-kn"],
        &["clean"],
    ] {
        let files = &[("Makefile", RULES), ("src", "source\n")];
        equal.case(&arguments.join(" "), Case { files, arguments, ..Case::default() });
    }
    equal.hold();
}

#[test]
fn makefiles_are_found_as_by_make() {
    let mut equal = Equal::default();
    let a = ("a.mk", "all: ; @echo a [$(MAKEFILE_LIST)] $(lastword $(MAKEFILE_LIST))\n");
    let b = ("b.mk", "b: ; @echo b [$(MAKEFILE_LIST)]\n");
    let files = &[
        a,
        b,
        ("makefile", "all: ; @echo small [$(MAKEFILE_LIST)]\n"),
        ("Makefile", "all: ; @echo large\n"),
        ("sub/GNUmakefile", "all: ; @echo gnu $(CURDIR)\n"),
        ("sub/Makefile", "all: ; @echo large in $(CURDIR)\n"),
        ("empty/", ""),
        ("nothing/Makefile", ""),
    ];
    for arguments in [
        &[][..],
        &["-f", "a.mk"],
        &["-fa.mk", "-f", "b.mk", "b"],
        &["--file=b.mk", "--makefile", "a.mk", "b", "all"],
        &["-C", "sub"],
        &["-C", "sub", "--directory=..", "-f", "a.mk"],
        &["-C", "empty"],
        &["-C", "empty", "all"],
        &["-C", "empty", "--eval=all: ; @echo eval"],
        &["-C", "nothing"],
        &["-f", "-"],
        &["-f", "a.mk", "-f", "-", "piped"],
        &["-f", "sub"],
    ] {
        let input = "all piped: ; @echo piped\n";
        equal.case(&arguments.join(" "), Case { files, arguments, input, ..Case::default() });
    }
    for environment in [
        &[("MAKEFILES", "a.mk b.mk")][..],
        &[("MAKEFLAGS", "n")],
        &[("MAKEFLAGS", "k --no-print-directory X=1")],
        &[("GNUMAKEFLAGS", "-s")],
        &[("MAKE", "make")],
        &[("SHELL", "/bin/false"), ("MAKEFLAGS", "e")],
    ] {
        equal.case(&format!("{environment:?}"), Case { files, environment, ..Case::default() });
    }
    equal.hold();
}

#[test]
fn rules_are_makes() {
    let mut equal = Equal::default();
    for (name, makefile) in [
        (
            "an included file is remade",
            "all: ; @echo $(X)\ninclude gen.mk\ngen.mk: src ; echo X = $$(cat src) > $@\n",
        ),
        (
            "twice",
            "all: ; @echo $(X)$(Y)\n-include a.mk\n-include b.mk\na.mk: ; echo X = 1 > $@\nb.mk: a.mk ; cp $< $@; echo Y = 2 >> $@\n",
        ),
        (
            "the makefile is remade",
            "all: ; @echo old\nFORCE: ;\nMakefile: FORCE ; test -f done || { touch done; sed s/old/new/ Makefile > t; mv t Makefile; }\n",
        ),
        ("grouped targets", "all: a b\na b &: src ; echo once; cp src a; cp src b\n"),
        (
            "pattern rules",
            "all: x.out y.out\n%.out: %.in ; tr a-z A-Z < $< > $@\n%.in: ; echo $* > $@\n",
        ),
        ("a rule for anything", "all: one two\nFORCE:\n%: FORCE ; @echo any $@\nMakefile: ;\n"),
        ("an archive", "all: l.a(m) l.a(n)\n(%): % ; ar cr $@ $%\nm n: ; echo $@ > $@\n"),
        ("ignored errors", ".IGNORE: a\nall: a b\na: ; false\nb: ; -@exit 3\n"),
        ("silent", ".SILENT:\na: ; echo a > $@\n"),
        ("posix", ".POSIX:\na: ; false; echo after\n"),
        (
            "second expansion",
            ".SECONDEXPANSION:\nall: a.x\n%.x: $$*.y ; cp $< $@\na.y: ; echo y > $@\n",
        ),
        ("order-only", "all: d/a\nd/a: | d ; echo a > $@\nd: ; mkdir d\n"),
        (
            "intermediate files",
            "all: a.c\n%.c: %.b ; cp $< $@\n%.b: %.a ; cp $< $@\na.a: ; echo a > $@\n",
        ),
        (
            "vpath",
            "vpath % dir\nall: copy\ncopy: f ; cat $< > $@\ndir/f: ; mkdir -p dir; echo f > $@\nf: dir/f ;\n",
        ),
        ("a default", ".DEFAULT: ; @echo default $@\nall: other\n"),
        (
            "a goal of its own",
            "first: ; @echo first\nsecond: ; @echo second\n.DEFAULT_GOAL := second\n",
        ),
        ("empty recipes", "all: a b ;\na: ;\nb:\n\t\n\t:\n\ttrue\n"),
        (
            "names with quotes",
            "all: it's a$$b\nit's a$$b: ; @echo \"$(subst ','\\'',$@)\" '$(subst ','\\'',$@)'\n",
        ),
        ("no rule", "all: missing\n"),
        ("a circle", "all: a\na: b ; @echo a\nb: a ; @echo b\n"),
        ("an error while reading", "all: ; @echo a\n$(error stop here)\n"),
        ("no separator", "all\n"),
        ("no targets", "X = 1\n"),
        ("a phony", ".PHONY: all\nall: ; @echo x; exit 7\n"),
        ("half of it fails", "all: a b\na: ; echo half > $@; exit 1\nb: ; echo whole > $@\n"),
    ] {
        // A recipe that fails leaves its half-made target under make alone.
        let files = &[("Makefile", makefile), ("src", "1\n")];
        if name != "half of it fails" {
            equal.case(name, Case { files, ..Case::default() });
        }
        equal.case(name, Case { files, arguments: &["-k", "-n"], ..Case::default() });
    }
    equal.hold();
}

#[test]
fn recipes_are_makes() {
    let mut equal = Equal::default();
    let long = format!("all: ; @echo {} | wc -c\n", "x".repeat(100_000));
    let too_long = format!("all: ; @echo {} | wc -c\n", "x".repeat(200_000));
    let many = format!(
        "N := {}\nall: $(N) ; @echo $^ | wc -c\n$(N): ;\n",
        (0..12_000).map(|n| format!("prerequisite-{n} ")).collect::<String>()
    );
    for (name, makefile) in [
        ("continuations", "all:\n\t@echo a \\\n\tb; \\\n\techo 'c \\\n\td'\n"),
        (
            "quotes",
            "all: ; @echo \"a  b\" 'c  $$HOME' \\\" \\\\ `echo d` $$(echo e) \"$$((1+2))\"\n",
        ),
        ("comments", "all:\n\t# for the shell\n\t@echo a # b\n"),
        (
            "a here-document",
            "define DOC\ncat <<END > $@\none\n  two $$HOME\nEND\nendef\n.ONESHELL:\nall: ; @$(DOC)\n",
        ),
        (
            "several lines of one definition",
            "define DO\n@echo a\n-@false\n@echo b\nendef\nall: ; $(DO)\n",
        ),
        ("a long command", &long),
        ("a command that is too long", &too_long),
        ("many prerequisites", &many),
        ("standard input", "all: ; @read x; echo got $$x; read y; echo and $$y\n"),
        ("standard error", "all: ; @echo out; echo err >&2\n"),
        ("exit codes", "all: ; @exit 42\n"),
        ("signals", "all: ; @kill -9 $$$$\n"),
        ("signals that make knows", "all: ; @kill -TERM $$$$\n"),
        (
            "exported variables",
            "export A = 1\nB = 2\nall: export B := 3\nall: ; @echo $$A $$B $$C\nexport C = $(shell echo 4)\n",
        ),
        ("all variables", ".EXPORT_ALL_VARIABLES:\nA = 1\nall: ; @echo $$A $$MAKELEVEL\n"),
        (
            "functions",
            "all: ; @echo $(shell echo $@) $(words a b) $(shell exit 3)$(.SHELLSTATUS)\n",
        ),
        (
            "lazy shells",
            "X = $(shell echo x)\nall: ; @echo $(X) $(foreach n,1 2,$(shell echo $(n)))\n",
        ),
        ("messages", "all: ; $(info info)$(warning warning)@echo a\n"),
        ("files by make", "all: ; $(file >out,text)@cat out\n"),
        ("umask", "all: ; @umask 077; echo a > a; mkdir d; umask\n"),
        (
            "links and modes",
            "all: ; @echo a > a; ln -s a l; ln a h; chmod 751 a; mkdir -m 700 d; mkfifo p\n",
        ),
        (
            "directories that go",
            "all: ; @mkdir -p a/b; echo c > a/b/c; cp -R a d; rm -r a; mv d e\n",
        ),
        ("nothing found", "all: ; @no-such-command\n"),
        ("a directory as command", "all: ; @./\n"),
        (
            "the shell of a recipe",
            "all: ; @echo $$0; $(SHELL) -c 'echo $$0'; echo '$(SHELL)' > f; $(SHELL) s\n",
        ),
    ] {
        let files = &[("Makefile", makefile), ("s", "echo script\n")];
        equal.case(name, Case { files, input: "first\nsecond\n", ..Case::default() });
    }
    equal.hold();
}
