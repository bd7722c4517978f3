"""cpython-42398: a generator rewrites every header while other jobs compile them."""

import shutil
from pathlib import Path

from harness import NAIVE, ONEWRITER, WRAPPED, CannotRun, Failure, Litmus

HERE = Path(__file__).parent
JOBS = 8
MODULES = ("_codecs", "_functools", "_weakref", "posixmodule")
TORN, REBUILT = "half-written header", "unchanged, yet rebuilt"
CLIENT = {"PUBLISH": "onewriter publish"}


class RegenAll(Litmus):
    bug = "cpython-42398"
    name = "regen-all"
    modes = (NAIVE, ONEWRITER, WRAPPED)
    rows = (TORN, REBUILT)
    what_a_round_is = f"one make -j{JOBS} regen-all: {len(MODULES)} headers rewritten beside {len(MODULES)} gcc jobs"
    batch = 10

    def prepare(self):
        """Lays the modules out and builds them once with nothing running beside it: what
        every later build must reproduce to the byte."""
        for name in ("Makefile", "argclinic.c"):
            shutil.copy(HERE / name, self.directory)
        (self.directory / "Modules" / "clinic").mkdir(parents=True)
        template = (HERE / "module.c").read_text()
        for module in MODULES:
            (self.directory / "Modules" / f"{module}.c").write_text(template.replace("MODULE", module))

        self.headers = [self.directory / "Modules" / "clinic" / f"{module}.c.h" for module in MODULES]
        self.objects = [self.directory / "Modules" / f"{module}.o" for module in MODULES]
        for target in ("clinic", "regen-importlib"):
            done = self.make(1, target)
            if done.status != 0:
                raise CannotRun(f"make {target} fails on its own", done.output)
        self.reference = {path: path.read_bytes() for path in self.headers + self.objects}
        self.everything = self.listing()

    def play(self, rounds, parallel=True):
        failures = []
        for number in range(1, rounds + 1):
            failures += filter(None, (self.play_torn(number, parallel), self.play_rebuilt(number)))
        return failures

    def play_torn(self, number, parallel):
        """Compiles everything while the headers are rewritten with what they held before."""
        for path in self.objects:
            path.unlink(missing_ok=True)
        done = self.make(JOBS if parallel else 1, "regen-all", **self.variables)
        if done.status != 0:
            message = done.first_line_naming("error") or done.last_line()
            return Failure(TORN, number, message, done.output)
        for path, content in self.reference.items():
            if path.read_bytes() != content:
                return Failure(TORN, number, f"make succeeded, but {path.name} is not what it should be", done.output)
        for path in self.listing() ^ self.everything:
            return Failure(TORN, number, f"{path} was left behind, or is gone", done.output)
        return None

    def play_rebuilt(self, number):
        """Rewrites the headers beside nothing, then asks make whether all is up to date."""
        self.make(JOBS, "regen-importlib")
        before = [identity(path) for path in self.headers]
        done = self.make(1, "clinic", **self.variables)
        if done.status != 0:
            return Failure(REBUILT, number, done.last_line(), done.output)
        if self.make(1, "--question", "regen-importlib").status != 0:
            return Failure(REBUILT, number, "the headers say what they said, and make would compile again", done.output)
        for path, was in zip(self.headers, before):
            if identity(path) != was:
                return Failure(REBUILT, number, f"{path.name} has another inode or mtime with the same content", done.output)
        return None

    def listing(self):
        return {str(path.relative_to(self.directory)) for path in (self.directory / "Modules").rglob("*")}

    @property
    def variables(self):
        return CLIENT if self.with_client else {}


def identity(path):
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


LITMUS_TESTS = (RegenAll,)
