"""Builds jit_stencils.h, unless it begins with the digest of what it would be built from.

    build.py [--unique]       --unique: the name of the new file is one of this process alone
"""

import os
import sys

from stencils import HEADER, build, write


def main(unique):
    built = build()
    if not built:
        return
    new = f"{HEADER}.{os.getpid()}" if unique else f"{HEADER}.new"
    try:
        write(new, *built)
        os.replace(new, HEADER)
    finally:
        if os.path.exists(new):
            os.unlink(new)


main(unique=sys.argv[1:] == ["--unique"])
