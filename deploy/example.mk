# Include it in a Makefile, as in `include example.mk`, and write with $(MKDIR_P), $(INSTALL) and $(PUBLISH).
#
# Where onewriter is not installed, or with ONEWRITER=off in the environment or on make's command line,
# the same lines do the same by themselves: with the tools that everybody has, or without a daemon.

# A value on make's command line would not reach the recipes as environment by itself in $(shell …).
export ONEWRITER

# The program, if there is one; ONEWRITER_PROGRAM= (empty) does without.
ONEWRITER_PROGRAM ?= $(shell command -v onewriter 2>/dev/null)

ifneq ($(ONEWRITER_PROGRAM),)
# The directory in which make stands is the build root, unless one above it is.
ifneq ($(ONEWRITER),off)
_ := $(shell $(ONEWRITER_PROGRAM) init 2>/dev/null)
endif
MKDIR_P = $(ONEWRITER_PROGRAM) mkdir -p
INSTALL = $(ONEWRITER_PROGRAM) install
# `… | $(PUBLISH) FILE`: FILE appears whole, and is left alone where it is the same.
PUBLISH = $(ONEWRITER_PROGRAM) publish
else
MKDIR_P = mkdir -p
INSTALL = install
PUBLISH = cat >
endif
INSTALL_PROGRAM = $(INSTALL)
INSTALL_DATA = $(INSTALL) -m 644
