#!/usr/bin/env python3
"""Installs modules from a process pool, each into a deep package directory.

    setup.py JOBS ROUNDS PREFIX

A round is one package directory that does not exist yet and all modules of
src/ installed into it at once, as Sage's setup.py did for its packages. With
MKDIR_P and INSTALL in the environment, those programs do the writing.
"""

import multiprocessing
import os
import shlex
import shutil
import subprocess
import sys

# Where one round installs: a new Sage of its own, seven directories deep.
PACKAGE = "{prefix}/sage{number}/local/lib/python/site-packages/sage/rings"

MKDIR_P = shlex.split(os.environ.get("MKDIR_P", ""))
INSTALL = shlex.split(os.environ.get("INSTALL", ""))


def make_directory(directory):
    if MKDIR_P:
        subprocess.run([*MKDIR_P, directory], check=True)
    elif not os.path.exists(directory):
        os.makedirs(directory)


def copy(source, target):
    if INSTALL:
        subprocess.run([*INSTALL, source, target], check=True)
    else:
        shutil.copyfile(source, target)


def install(job):
    source, target = job
    make_directory(os.path.dirname(target))
    copy(source, target)


def install_package(pool, package, modules):
    """Returns what went wrong, if anything. Sage stopped at the first error; here the
    other modules are waited for, so that one round never runs into the next."""
    jobs = [(f"src/{module}", f"{package}/{module}") for module in modules]
    results = pool.imap(install, jobs)
    errors = []
    for _ in jobs:
        try:
            next(results)
        except (OSError, subprocess.SubprocessError) as error:
            errors.append(f"{type(error).__name__}: {error}")
    return errors


def main(jobs, rounds, prefix):
    modules = sorted(os.listdir("src"))
    errors = []
    with multiprocessing.Pool(int(jobs)) as pool:
        for number in range(1, int(rounds) + 1):
            errors += install_package(pool, PACKAGE.format(prefix=prefix, number=number), modules)
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
