"""uutils-12355: many `install -D` at once into one new directory, some of which lose their file."""

from pathlib import Path

from harness import CLIENT, FLOCK, INSTALL, MKDIR, PLAIN, WRAPPED
from kinds import Installation

HERE = Path(__file__).parent
FILES = 32


class InstallD(Installation):
    bug = "uutils-12355"
    name = "install-D"
    rows = ("install -D lost a file",)
    what_a_round_is = f"{FILES} recipes of `install -D`, all into one new directory"
    jobs = FILES
    batch = 10
    rounds = {"full": 200, "quick": 5}
    settings = {
        PLAIN: {},
        MKDIR: {"MKDIR_P": "mkdir -p"},
        INSTALL: {"INSTALL": "install -D"},
        FLOCK: {"INSTALL": "flock Makefile ./uuinstall -D"},
        CLIENT: {"INSTALL": "onewriter install -D"},
        WRAPPED: {},
    }

    def prepare(self):
        self.lay_out(HERE, "Makefile", "uuinstall.c")
        content = b"installed\n" * 100
        (self.directory / "s").write_bytes(content)
        self.installed = {f"q/f{number}": content for number in range(1, FILES + 1)}
        self.make(1, "uuinstall")


LITMUS_TESTS = (InstallD,)
