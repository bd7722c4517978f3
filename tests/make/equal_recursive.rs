//! Makes in makes are as without onewriter.

use super::{Case, Equal};

#[test]
fn makes_call_makes() {
    let mut equal = Equal::default();
    for (name, makefile) in [
        ("by $(MAKE)", "all: ; $(MAKE) -C sub\n"),
        ("by ${MAKE}, quietly", "all: ; @${MAKE} -s -C sub all\n"),
        ("with variables", "all: ; @$(MAKE) -C sub V=$(V)\nV = 'a b'\n"),
        ("by a path", "all: ; @cd sub && $(MAKE)\n"),
        ("from a variable", "M = $(MAKE) -C sub\nall: ; @$(M)\n"),
        ("by name", "all: ; @make -C sub\n"),
        ("by name with +", "all: ; +@make -C sub\n"),
        ("by a script", "all: ; @MAKE='$(MAKE)' sh script\n"),
        ("by an exported variable", "export MAKE\nall: ; @sh script\n"),
        ("with a makefile", "all: ; @$(MAKE) -f sub/other.mk && cat sub/Makefile | $(MAKE) -f -\n"),
        ("in a loop", "all: ; @for d in sub sub; do $(MAKE) -C $$d || exit 1; done\n"),
        ("that fails", "all: ; $(MAKE) -C sub bad\n"),
        ("in a row", "all: a b\na: ; @$(MAKE) -C sub\nb: a ; @$(MAKE) -C sub x\n"),
        ("that remakes makefiles", "all: ; @$(MAKE) -f sub/remade.mk\n"),
    ] {
        let files = &[
            ("Makefile", makefile),
            ("script", "$MAKE -C sub\n"),
            (
                "sub/Makefile",
                "all: x ; @echo $(MAKELEVEL) $(V) '$(MAKEFLAGS)' $(notdir $(CURDIR)) [$(MAKEFILE_LIST)]\nx: ; echo x > $@\nbad: ; exit 3\n",
            ),
            ("sub/other.mk", "all: ; @echo other [$(MAKEFILE_LIST)]\n"),
            (
                "sub/remade.mk",
                "all: ; @echo $(X) $(MAKE_RESTARTS)\ninclude gen.mk\ngen.mk: ; echo X = 1 > $@\n",
            ),
        ];
        for arguments in [&[][..], &["-j1"], &["-n"], &["-k", "-B"], &["-w"], &["V=1"]] {
            let name = format!("{name} {arguments:?}");
            equal.case(&name, Case { files, arguments, ..Case::default() });
        }
    }
    equal.hold();
}
