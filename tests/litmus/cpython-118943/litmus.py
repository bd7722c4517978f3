"""cpython-118943: a header that is being written passes for a finished one, and is compiled."""

from pathlib import Path

from jit import Stencils


class HalfHeader(Stencils):
    bug = "cpython-118943"
    rows = ("half of jit_stencils.h",)
    here = Path(__file__).parent
    settings = Stencils.settings_with(unique="--rename")


LITMUS_TESTS = (HalfHeader,)
