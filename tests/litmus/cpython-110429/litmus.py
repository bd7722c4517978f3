"""cpython-110429: a temporary file that stands beside its target is found by another recipe."""

from pathlib import Path

from harness import FLOCK, MV, PLAIN, WRAPPED
from kinds import Regeneration

HERE = Path(__file__).parent
MODULES = {"Modules": 50, "Parser": 200}
RULES = 1000


class RegenAll(Regeneration):
    bug = "cpython-110429"
    name = "regen-all"
    goal = "regen-all"
    rows = ("parser.new.c was globbed",)
    what_a_round_is = f"one make -j8 regen-all: a new parser beside a search of {sum(MODULES.values())} C files"
    settings = {
        PLAIN: {},
        MV: {"NEW": "Parser/parser.c.new"},
        FLOCK: {"LOCK": "flock Makefile"},
        WRAPPED: {},
    }

    def prepare(self):
        self.lay_out(HERE, "Makefile", "pegen.py", "update_file.py", "clinic.py")
        for directory in ("Grammar", "Parser", "Modules"):
            (self.directory / directory).mkdir()
        rules = (f"rule_{rule}: NAME '=' rule_{rule + 1} | '(' rule_{rule + 2} ')' | NAME\n" for rule in range(RULES))
        (self.directory / "Grammar" / "python.gram").write_text("".join(rules))
        text = "/*[clinic input]\nmodule\n[clinic start generated code]*/\n" * 1000
        for directory, modules in MODULES.items():
            for module in range(modules):
                (self.directory / directory / f"module_{module}.c").write_text(text)
        self.forget()
        self.build_reference()

    def forget(self):
        (self.directory / "Parser" / "parser.c").write_text("/* the parser of an older grammar */\n")


LITMUS_TESTS = (RegenAll,)
