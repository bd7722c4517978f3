"""A project built in two ways from one state, at one path."""

import json
import os
import resource
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from debian import unpack
from projects import Make, Repeat
from runner import CannotRun
from trees import PRIVATE, Difference, compare, scan

PLAIN, WRAPPED, CONTROL = "make", "onewriter make", "make again"

# Of the caller's environment, what would turn a build into another one.
NOT_INHERITED = ("MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "MAKEFILES", "MAKELEVEL", "DESTDIR", "CFLAGS", "LDFLAGS")

# What `__DATE__` and its like say: so long as nothing says another time, a compiler takes this.
EPOCH = "1700000000"
DEADLINE = 3600  # seconds for one run of make
STOP_DEADLINE = 60
LAST_LINES = 30  # of what a command said
SUMS = ("recipes", "changed", "reruns", "races_avoided", "conflicts")


class Failed(Exception):
    """A build did not succeed."""

    def __init__(self, reason, output):
        super().__init__(reason)
        self.output = output

    def __str__(self):
        last = self.output.splitlines()[-LAST_LINES:]
        return "\n".join([super().__str__(), *(f"  | {line}" for line in last)])


@dataclass
class Built:
    """What became of one build."""

    jobs: int
    seconds: float = 0.0
    processor: float = 0.0  # seconds of it that were worked, the daemon's with them
    sums: dict = field(default_factory=lambda: dict.fromkeys(SUMS, 0))
    tree: dict = field(default_factory=dict)
    undone: set = field(default_factory=set)  # what make would do if it were run again
    repeats: int = 0
    failures: list = field(default_factory=list)  # Failed repeats
    strays: list = field(default_factory=list)  # Differences that a repeat has left


class Site:
    """The place where one project is built."""

    def __init__(self, project, directory, client, jobs):
        self.project = project
        self.directory = directory
        self.here = directory / "tree"
        self.state = directory / "state"
        self.client = client
        self.jobs = jobs
        self.env = {name: value for name, value in os.environ.items()
                    if name not in NOT_INHERITED and not name.startswith("ONEWRITER")}
        self.env.update(LC_ALL="C.UTF-8", SOURCE_DATE_EPOCH=EPOCH)

    def prepare(self, dsc):
        unpack(dsc, self.here)
        for command in self.project.prepare:
            status, output = self.call([word.format(here=self.here) for word in command])
            if status:
                raise CannotRun(f"{self.project.name}: '{' '.join(command)}' failed ({status})", output)
        self.here.rename(self.state)

    def build(self, way, jobs=None):
        """One build from the prepared state; its tree stays at a path of its own."""
        aside = self.directory / way.replace(" ", "-")
        shutil.rmtree(aside, ignore_errors=True)
        # Times to the nanosecond, links as links: what make sees is the same each time.
        subprocess.run(["cp", "-a", str(self.state), str(self.here)], check=True)
        os.sync()
        built = Built(jobs or self.jobs)
        try:
            for step in self.project.steps:
                self.step(step, way, built)
            built.tree = scan(self.here)
            built.undone = self.question()
        finally:
            if way == WRAPPED:
                self.call([self.client / "onewriter", "stop"], STOP_DEADLINE)
            self.here.rename(aside)
        return built

    def step(self, step, way, built):
        if isinstance(step, Make):
            begun, worked = time.monotonic(), self.worked(way)
            status, output = self.make(way, step.arguments, step.jobs or built.jobs)
            built.seconds += time.monotonic() - begun
            built.processor += self.worked(way) - worked
            check(status, output, way, step)
            self.add_report(way, built)
        elif isinstance(step, Repeat):
            self.repeat(step, way, built)

    def repeat(self, step, way, built):
        status, output = self.make(way, step.arguments, 1)
        check(status, output, f"{way} -j1", step)
        expected = scan(self.here)
        for _ in range(step.rounds):
            built.repeats += 1
            status, output = self.make(way, step.arguments, built.jobs)
            try:
                check(status, output, way, step)
            except Failed as reason:
                built.failures.append(reason)
            built.strays += compare(expected, scan(self.here), self.project.excepted)
            self.add_report(way, built)

    def make(self, way, arguments, jobs):
        program = [self.client / "onewriter", "make"] if way == WRAPPED else ["make"]
        return self.call([*program, f"-j{jobs}", *(word.format(here=self.here) for word in arguments)])

    def question(self):
        """The lines that make prints of what it would do now: it judges by times."""
        arguments = next(step.arguments for step in self.project.steps if isinstance(step, Make))
        _, output = self.make(PLAIN, ("-n", *arguments), 1)
        return set(output.splitlines())

    def add_report(self, way, built):
        if way != WRAPPED:
            return
        status, output = self.call([self.client / "onewriter", "report", "--json"])
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        sums = next((line for line in lines if line["type"] == "summary"), None)
        if status or not sums:
            raise Failed(f"'onewriter report' failed ({status})", output)
        for name in SUMS:
            built.sums[name] += int(sums[name])

    def worked(self, way):
        """Processor time of all commands that have ended, and of the daemon, in seconds."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = children.ru_utime + children.ru_stime
        if way == WRAPPED and (self.here / PRIVATE).is_dir():
            _, output = self.call([self.client / "onewriter", "status", "--json"])
            state = json.loads(output) if output.startswith("{") else {}
            seconds += processor_time(state["pid"]) if state.get("running") else 0
        return seconds

    def call(self, command, deadline=DEADLINE):
        """Exit status, and all output. Who outlives the deadline goes with all that it has started."""
        log = self.directory / "log"
        with log.open("wb") as output:
            running = subprocess.Popen([str(word) for word in command], cwd=self.here, env=self.env,
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                       start_new_session=True)
            try:
                status = running.wait(deadline)
            except BaseException as reason:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
                if not isinstance(reason, subprocess.TimeoutExpired):
                    raise
                status = f"not done after {deadline} s"
        return status, log.read_text(errors="replace")


def processor_time(pid):
    """Of a process that runs, in seconds."""
    fields = Path("/proc", str(pid), "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check(status, output, way, step):
    if status:
        raise Failed(f"'{' '.join([way, *step.arguments])}' failed ({status})", output)


def differences(first, second, excepted):
    """In what the trees of two builds differ, and what make would do in them."""
    found = compare(first.tree, second.tree, excepted)
    for line in sorted(first.undone ^ second.undone):
        which = "first" if line in first.undone else "second"
        found.append(Difference("make -n", f"would do only in the {which}: {line[:200]}"))
    return found
