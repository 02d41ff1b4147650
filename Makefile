#-------------------------------------------------------------------------
#
# Makefile
#	  Builds walstream with PGXS; demo, tests and benchmark.
#
#	make						build the module, and src/cli/build/walz
#	make WERROR=1				the same, warnings are errors
#	make install				the module, the extension, the program walz, its man page
#	make installcheck			against a running server that preloads walstream
#	make demo					a primary, a standby and a load to look at
#	make test					all tests (TESTS="t/..." only some of t/)
#	make check					what is changed, quickly (T=t/022, UNIT=test_frame)
#	make coverage				what the tests reach (PURE=1 those without servers)
#	make test-assert			the server tests on a PostgreSQL with assertions
#	make test-jitter			the server tests, with their processes stopped for moments
#	make check-style			layout of C, Perl and shell, and who includes whom
#	make test-asan				the server tests with sanitizers in the module
#	make test-integration		failover with Patroni and etcd (SEEDS="1 2 3")
#	make fuzz SECONDS=60		look for input that breaks a decoder or parser
#	make bench					against stock PostgreSQL (QUICK=1 a short one)
#
# PG_CONFIG names the PostgreSQL to build for.  With -f and VPATH, as for PGXS,
# or with -f alone, the build goes to another directory than the source's.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------

# Where the source is; PGXS finds the same and calls it srcdir.
top := $(patsubst %/,%,$(or $(VPATH),$(dir $(firstword $(MAKEFILE_LIST)))))
# $(call source_files,PATTERN...): their names below that
source_files = $(patsubst $(top)/%,%,$(sort $(wildcard $(addprefix $(top)/,$(1)))))

# The version is written in the control file, and nowhere else in the code.
version := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(top)/walstream.control)

EXTENSION = walstream
MODULE_big = walstream
DATA = $(call source_files,sql/walstream--*.sql)

# The folders of the module: src/cli and src/test have Makefiles of their own.
code_dirs = src src/drain src/pure src/pure/* src/relay src/relay/*

OBJS = $(patsubst %.c,%.o,$(call source_files,$(addsuffix /*.c,$(code_dirs))))
PG_CPPFLAGS = -I$(top)/src -I$(libpq_srcdir)
SHLIB_LINK = $(libpq) -lzstd -llz4

# TAP_TESTS is not used: the tests in t/ make servers of their own, see "make
# test".
REGRESS = $(filter-out walstream--%,$(patsubst sql/%.sql,%,$(call source_files,sql/*.sql)))

# PostgreSQL's flags and headers are made for gcc, so clang must not warn of
# options that it does not have.
ifdef WERROR
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare \
	-Wno-unknown-warning-option -Wno-ignored-optimization-argument \
	-Wno-ignored-attributes -Wno-cast-function-type-strict
endif

# Instrument the module, for a server into which libasan was loaded, as "make
# test-asan" does.
ifdef SANITIZE
PG_CFLAGS += -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all -U_FORTIFY_SOURCE
SHLIB_LINK += -fsanitize=address,undefined
endif

# Count what tests reach, for "make coverage"; optimization would merge lines.
ifdef COVERAGE
PG_CFLAGS += --coverage -O0 -U_FORTIFY_SOURCE
SHLIB_LINK += --coverage
endif

# Each object says which headers it was made from.  PGXS has a way of its own,
# but to that two files of one name in two folders are one.
override autodepend := no
PG_CFLAGS += -MMD -MP
EXTRA_CLEAN = $(foreach kind,d gcno gcda,$(OBJS:.o=.$(kind)))

# Bitcode for the JIT compiler serves only to inline functions into
# expressions, and its rules need clang even where nothing else does.
ifneq ($(origin with_llvm),command line)
override with_llvm := no
endif

# These goals install what is missing, including PostgreSQL, so they must work
# without PGXS.
script_goals = demo test check check-style coverage test-asan test-assert test-jitter \
	test-integration fuzz bench

ifneq ($(filter-out $(script_goals),$(or $(MAKECMDGOALS),all)),)
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error no PostgreSQL server development files; install them with "src/tools/setup build", or set PG_CONFIG)
endif
include $(PGXS)

# The loops over a line of probabilities are written for vector instructions.
src/pure/walz/io.o: CFLAGS += $(CFLAGS_UNROLL_LOOPS) $(CFLAGS_VECTORIZE)

src/walstream.o src/sqlfuncs.o: override CPPFLAGS += -DWS_VERSION='"$(version)"'
src/walstream.o src/sqlfuncs.o: walstream.control

$(OBJS): $(top)/Makefile
-include $(wildcard $(OBJS:.o=.d))

# Make the directories when built elsewhere.  The names are absolute, since
# VPATH would find those of the source.
object_dirs = $(addprefix $(CURDIR)/,$(sort $(dir $(OBJS))))
$(OBJS): | $(object_dirs)
$(object_dirs):
	$(MKDIR_P) $@

all: cli

# The tool walz has a Makefile of its own.
cli:
	$(MAKE) -C $(top)/src/cli PG_CONFIG="$(PG_CONFIG)" BUILD="$(CURDIR)/src/cli/build"

install: install-cli
install-cli: cli
	$(MKDIR_P) '$(DESTDIR)$(bindir)' '$(DESTDIR)$(mandir)/man1'
	$(INSTALL_PROGRAM) src/cli/build/walz '$(DESTDIR)$(bindir)/'
	$(INSTALL_DATA) $(top)/src/cli/walz.1 '$(DESTDIR)$(mandir)/man1/'

uninstall: uninstall-cli
uninstall-cli:
	rm -f '$(DESTDIR)$(bindir)/walz' '$(DESTDIR)$(mandir)/man1/walz.1'

clean: clean-others
else

# PGXS has a goal of that name, which says that it does not work.
check:
	CHECK=1 src/tools/run_tests
endif

.PHONY: $(script_goals) cli install-cli uninstall-cli clean-others

demo:
	demo/demo

test:
	src/tools/run_tests

coverage:
	COVERAGE=1 src/tools/run_tests

check-style:
	src/tools/check_style

test-asan:
	SANITIZE=1 src/tools/run_tests

test-assert:
	ASSERT=1 src/tools/run_tests

test-jitter:
	JITTER=1 src/tools/run_tests

test-integration:
	INTEGRATION=1 src/tools/run_tests

fuzz:
	PG_CONFIG=$$(src/tools/setup test) && \
	$(MAKE) -C src/test/fuzz fuzz PG_CONFIG="$$PG_CONFIG" SECONDS=$(or $(SECONDS),60)

bench:
	bench/run

clean-others:
	rm -rf src/cli/build
	for dir in $(wildcard src/test/*/); do $(MAKE) -C $$dir clean with_llvm=no || exit; done
