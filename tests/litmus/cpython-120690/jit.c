/* The JIT needs the last line of the generated header. */

#include "jit_stencils.h"

const void *stencil_groups = STENCIL_GROUPS;
