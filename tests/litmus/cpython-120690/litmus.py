"""cpython-120690: two writers of one file share the name of its temporary file."""

from pathlib import Path

from harness import FLOCK, MV, PLAIN, WRAPPED
from kinds import Regeneration

HERE = Path(__file__).parent
OPCODES = 400


class Stencils(Regeneration):
    jobs = 4
    rounds = {"full": 200, "quick": 5}
    bug = "cpython-120690"
    name = "jit"
    rows = ("jit_stencils.h.new is gone",)
    what_a_round_is = "one make -j4 of jit.o and regen-all, without jit_stencils.h"
    settings = {
        PLAIN: {},
        MV: {"FLAGS": "--unique"},
        FLOCK: {"REGEN_JIT": "flock Makefile python3 -S build.py"},
        WRAPPED: {},
    }

    def prepare(self):
        self.lay_out(HERE, "Makefile", "build.py", "jit.c")
        opcodes = [f"_OPCODE_{number}" for number in range(OPCODES)] + ["_END"]
        (self.directory / "opcodes").write_text("".join(f"{opcode}\n" for opcode in opcodes))
        self.build_reference()

    def forget(self):
        for name in ("jit.o", "jit_stencils.h", "token.h", "ast.h", "keyword.h"):
            (self.directory / name).unlink(missing_ok=True)


LITMUS_TESTS = (Stencils,)
