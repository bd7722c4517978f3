"""CPython's jit_stencils.h, of whose rule two bugs are told: cpython-118943 and what its remedy turned it into."""

from pathlib import Path

from harness import FLOCK, MV, PLAIN, WRAPPED
from kinds import Regeneration

FIRST = Path(__file__).parent / "cpython-118943"
OPCODES = 400


class Stencils(Regeneration):
    """With the `build.py` that lies in `here`, which `unique` makes write under a name of its own."""

    jobs = 4
    rounds = {"full": 200, "quick": 5}
    name = "jit"
    what_a_round_is = "one make -j4 of jit.o and regen-all, without jit_stencils.h"

    @staticmethod
    def settings_with(unique):
        return {
            PLAIN: {},
            MV: {"FLAGS": unique},
            FLOCK: {"REGEN_JIT": "flock Makefile python3 -BS build.py"},
            WRAPPED: {},
        }

    def prepare(self):
        self.lay_out(FIRST, "Makefile", "stencils.py", "jit.c")
        self.lay_out(self.here, "build.py")
        opcodes = [f"_OPCODE_{number}" for number in range(OPCODES)] + ["_END"]
        (self.directory / "opcodes").write_text("".join(f"{opcode}\n" for opcode in opcodes))
        self.build_reference()

    def forget(self):
        for name in ("jit.o", "jit_stencils.h", "token.h", "ast.h", "keyword.h"):
            (self.directory / name).unlink(missing_ok=True)
