"""What the litmus tests share: a fresh tree for each, and commands with a deadline.

A litmus test plays rounds. The same Makefile runs in several modes, a column of the matrix each: as
the project had it under plain `make -jN`; with what somebody would reach for today, put in by
variables of make; with the client put in the same way; and, as the project had it, under `onewriter
make`. In each the test judges what lies on the disk afterwards, and the exit status. `kinds.py` has
the two shapes that most tests have.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from runner import CannotRun

PLAIN, WRAPPED = "make -jN", "onewriter make"
MKDIR, INSTALL, MV, FLOCK = TODAY = "mkdir -p", "install", "mv", "flock"
CLIENT = "client"
MODES = (PLAIN, *TODAY, CLIENT, WRAPPED)
WITH_ONEWRITER = (CLIENT, WRAPPED)

# Of the caller's environment, what would turn a test into another one: an outer make's
# job server and flags, variables that the tests set themselves, another root or server.
NOT_INHERITED = (
    "MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "MAKEFILES", "MAKELEVEL",
    "MKDIR_P", "INSTALL", "PUBLISH",
    "ONEWRITER_ROOT", "ONEWRITER_SERVER", "ONEWRITER_ON_CONFLICT", "ONEWRITER_KEEP", "ONEWRITER_UNWRAPPED",
)

SOUNDS_WRONG = re.compile(r"error|cannot|exists|no such", re.IGNORECASE)
STOP_DEADLINE = 20  # seconds for a daemon to be gone after `onewriter stop`


class Hung(Exception):
    """A command, or the pipe to it, outlived its deadline."""

    def __init__(self, reason, output):
        super().__init__(reason)
        self.output = output


@dataclass(frozen=True)
class Failure:
    row: str
    round: int  # counted from 1 within a batch; 0 where it cannot be told
    message: str
    output: str


@dataclass(frozen=True)
class Finished:
    status: int
    output: str

    def complaint(self, naming=""):
        """The first line that sounds like an error and has `naming` in it, make's own remarks aside."""
        for line in self.output.splitlines():
            if naming in line and "***" not in line and SOUNDS_WRONG.search(line):
                return line
        return None

    def last_line(self):
        lines = self.output.strip().splitlines()
        return f"{lines[-1] if lines else 'no output'} (exit status {self.status})"


class Litmus:
    """One way to run into one bug. A subclass says:

    bug, name        what it is called on the command line
    rows             its symptoms, a row of the table each; the first one is the race itself
    what_a_round_is  one line
    settings         the modes in which it can be played, and for each the variables of make
                     that put its tools in place
    limits           modes that cannot cover it, and why
    batch            how many rounds one call of `play` takes
    rounds           how many are played with onewriter in a full run, and in a quick one
    prepare()        lays out the files
    play(rounds, parallel) -> [Failure]

    `client` is the directory of the programs under test, or None.
    """

    settings = {PLAIN: {}, WRAPPED: {}}
    limits = {}
    rounds = {"full": 1000, "quick": 10}

    def __init__(self, directory, client=None, mode=PLAIN):
        self.directory = directory
        self.client = client
        self.mode = mode
        self.env = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        self.env["LC_ALL"] = "C.UTF-8"  # messages are read
        self.names_used = 0
        if client:
            self.env["PATH"] = f"{client}{os.pathsep}{self.env.get('PATH', os.defpath)}"

    def __enter__(self):
        if self.client:
            done = self.run(["onewriter", "init", "."])
            if done.status != 0:
                raise CannotRun(f"onewriter init: {done.last_line()}", done.output)
        self.prepare()
        return self

    def __exit__(self, in_flight, *_):
        """Stops the daemon. Nothing outlives the test, or the test has failed."""
        if not self.client:
            return
        try:
            done = self.run(["onewriter", "--root", str(self.directory), "stop"])
        finally:
            left = wait_until_unused(self.directory, STOP_DEADLINE)
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        if left and not in_flight:
            raise Hung(f"{len(left)} process(es) still there {STOP_DEADLINE} s after `onewriter stop`", done.output)

    def lay_out(self, here, *names):
        for name in names:
            shutil.copy(here / name, self.directory)

    def fresh_name(self, stem):
        self.names_used += 1
        return f"{stem}-{self.names_used}"

    def make(self, jobs, *arguments, rounds=1, mode=None, **variables):
        """Make, as this mode has it and with the variables that this mode sets."""
        mode = mode or self.mode
        settings = [f"{name}={value}" for name, value in (self.settings[mode] | variables).items()]
        make = ["onewriter", "make", "--quiet", "--unchanged", "keep"] if mode == WRAPPED else ["make"]
        return self.run([*make, f"-j{jobs}", *arguments, *settings], rounds=rounds)

    def run(self, command, extra_env=None, rounds=1):
        """Runs a command to its end, and to the end of its output: a daemon that kept the
        pipe would show here."""
        deadline = 60 + 2 * rounds
        process = subprocess.Popen(
            command, cwd=self.directory, env=self.env | (extra_env or {}), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
        try:
            output, _ = process.communicate(timeout=deadline)
            return Finished(process.returncode, output)
        except subprocess.TimeoutExpired as expired:
            ended = process.poll() is not None
            what = "has ended, but something holds its output open" if ended else "has not ended"
            raise Hung(f"`{' '.join(command)}` {what} after {deadline} s", text_of(expired.output)) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            process.stdout.close()


def fresh_directory():
    return tempfile.TemporaryDirectory(prefix="onewriter-litmus-", ignore_cleanup_errors=True)


def wait_until_unused(directory, seconds):
    """Waits for the processes that use `directory` to end; returns those that did not."""
    deadline = time.monotonic() + seconds
    while (left := processes_using(directory)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def processes_using(directory):
    """Ids of this user's processes that work in `directory`, hold a file below it open, or
    were told of it on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        try:
            places = [os.readlink(link) for link in (process / "cwd", *(process / "fd").iterdir())]
            told = os.fsencode(directory) in (process / "cmdline").read_bytes()
            if told or any(Path(place).is_relative_to(directory) for place in places):
                found.append(int(process.name))
        except OSError:
            continue  # gone, or somebody else's
    return found


def text_of(output):
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
