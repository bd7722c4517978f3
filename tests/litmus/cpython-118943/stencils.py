"""What jit_stencils.h holds, and how it is written."""

import hashlib
import os

HEADER = "jit_stencils.h"


def build():
    """The digest of what the header is built from, in a comment, and its other lines; None if it is up to date."""
    with open("opcodes") as file:
        opcodes = file.read().split()
    digest = f"// {hashlib.sha256(repr(opcodes).encode()).hexdigest()}\n"
    if os.path.exists(HEADER):
        with open(HEADER) as file:
            if file.readline() == digest:
                return None
    return digest, list(machine_code(opcodes))


def machine_code(opcodes):
    """Of each opcode, in lines of C."""
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
