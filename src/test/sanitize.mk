#-------------------------------------------------------------------------
#
# Flags for tests without a server; included by the Makefiles of unit, fuzz and
# cli, which set PG_CONFIG, BUILD and pure (the pure layer's folder).
#
# FRONTEND: the pure layer is compiled as a client program would be, so that
# nothing of the server can creep in unnoticed.
#
# WS_WALZ_VERIFY: an encoder of walz decodes everything that it encodes, and
# fails if the result differs; see walz/piece.h.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------

CFLAGS ?= -O1 -g
SANITIZERS ?= -fsanitize=address,undefined -fno-sanitize-recover=all

SAN_CPPFLAGS = -MMD -MP -DFRONTEND -DWS_WALZ_VERIFY -D_GNU_SOURCE -I$(pure)/.. -I../unit -I../../cli \
	-isystem $(shell $(PG_CONFIG) --includedir-server) $(CPPFLAGS)
SAN_CFLAGS = $(CFLAGS) -fno-omit-frame-pointer -fno-strict-aliasing \
	-Wall -Wextra -Wdeclaration-after-statement -Werror $(SANITIZERS)
SAN_LIBS = -L$(shell $(PG_CONFIG) --pkglibdir) -L$(shell $(PG_CONFIG) --libdir) \
	-lpgport -lzstd -llz4 -lm $(LDFLAGS)

pure_objects = $(patsubst $(pure)/%.c,$(BUILD)/pure/%.o,$(sort $(wildcard $(pure)/*.c $(pure)/*/*.c)))

# Objects depend on the command that makes them, so that another compiler or
# PostgreSQL makes them again.
build_command = $(CC) $(SAN_CPPFLAGS) $(SAN_CFLAGS)

$(BUILD)/flags: FORCE
	@mkdir -p $(sort $(dir $(pure_objects)))
	@echo '$(build_command)' | cmp -s - $@ || echo '$(build_command)' > $@

$(BUILD)/pure/%.o: $(pure)/%.c $(BUILD)/flags
	$(CC) $(SAN_CPPFLAGS) $(SAN_CFLAGS) -c -o $@ $<

.PHONY: FORCE
FORCE:

.DEFAULT_GOAL := all

# The intermediate objects are kept, and so are their dependencies on headers.
.SECONDARY:
-include $(wildcard $(BUILD)/*.d $(pure_objects:.o=.d))
