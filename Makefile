#-------------------------------------------------------------------------
#
# Makefile
#	  Builds walstream with PGXS; demo, tests and benchmark.
#
#	make						build the module, and src/cli/build/walz
#	make WERROR=1				the same, warnings are errors
#	make install
#	make installcheck			against a running server that preloads walstream
#	make demo					a primary, a standby and a load to look at
#	make test					all tests (TESTS="t/..." only some of t/)
#	make test-asan				the server tests with sanitizers in the module
#	make fuzz SECONDS=60		look for input that breaks a decoder or parser
#	make bench					against stock PostgreSQL (QUICK=1 a short one)
#
# PG_CONFIG names the PostgreSQL to build for.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------

EXTENSION = walstream
MODULE_big = walstream
DATA = sql/walstream--1.0.sql

OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/pure/*.c src/relay/*.c)))
PG_CPPFLAGS = -Isrc -I$(libpq_srcdir)
SHLIB_LINK = $(libpq) -lzstd -llz4

REGRESS = $(filter-out walstream--%,$(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql))))
TAP_TESTS = 1
PROVE_FLAGS = -I t

# PostgreSQL's flags and headers are for gcc: clang must not warn of what it lacks.
ifdef WERROR
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare \
	-Wno-unknown-warning-option -Wno-ignored-optimization-argument \
	-Wno-ignored-attributes -Wno-cast-function-type-strict
endif

# The module watches itself: for a server that libasan was loaded into, as
# "make test-asan" starts it.
ifdef SANITIZE
PG_CFLAGS += -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all -U_FORTIFY_SOURCE
SHLIB_LINK += -fsanitize=address,undefined
endif

# Bitcode for the JIT compiler serves inlining into expressions only, and its
# rules want clang even where the server was built without need of it.
ifneq ($(origin with_llvm),command line)
override with_llvm := no
endif

# These install what is missing, PostgreSQL included, so they go without PGXS.
script_goals = demo test test-asan fuzz bench

ifneq ($(filter-out $(script_goals),$(or $(MAKECMDGOALS),all)),)
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error no PostgreSQL server development files; install them with "src/tools/setup build", or set PG_CONFIG)
endif
include $(PGXS)

# Its loops over a line of probabilities are meant for vector instructions.
src/pure/walz_io.o: CFLAGS += $(CFLAGS_UNROLL_LOOPS) $(CFLAGS_VECTORIZE)

$(OBJS): $(wildcard src/*.h src/pure/*.h src/relay/*.h)

all: cli

# The tool has rules of its own, and is not installed.
cli:
	$(MAKE) -C src/cli PG_CONFIG="$(PG_CONFIG)"

clean: clean-others
endif

.PHONY: $(script_goals) cli clean-others

demo:
	demo/demo

test:
	src/tools/run_tests

test-asan:
	SANITIZE=1 src/tools/run_tests

fuzz:
	PG_CONFIG=$$(src/tools/setup test) && \
	$(MAKE) -C src/test/fuzz fuzz PG_CONFIG="$$PG_CONFIG" SECONDS=$(or $(SECONDS),60)

bench:
	bench/run

clean-others:
	for dir in src/cli/ src/test/*/; do $(MAKE) -C $$dir clean with_llvm=no || exit; done
