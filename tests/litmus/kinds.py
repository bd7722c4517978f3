"""The two shapes of litmus tests: many installations in one run of make, and one build a round.

Both compare whole trees: a file that is missing, a file that is not whole and one that nobody asked
for are failures alike, whatever make said.
"""

import os
import shutil
from pathlib import Path

from harness import PLAIN, Failure, Litmus
from runner import CannotRun


class Installation(Litmus):
    """One run of make installs many rounds, side by side, each into a place of its own.

    installed        what a round has to come to: path -> content, None for a directory
    """

    batch = 50
    jobs = 8
    prefix_variable = "DESTDIR"

    def play(self, rounds, parallel=True):
        prefix = self.fresh_name("installed")
        done = self.install(self.jobs if parallel else 1, rounds, prefix)
        failures = []
        for number in range(1, rounds + 1):
            place = self.place(prefix, number)
            said = done.complaint(naming=f"{place}/")
            wrong = self.what_is_wrong(self.directory / place)
            if said or wrong:
                failures.append(Failure(self.rows[0], number, said or f"{place}: {wrong}", done.output))
        if done.status != 0 and not failures:
            failures.append(Failure(self.rows[0], 0, done.last_line(), done.output))
        shutil.rmtree(self.directory / prefix, ignore_errors=True)
        return failures

    def install(self, jobs, rounds, prefix):
        variables = {self.prefix_variable: prefix, "ROUNDS": rounds}
        return self.make(jobs, "--keep-going", "install", rounds=rounds, **variables)

    def place(self, prefix, number):
        return f"{prefix}/{number}"

    def what_is_wrong(self, place):
        return difference(with_parents(self.installed), tree(place))


class Regeneration(Litmus):
    """Each round is one make in a tree that was built before, from which `forget` has removed
    what is to be built again. What plain make builds with one job is what all have to build.

    goal             what is made
    forget()         makes make build again
    """

    batch = 10
    rounds = {"full": 200, "quick": 10}
    jobs = 8
    goal = "all"

    def build_reference(self):
        """To be called at the end of `prepare`."""
        done = self.make(1, self.goal, mode=PLAIN)
        if done.status != 0:
            raise CannotRun(f"make {self.goal} fails on its own", done.output)
        self.built = self.tree()

    def play(self, rounds, parallel=True):
        return [failure for number in range(1, rounds + 1) for failure in self.play_one(number, parallel)]

    def play_one(self, number, parallel):
        self.forget()
        done = self.make(self.jobs if parallel else 1, self.goal)
        wrong = difference(self.built, self.tree())
        if done.status == 0 and not wrong:
            return []
        self.restore()
        message = done.complaint() or done.last_line() if done.status != 0 else f"make succeeded, but {wrong}"
        return [Failure(self.rows[0], number, message, done.output)]

    def restore(self):
        """As it was built: the next round has nothing of what went wrong in this one."""
        found = self.tree()
        for name in found.keys() - self.built.keys():
            (self.directory / name).unlink()
        for name, content in self.built.items():
            if found.get(name) != content:
                (self.directory / name).write_bytes(content)

    def tree(self):
        return tree(self.directory)


def tree(directory):
    """Path -> content of all files below, None for a directory. What is onewriter's own is left out."""
    found = {}
    for place, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if name != ".onewriter"]
        inside = Path(place).relative_to(directory)
        found |= {str(inside / name): None for name in directories}
        found |= {str(inside / name): (Path(place) / name).read_bytes() for name in files}
    return found


def with_parents(files):
    whole = {}
    for name, content in files.items():
        parts = name.split("/")
        whole |= {"/".join(parts[:length]): None for length in range(1, len(parts))} | {name: content}
    return whole


def difference(wanted, found):
    """What one tree has that the other has not, or None."""
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            return f"{name} is missing"
        if name not in wanted:
            return f"{name} is left over"
        if wanted[name] != found[name]:
            return f"{name} is not what it should be"
    return None
