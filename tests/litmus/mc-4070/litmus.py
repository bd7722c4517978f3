"""mc-4070: two rules of one `make install` install the same file to the same place."""

from pathlib import Path

from harness import CLIENT, FLOCK, INSTALL, PLAIN, WRAPPED
from kinds import Installation

HERE = Path(__file__).parent
FILES = ("mc.lib", "mc.charsets")


class InstallTwice(Installation):
    bug = "mc-4070"
    name = "install"
    rows = ("mc.lib: File exists",)
    what_a_round_is = "2 recipes that install mc.lib into one new directory, with GNU install"
    settings = {
        PLAIN: {},
        INSTALL: {"INSTALL": "install -C"},
        FLOCK: {"INSTALL": "flock Makefile install -c"},
        CLIENT: {"INSTALL": "onewriter install"},
        WRAPPED: {},
    }

    def prepare(self):
        self.lay_out(HERE, "Makefile")
        contents = {name: f"{name}\n".encode() * 1000 for name in FILES}
        for name, content in contents.items():
            (self.directory / name).write_bytes(content)
        self.installed = {f"usr/share/mc/{name}": content for name, content in contents.items()}


LITMUS_TESTS = (InstallTwice,)
