"""cpython-120690: two writers of one file share the name of its temporary file."""

from pathlib import Path

from jit import Stencils


class SharedName(Stencils):
    bug = "cpython-120690"
    rows = ("jit_stencils.h.new is gone",)
    here = Path(__file__).parent
    settings = Stencils.settings_with(unique="--unique")


LITMUS_TESTS = (SharedName,)
