//! Makefiles that choose their shells are built as by make.

use super::{Case, Equal};

/// What is printed by bash and by nothing else.
const BASH: &str = "@x=(a b); echo $${x[1]} $$BASH_VERSION";

#[test]
fn a_makefile_has_the_shell_that_it_wants() {
    let mut equal = Equal::default();
    for (name, makefile) in [
        ("set", format!("SHELL = /bin/bash\nall: ; {BASH}\n")),
        ("at once", format!("SHELL := /bin/bash\n$(info $(SHELL))\nall: ; {BASH}\n")),
        ("by override", format!("override SHELL := /bin/bash\nall: ; {BASH}\n")),
        ("by name only", format!("SHELL = bash\nall: ; {BASH}\n")),
        ("of several words", format!("SHELL = /usr/bin/env bash\nall: ; {BASH}\n")),
        ("for one target", format!("all: a b\na: SHELL = /bin/bash\na: ; {BASH}\nb: ; @echo b $$BASH_VERSION > b\n")),
        ("for a pattern", format!("all: a.x\n%.x: SHELL = /bin/bash\n%.x: ; {BASH}\n")),
        ("by the target", format!("SHELL = $(if $(filter a,$@),/bin/bash,/bin/sh)\nall: a b\na: ; {BASH}\nb: ; @echo b $$BASH_VERSION\n")),
        ("with a message", "OLD := $(SHELL)\nSHELL = $(warning making $@)$(OLD)\nall: ; @echo a > a\n".into()),
        ("exported", "export SHELL = /bin/bash\nall: ; @echo $$SHELL; $$SHELL -c 'echo $$BASH_VERSION'\n".into()),
        ("flags", ".SHELLFLAGS = -e -c\nall: ; @false; echo after\n".into()),
        ("flags with quotes", "SHELL = /bin/bash\n.SHELLFLAGS = -e -o 'pipefail' -c\nall: ; @false | true; echo after\n".into()),
        ("flags for one target", "SHELL = /bin/bash\nall: a b\na: .SHELLFLAGS = -xc\na: ; @echo $${BASH_VERSION:+bash}\nb: ; @echo b\n".into()),
        ("flags by the target", ".SHELLFLAGS = $(if $(filter a,$@),-ec,-c)\nall: b a\na b: ; @false; echo $@\n".into()),
        ("no flags", "SHELL = echo\n.SHELLFLAGS =\nall: ; x y  z\n".into()),
        ("in a recipe", "all: it's\nit's: a ; @$(SHELL) $(.SHELLFLAGS) 'echo $^'; echo \"$(.SHELLFLAGS)\" > f\na: ;\n".into()),
        ("in a recipe, of several", "SHELL = /bin/bash\n.SHELLFLAGS = -e -c\nall: ; @$(SHELL) $(.SHELLFLAGS) 'echo a; false; echo b'\n".into()),
        ("not there", "SHELL = /nowhere/sh\nall: ; echo a\n".into()),
        ("python", "SHELL = python3\nall: ; @print('a' + \"b\"); open('f', 'w').write('x')\n".into()),
        ("no IFS", "IFS = x\nall: ; @echo a\n".into()),
    ] {
        let files = &[("Makefile", &*makefile)];
        equal.case(name, Case { files, ..Case::default() });
        equal.case(name, Case { files, arguments: &["-k"], ..Case::default() });
    }
    let files = &[("Makefile", &*format!("SHELL = /bin/dash\nall: ; {BASH}\n"))];
    let arguments = &["SHELL=/bin/bash"];
    equal.case("on the command line", Case { files, arguments, ..Case::default() });
    equal.hold();
}

#[test]
fn one_shell_gets_a_whole_recipe() {
    let mut equal = Equal::default();
    for (name, makefile) in [
        ("sh", ".ONESHELL:\nall it's:\n\t@x=1\n\t-echo $$x $@ '$(CURDIR)'\n\t+cd /\n\tpwd\n"),
        ("bash", "SHELL = /bin/bash\n.ONESHELL:\nall:\n\tx=(a b)\n\techo $${x[1]}\n"),
        (
            "in a recipe",
            ".ONESHELL:\nall: it's\nit's: a\n\t@x=1\n\t$(SHELL) $(.SHELLFLAGS) 'echo $^'\na: ;\n",
        ),
        ("flags", ".SHELLFLAGS = -e -c\n.ONESHELL:\nall:\n\tfalse\n\techo after\n"),
        (
            "python",
            "SHELL = python3\n.ONESHELL:\nall:\n\t@import os\n\tfor n in range(3):\n\t    print(n, os.path.basename(os.getcwd()))\n",
        ),
        (
            "for one target",
            ".ONESHELL:\nall: SHELL = /bin/bash\nall:\n\tx=(a b)\n\techo $${x[1]}\n",
        ),
    ] {
        let files = &[("Makefile", makefile)];
        equal.case(name, Case { files, ..Case::default() });
    }
    let files = &[("Makefile", ".ONESHELL:\nit's: ; @echo $@ > f\n")];
    equal.case("a quote", Case { files, arguments: &["it's"], ..Case::default() });
    equal.hold();
}

#[test]
fn functions_of_bash_are_inherited() {
    let mut equal = Equal::default();
    let files = &[("Makefile", "SHELL = /bin/bash\nall: ; @greet you\n")];
    let environment = &[("BASH_FUNC_greet%%", "() {  echo hello $1\n}")];
    equal.case("a function", Case { files, environment, ..Case::default() });
    equal.hold();
}
