"""sage-8677: modules installed in parallel, each job checking for its directory and then
creating it. Two installers with the same flaw: a process pool, and `make -j`."""

import shutil
import sys
from pathlib import Path

from harness import NAIVE, ONEWRITER, WRAPPED, Failure, Litmus

HERE = Path(__file__).parent
JOBS = 8
MODULES = 8
PACKAGE = "local/lib/python/site-packages/sage/rings"  # as in the Makefile and setup.py
CLIENT = {"MKDIR_P": "onewriter mkdir -p", "INSTALL": "onewriter install -m 644"}


class Installer(Litmus):
    bug = "sage-8677"
    batch = 50

    def prepare(self):
        for name in ("Makefile", "mkinstalldirs", "setup.py"):
            shutil.copy(HERE / name, self.directory)
        source = self.directory / "src"
        source.mkdir()
        self.modules = {}
        for number in range(MODULES):
            name = f"ring_{number}.py"
            lines = (f"def method_{line}(self): return {number * line}\n" for line in range(100))
            self.modules[name] = "".join(lines).encode()
            (source / name).write_bytes(self.modules[name])

    def play(self, rounds, parallel=True):
        prefix = self.fresh_name("installed")
        done = self.install(JOBS if parallel else 1, rounds, prefix)
        failures = []
        for number in range(1, rounds + 1):
            package = Path(prefix, f"sage{number}", PACKAGE)
            wrong = self.what_is_wrong(self.directory / package)
            if wrong:
                said = done.first_line_naming(f"{prefix}/sage{number}/")
                failures.append(Failure(self.rows[0], number, said or wrong, done.output))
        if done.status != 0 and not failures:
            failures.append(Failure(self.rows[0], 0, done.last_line(), done.output))
        shutil.rmtree(self.directory / prefix)
        return failures

    def what_is_wrong(self, package):
        """Every module there, whole, and nothing else beside them."""
        found = {entry.name for entry in package.iterdir()} if package.is_dir() else set()
        for name in sorted(found ^ self.modules.keys()):
            return f"{package / name} is {'missing' if name in self.modules else 'not a module'}"
        for name, content in self.modules.items():
            if (package / name).read_bytes() != content:
                return f"{package / name} is not whole"
            if self.with_client and (package / name).stat().st_mode & 0o7777 != 0o644:
                return f"{package / name} does not have the mode that was asked for"
        return None


class Pool(Installer):
    name = "pool"
    rows = (f"EEXIST, pool of {JOBS}",)
    what_a_round_is = f"{MODULES} modules installed at once into one new package directory, seven deep"

    def install(self, jobs, rounds, prefix):
        command = [sys.executable, "setup.py", str(jobs), str(rounds), prefix]
        return self.run(command, extra_env=CLIENT if self.with_client else {}, rounds=rounds)


class Make(Installer):
    name = "make"
    modes = (NAIVE, ONEWRITER, WRAPPED)
    rows = (f"EEXIST, make -j{JOBS}",)
    what_a_round_is = f"{MODULES} recipes that install into one new package directory, seven deep"

    def install(self, jobs, rounds, prefix):
        variables = CLIENT if self.with_client else {}
        return self.make(jobs, "--keep-going", "install", rounds=rounds, PREFIX=prefix, ROUNDS=rounds, **variables)


LITMUS_TESTS = (Pool, Make)
