"""Debian's source packages: downloaded, checked and unpacked with Debian's own tools.

apt is given a configuration of our own, so that neither the machine's lists nor its sources change,
and nobody needs to be root.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from runner import CannotRun

# A release that is too old for the first is kept in the second.
MIRRORS = ("http://deb.debian.org/debian", "http://archive.debian.org/debian")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = {"apt-get": "apt", "dpkg-source": "dpkg-dev", "make": "make", "gcc": "gcc"}


def missing_packages(projects):
    """What has to be installed before `projects` can be built."""
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    needed = [need for project in projects for need in project.needs]
    for need in dict.fromkeys(needed):
        alternatives = need.split("|")
        if not any(is_installed(package) for package in alternatives):
            missing.append(alternatives[0])
    return missing


def is_installed(package):
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"


def install(packages):
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    call(["apt-get", "install", "--yes", "--no-install-recommends", *packages], "cannot install packages",
         env=environment)


def source(project, cache):
    """The .dsc of a package, downloaded if it is not in the cache."""
    directory = cache / project.release / project.source
    found = sorted(directory.glob("*.dsc"))
    if not found:
        download(project, directory)
        found = sorted(directory.glob("*.dsc"))
    return found[-1]


def version(dsc):
    """Without the epoch: it is not in the name."""
    return dsc.stem.split("_", 1)[1]


def download(project, directory):
    directory.parent.mkdir(parents=True, exist_ok=True)
    errors = []
    for mirror in MIRRORS:
        # Complete, or not there.
        with tempfile.TemporaryDirectory(dir=directory.parent) as temporary:
            place = Path(temporary, "files")
            place.mkdir()
            try:
                options = configuration(Path(temporary), mirror, project.release)
                call(["apt-get", *options, "-qq", "update"], f"no sources of {project.release} at {mirror}")
                call(["apt-get", *options, "-qq", "source", "--download-only", "--only-source", project.source],
                     f"{project.source} of {project.release} is not at {mirror}", cwd=place)
                place.rename(directory)
                return
            except CannotRun as reason:
                errors.append(f"{reason}: {reason.output.strip()}")
    raise CannotRun(f"cannot download {project.source}", "\n".join(errors) + "\n")


def configuration(temporary, mirror, release):
    """Options for apt-get with which all that it knows lies in `temporary`."""
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    sources = temporary / "sources.list"
    sources.write_text(f"deb-src {signed}{mirror} {release} main\n")
    for directory in ("lists/partial", "cache/archives/partial"):
        (temporary / directory).mkdir(parents=True)
    (temporary / "status").touch()
    settings = {
        "Dir::State": temporary,
        "Dir::State::lists": temporary / "lists",
        "Dir::State::status": temporary / "status",
        "Dir::Cache": temporary / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Acquire::Check-Valid-Until": "false",  # of a release that gets no updates any more
        "APT::Sandbox::User": "",  # who could not write to the temporary directory
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def unpack(dsc, directory):
    """Unpacks a package, with Debian's patches, at `directory`, which is not there yet."""
    call(["dpkg-source", "--extract", str(dsc), str(directory)], f"cannot unpack {dsc.name}",
         cwd=directory.parent)


def call(command, complaint, **how):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          text=True, errors="replace", check=False, **how)
    if done.returncode:
        raise CannotRun(complaint, done.stdout)
