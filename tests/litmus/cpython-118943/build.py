"""Builds jit_stencils.h, unless it begins with the digest of what it would be built from.

    build.py [--rename]       --rename: under another name first, one of this process alone
"""

import hashlib
import os
import sys

HEADER = "jit_stencils.h"


def build_stencils(opcodes):
    """The machine code of each opcode, in lines of C."""
    for opcode in opcodes:
        code = "".join(hashlib.sha256(f"{opcode} {part}".encode()).hexdigest() for part in range(100))
        yield f"static const unsigned char code_{opcode}[] ="
        yield from (f'    "{code[start:start + 64]}"' for start in range(0, len(code), 64))
        yield ";"
    yield "#define STENCIL_GROUPS code__END"


def write(path, digest, lines):
    with open(path, "w") as file:
        file.write(digest)
        for line in lines:
            file.write(f"{line}\n")


def main(rename):
    with open("opcodes") as file:
        opcodes = file.read().split()
    digest = f"// {hashlib.sha256(repr(opcodes).encode()).hexdigest()}\n"
    if os.path.exists(HEADER):
        with open(HEADER) as file:
            if file.readline() == digest:
                return
    lines = list(build_stencils(opcodes))
    if rename:
        new = f"{HEADER}.{os.getpid()}"
        write(new, digest, lines)
        os.replace(new, HEADER)
    else:
        write(HEADER, digest, lines)


main(rename=sys.argv[1:] == ["--rename"])
