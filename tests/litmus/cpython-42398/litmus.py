"""cpython-42398: a generator rewrites every header while other jobs compile them."""

from pathlib import Path

from harness import CLIENT, FLOCK, INSTALL, MV, PLAIN, WRAPPED, Failure
from kinds import Regeneration

HERE = Path(__file__).parent
MODULES = ("_codecs", "_functools", "_weakref", "posixmodule")
TORN, REBUILT = "half-written header", "unchanged, yet rebuilt"


class RegenAll(Regeneration):
    bug = "cpython-42398"
    name = "regen-all"
    goal = "regen-all"
    rounds = {"full": 1000, "quick": 10}
    rows = (TORN, REBUILT)
    what_a_round_is = f"one make -j8 regen-all: {len(MODULES)} headers rewritten beside {len(MODULES)} gcc jobs"
    settings = {
        PLAIN: {},
        INSTALL: {"PUBLISH": "./install-C"},
        MV: {"PUBLISH": "./write-and-mv"},
        FLOCK: {"PUBLISH": "flock Makefile cp /dev/stdin", "CC": "flock -s Makefile gcc"},
        CLIENT: {"PUBLISH": "onewriter publish"},
        WRAPPED: {},
    }

    def prepare(self):
        self.lay_out(HERE, "Makefile", "argclinic.c", "install-C", "write-and-mv")
        (self.directory / "Modules" / "clinic").mkdir(parents=True)
        template = (HERE / "module.c").read_text()
        for module in MODULES:
            (self.directory / "Modules" / f"{module}.c").write_text(template.replace("MODULE", module))
        self.headers = [self.directory / "Modules" / "clinic" / f"{module}.c.h" for module in MODULES]
        self.build_reference()

    def forget(self):
        """Compiles everything while the headers are rewritten with what they held before."""
        for module in MODULES:
            (self.directory / "Modules" / f"{module}.o").unlink(missing_ok=True)

    def play_one(self, number, parallel):
        return super().play_one(number, parallel) + self.play_rebuilt(number)

    def play_rebuilt(self, number):
        """Rewrites the headers beside nothing, then asks make whether all is up to date."""
        self.make(self.jobs, "regen-importlib")
        before = [identity(path) for path in self.headers]
        done = self.make(1, "clinic")
        if done.status != 0:
            return [Failure(REBUILT, number, done.last_line(), done.output)]
        if self.make(1, "--question", "regen-importlib").status != 0:
            message = "the headers say what they said, and make would compile again"
            return [Failure(REBUILT, number, message, done.output)]
        for path, was in zip(self.headers, before):
            if identity(path) != was:
                message = f"{path.name} has another inode or mtime with the same content"
                return [Failure(REBUILT, number, message, done.output)]
        return []


def identity(path):
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


LITMUS_TESTS = (RegenAll,)
