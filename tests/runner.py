"""What the runners of the litmus tests, of the real projects and of other clients share."""

import argparse
import os
import shutil
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


class CannotRun(Exception):
    """Something could not be tried: nothing is said about it."""

    def __init__(self, reason, output=""):
        super().__init__(reason)
        self.output = output


def find_programs():
    """The directory of `onewriter` and `onewriterd`: ONEWRITER_BIN, else the release build, else of PATH."""
    named = os.environ.get("ONEWRITER_BIN")
    built = REPOSITORY / "target" / "release"
    on_path = shutil.which("onewriter")
    if named:
        directory = Path(named).resolve()
    elif (built / "onewriter").exists():
        directory = built
    elif on_path:
        directory = Path(on_path).parent
    else:
        raise CannotRun("no onewriter in target/release or on PATH: run `cargo build --release`, "
                        "or set ONEWRITER_BIN to the directory that holds it")
    for program in ("onewriter", "onewriterd"):
        if not os.access(directory / program, os.X_OK):
            raise CannotRun(f"{directory / program} is not there, or is not a program")
    return directory


def progress(message):
    if sys.stderr.isatty():
        print(f"\r\033[K{message}", end="", file=sys.stderr, flush=True)


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one")
    return number
