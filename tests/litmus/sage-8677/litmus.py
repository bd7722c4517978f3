"""sage-8677: modules installed in parallel, each job checking for its directory and then
creating it. Two installers with the same flaw: a process pool, and `make -j`."""

from pathlib import Path

from harness import CLIENT, FLOCK, INSTALL, MKDIR, PLAIN, WRAPPED
from kinds import Installation

HERE = Path(__file__).parent
JOBS = 8
MODULES = 8
PACKAGE = "local/lib/python/site-packages/sage/rings"  # as in the Makefile and setup.py
WITH_CLIENT = {"MKDIR_P": "onewriter mkdir -p", "INSTALL": "onewriter install -m 644"}


class Installer(Installation):
    bug = "sage-8677"
    jobs = JOBS
    prefix_variable = "PREFIX"

    def prepare(self):
        self.lay_out(HERE, "Makefile", "mkinstalldirs", "setup.py")
        source = self.directory / "src"
        source.mkdir()
        self.installed = {}
        for number in range(MODULES):
            name = f"ring_{number}.py"
            lines = (f"def method_{line}(self): return {number * line}\n" for line in range(100))
            (source / name).write_text("".join(lines))
            self.installed[f"{PACKAGE}/{name}"] = (source / name).read_bytes()

    def place(self, prefix, number):
        return f"{prefix}/sage{number}"

    def what_is_wrong(self, place):
        """Every module there, whole, and nothing else beside them."""
        modules = (place / name for name in self.installed)
        if wrong := super().what_is_wrong(place):
            return wrong
        if self.mode == CLIENT and any(module.stat().st_mode & 0o7777 != 0o644 for module in modules):
            return "a module does not have the mode that was asked for"
        return None


class Pool(Installer):
    name = "pool"
    rows = (f"EEXIST, pool of {JOBS}",)
    what_a_round_is = f"one command installs {MODULES} modules at once into one new package directory, seven deep"
    settings = {PLAIN: {}, MKDIR: {"MKDIR_P": "mkdir -p"}, CLIENT: WITH_CLIENT, WRAPPED: {}}
    limits = {WRAPPED: "the race is inside one single command, which is one transaction and stays as it is; "
                       "where that command calls the client, it is gone"}

    @property
    def batch(self):
        """A command that fails takes all with it that it has done: one round for each, then."""
        return 1 if self.mode == WRAPPED else Installer.batch

    def install(self, jobs, rounds, prefix):
        return self.make(1, "pool", rounds=rounds, JOBS=jobs, ROUNDS=rounds, PREFIX=prefix)


class Make(Installer):
    name = "make"
    rows = (f"EEXIST, make -j{JOBS}",)
    what_a_round_is = f"{MODULES} recipes that install into one new package directory, seven deep"
    settings = {
        PLAIN: {},
        MKDIR: {"MKDIR_P": "mkdir -p"},
        INSTALL: {"MKDIR_P": ":", "INSTALL": "install -D -m 644"},
        FLOCK: {"MKDIR_P": "flock Makefile ./mkinstalldirs"},
        CLIENT: WITH_CLIENT,
        WRAPPED: {},
    }


LITMUS_TESTS = (Pool, Make)
