# Read by make after all other makefiles: it puts onewriter in the place of the shell.
#
# Each value is expanded where make would have expanded the makefile's own: a SHELL or .SHELLFLAGS
# that is expanded anew for each recipe stays so.

# This file is not there: not in the list, not as a goal, not to be remade.
override ONEWRITER_NONE :=
override ONEWRITER_TAIL := $(ONEWRITER_TOOLS)/tail.mk
MAKEFILE_LIST := $(if $(filter-out $(ONEWRITER_TAIL),$(MAKEFILE_LIST)),$(subst $(ONEWRITER_NONE) $(ONEWRITER_TAIL),,$(MAKEFILE_LIST)))
override ONEWRITER_GOAL := $(.DEFAULT_GOAL)
$(ONEWRITER_TAIL): ;
# Where the line of a failed recipe stands. Lists of dependencies have none, and may be many.
override ONEWRITER_MAKEFILES := $(wordlist 1,256,$(filter-out %.d %.dep %.cmd %.P %.Po %.Plo,$(MAKEFILE_LIST)))
export ONEWRITER_MAKEFILES
.DEFAULT_GOAL := $(ONEWRITER_GOAL)

override define ONEWRITER_LINE


endef
ifeq ($(flavor SHELL),recursive)
$(eval override define ONEWRITER_SHELL$(ONEWRITER_LINE)$(value SHELL)$(ONEWRITER_LINE)endef)
else
override ONEWRITER_SHELL := $(SHELL)
endif
ifeq ($(flavor .SHELLFLAGS),recursive)
$(eval override define ONEWRITER_SHELLFLAGS$(ONEWRITER_LINE)$(value .SHELLFLAGS)$(ONEWRITER_LINE)endef)
else
override ONEWRITER_SHELLFLAGS := $(.SHELLFLAGS)
endif
# For a target that has flags of its own, which say nothing of the shell.
ifeq ($(findstring $$,$(value ONEWRITER_SHELL)),)
export ONEWRITER_SHELL
endif

# What make does only for a shell of these names, it is to do for ours.
override ONEWRITER_NAME := $(if $(filter sh bash dash ksh rksh zsh ash,$(notdir $(firstword $(value ONEWRITER_SHELL)))),sh,shell)
# The words are in single quotes, for which make needs no shell. A list of all prerequisites might be
# longer than a word of a command line may be.
override .SHELLFLAGS = $(if $(filter $(ONEWRITER_TOOLS)/%,$(SHELL)),'' --target '$(subst ','\'',$@)' --dir '$(subst ','\'',$(CURDIR))' --prereqs '$(subst ','\'',$(wordlist 1,64,$^))' --shell $(ONEWRITER_SHELL) --flags $(ONEWRITER_SHELLFLAGS),$(ONEWRITER_SHELLFLAGS))
override SHELL := $(ONEWRITER_TOOLS)/$(ONEWRITER_NAME)
