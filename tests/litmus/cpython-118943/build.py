"""Builds jit_stencils.h, unless it begins with the digest of what it would be built from.

    build.py [--rename]       --rename: under another name first, one of this process alone
"""

import os
import sys

from stencils import HEADER, build, write


def main(rename):
    built = build()
    if not built:
        return
    if rename:
        new = f"{HEADER}.{os.getpid()}"
        write(new, *built)
        os.replace(new, HEADER)
    else:
        write(HEADER, *built)


main(rename=sys.argv[1:] == ["--rename"])
