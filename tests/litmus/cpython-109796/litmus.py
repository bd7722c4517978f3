"""cpython-109796: five targets of `make install` make one directory, with an install that looks first."""

from pathlib import Path

from harness import CLIENT, INSTALL, MKDIR, PLAIN, WRAPPED
from kinds import Installation

HERE = Path(__file__).parent
LIB = "tools/host/lib/python3.12"
INSTALLED = {
    "tools/host/bin/python3.12": "python",
    f"{LIB}/lib-dynload/_ssl.so": "_ssl.so",
    f"{LIB}/os.py": "os.py",
    f"{LIB}/config-3.12/libpython.a": "libpython.a",
    "tools/host/include/python3.12/Python.h": "Python.h",
}


class Install(Installation):
    bug = "cpython-109796"
    name = "install"
    rows = ("lib/python3.12: File exists",)
    what_a_round_is = "the 5 targets of one `make install`, into a new prefix"
    rounds = {"full": 200, "quick": 10}
    settings = {
        PLAIN: {},
        MKDIR: {"INSTALL_DIRECTORY": "mkdir -p"},
        INSTALL: {"INSTALL": "install"},
        CLIENT: {"INSTALL": "onewriter install"},
        WRAPPED: {},
    }

    def prepare(self):
        self.lay_out(HERE, "Makefile", "bsdinstall.c")
        (self.directory / "src").mkdir()
        self.installed = {f"{LIB}/asyncio": None, f"{LIB}/email": None}
        for path, name in INSTALLED.items():
            content = f"{name}\n".encode() * 500
            (self.directory / "src" / name).write_bytes(content)
            self.installed[path] = content
        self.make(1, "bsdinstall")


LITMUS_TESTS = (Install,)
