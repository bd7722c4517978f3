"""ocaml-4991: two compilers write one interface, while others read it."""

from pathlib import Path

from harness import FLOCK, PLAIN, WRAPPED
from kinds import Regeneration

HERE = Path(__file__).parent
USERS = 8


class ByteAndOpt(Regeneration):
    bug = "ocaml-4991"
    name = "byte-opt"
    rows = ("corrupted base.cmi",)
    what_a_round_is = f"one make -j8 of base and {USERS} modules that open it, to .cmo and to .cmx"
    settings = {
        PLAIN: {},
        FLOCK: {"OCAMLC": "flock Makefile ./ocamlc", "OCAMLOPT": "flock Makefile ./ocamlopt"},
        WRAPPED: {},
    }

    def prepare(self):
        self.lay_out(HERE, "Makefile", "ocaml.c")
        (self.directory / "base.ml").write_text("let x = 1\n")
        for user in range(USERS):
            (self.directory / f"user{user}.ml").write_text("open base\n")
        self.build_reference()

    def forget(self):
        for path in self.directory.glob("*.cm?"):
            path.unlink()


LITMUS_TESTS = (ByteAndOpt,)
