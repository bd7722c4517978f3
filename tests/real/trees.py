"""What lies in a tree after a build, and how two trees differ.

Equal means: the same names, and under each the same type, mode, content, link, and the same names
of one file. Times are not compared, nor owners.
"""

import hashlib
import os
import stat
from collections import defaultdict
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

PRIVATE = ".onewriter"  # at the root only
AR_MAGIC = b"!<arch>\n"
AR_HEADER = 60
PYC_HEADER = 16


@dataclass(frozen=True)
class Entry:
    kind: str
    mode: int
    content: str  # a digest, or where a symbolic link points
    names: tuple = ()  # all names of a file that has several


@dataclass(frozen=True)
class Difference:
    path: str
    what: str

    def __str__(self):
        return f"{self.path}: {self.what}"


def scan(root):
    """Path below `root` -> Entry."""
    found, names = {}, defaultdict(list)
    for directory, directories, files in os.walk(root):
        if Path(directory) == root and PRIVATE in directories:
            directories.remove(PRIVATE)
        for name in directories + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            below = os.path.relpath(path, root)
            found[below] = path, status
            if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                names[status.st_ino].append(below)
    return {below: entry(path, status, names) for below, (path, status) in found.items()}


def entry(path, status, names):
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return Entry("link", 0, os.readlink(path))
    if stat.S_ISDIR(status.st_mode):
        return Entry("directory", mode, "")
    if not stat.S_ISREG(status.st_mode):
        return Entry(f"special {stat.S_IFMT(status.st_mode):o}", mode, "")
    content = Path(path).read_bytes()
    others = tuple(sorted(names.get(status.st_ino, ())))
    return Entry("file", mode, hashlib.sha256(without_times(path, content)).hexdigest(), others)


def without_times(path, content):
    """A file's content, but for the times of other files that its format holds."""
    if content.startswith(AR_MAGIC):
        return archive_without_times(content)
    if path.endswith(".pyc") and len(content) >= PYC_HEADER and not int.from_bytes(content[4:8], "little"):
        return content[:8] + bytes(4) + content[12:]
    return content


def archive_without_times(content):
    """`ar` notes the time, owner and group of each member, in a header of text."""
    made, at = bytearray(content), len(AR_MAGIC)
    while at + AR_HEADER <= len(made):
        size = int(made[at + 48:at + 58])
        made[at + 16:at + 40] = b" " * 24
        at += AR_HEADER + size + size % 2
    return bytes(made)


def compare(expected, found, excepted=None):
    """The differences between two scans, but for the contents of files that are excepted by pattern."""
    def is_excepted(path):
        return any(fnmatchcase(path, pattern) for pattern in excepted or {})

    differences = []
    for path in sorted(expected.keys() | found.keys()):
        first, second = expected.get(path), found.get(path)
        if first and second and is_excepted(path):
            first = replace(first, content=second.content)
        if first != second:
            differences.append(Difference(path, in_words(first, second)))
    return differences


def in_words(first, second):
    if first is None or second is None:
        return "is there only in the second" if first is None else "is missing in the second"
    if first.kind != second.kind:
        return f"is a {first.kind}, and a {second.kind}"
    if first.mode != second.mode:
        return f"has mode {first.mode:o}, and {second.mode:o}"
    if first.names != second.names:
        return f"has the names {list(first.names)}, and {list(second.names)}"
    if first.kind == "link":
        return f"points to {first.content}, and to {second.content}"
    return "has another content"
