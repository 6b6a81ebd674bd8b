# make            build/syncless-server, build/syncless-python and build/modules/*.so
# make run        install what is missing (apt), build, serve syncless.ini on http://127.0.0.1:8080/
# make test       install what the tests need, build, run every test
# make test-python   all of CPython's own tests that concern us, under syncless-python (15 minutes)
# make soak       everything at once for SOAK=300 seconds
# make fuzz       a minute of libFuzzer over what clients and proxies send and over ini files
# make steady     100,000 broken connections, after which nothing may be left
# make asan       the same tests under AddressSanitizer and UBSan
# make test-aarch64  the coroutines' own tests, compiled for aarch64, under qemu
# make valgrind   memory left behind by each kind of request
# make lint       format and include order
# make benchmark  measure beside the peers (benchmark/README.md); ONLY=hello,floor,syncless ROUNDS=1 SECONDS=1
# make callgrind  instructions per request
# make install    PREFIX=/usr/local DESTDIR=
# PYTHON=/path/to/python3 builds the WSGI bridge for another CPython; DEBUG=1 builds without optimisation.

BUILD  ?= build
PREFIX ?= /usr/local
VERSION = 0.1.0
PYTHON ?= /usr/bin/python3
CC     ?= cc

libdir    = $(PREFIX)/lib/syncless
docdir    = $(PREFIX)/share/doc/syncless
distdir   = $(PREFIX)/share/syncless
mandir    = $(PREFIX)/share/man
WARNINGS  = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -Werror=format-security $(WERROR)
CFLAGS   ?= $(if $(DEBUG),-O0 -g3,-O2 -g)
CPPFLAGS += -Iinclude -D_GNU_SOURCE
ALL       = -std=gnu11 $(WARNINGS) -fno-strict-aliasing $(CFLAGS) $(CPPFLAGS) $(HARDEN) $(FORTIFY) $(SAN) -fPIE -MMD -MP
LINK      = $(CC) $(CFLAGS) $(HARDEN) $(LTO) $(SAN) $(LDFLAGS) -Wl,-z,relro,-z,now
SAN       =

# Debian's hardening (dpkg-buildflags), and -fno-plt: every address is looked up at start anyway, so calls need no stubs,
# which gives back half of what the rest costs. Modules add -fPIC. server/libc defines read, __read_chk and the like and
# needs the plain declarations.
HARDEN    = -fstack-protector-strong -fstack-clash-protection -fno-plt
FORTIFY   = -U_FORTIFY_SOURCE $(if $(or $(DEBUG),$(SAN)),,-D_FORTIFY_SOURCE=2)
$(BUILD)/server/libc/%.o: FORTIFY = -U_FORTIFY_SOURCE

# Programs and modules are optimised as wholes by gcc, for which the objects carry both code and what the linker needs to
# make better code: tests link the former. Not those of server/libc, which tell their callers apart by where they return to.
LTO       = $(if $(or $(DEBUG),$(SAN),$(findstring clang,$(CC))),,-flto=auto -ffat-lto-objects)
$(BUILD)/server/libc/%.o: LTO =

PKGS      = libuv libcares inih
ifeq ($(shell pkg-config --exists libllhttp 2>/dev/null && echo yes),yes)
PKGS     += libllhttp
else # Debian 12: node-llhttp has the C source
LLHTTP    = /usr/share/llhttp
LLHTTP_O  = $(patsubst $(LLHTTP)/%.c,$(BUILD)/llhttp/%.o,$(wildcard $(LLHTTP)/*.c))
endif
DEPS_C    = $(shell pkg-config --cflags $(PKGS)) $(if $(LLHTTP),-I/usr/share/include/llhttp)
DEPS_L    = $(shell pkg-config --libs $(PKGS)) -lresolv -lpthread -ldl -lm

SERVER_C  = $(wildcard server/*/*.c server/*/*/*.c conf/*.c)
SERVER_S  = $(wildcard server/coro/*.S)
SERVER_O  = $(SERVER_C:%.c=$(BUILD)/%.o) $(SERVER_S:%.S=$(BUILD)/%.o) $(LLHTTP_O)
LIB_O     = $(filter-out $(BUILD)/server/main/main.o $(BUILD)/server/main/python_main.o,$(SERVER_O))
MODULES   = $(sort $(patsubst modules/%/,%,$(dir $(wildcard modules/*/*.c))))
MODULES_S = $(MODULES:%=$(BUILD)/modules/%.so)
FLAGS     = $(BUILD)/flags
PROGRAMS  = $(BUILD)/syncless-server $(BUILD)/syncless-python

all: $(PROGRAMS) $(MODULES_S) $(BUILD)/modules/python

# What was built with other flags, or for another CPython, is built anew.
$(FLAGS): always
	@mkdir -p $(@D)
	@echo '$(CC) $(WARNINGS) $(HARDEN) $(CFLAGS) $(CPPFLAGS) $(SAN) $(LTO) $(PYTHON)' >$@.new
	@cmp -s $@.new $@ || cp $@.new $@

# Beside the module wsgi lies its Python package.
$(BUILD)/modules/python:
	@mkdir -p $(@D)
	ln -s $(CURDIR)/modules/wsgi $@

# The executables export their libc calls, so that libraries and modules find ours before libc's: the linker does that by
# itself for every name that libc, too, defines. These are the others.
EXPORT    = -Wl,--export-dynamic-symbol='sl_*',--export-dynamic-symbol='__cxa_get_globals*'
$(BUILD)/syncless-server: $(BUILD)/server/main/main.o
$(BUILD)/syncless-python: $(BUILD)/server/main/python_main.o
$(PROGRAMS): $(LIB_O)
	$(LINK) -pie $(EXPORT) -o $@ $^ $(DEPS_L)

$(BUILD)/%.o: %.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(ALL) $(LTO) -Iserver -I. $(DEPS_C) -c -o $@ $<

# Where an installed program looks for its modules.
$(BUILD)/server/settings/module_dirs.o: ALL += -DMODULE_DIR='"$(libdir)"'

$(BUILD)/server/main/version.o: ALL += -DVERSION='"$(VERSION)"' -DBUILD_FLAGS='"$(CFLAGS)"' -DBUILD_PYTHON='"$(PYTHON)"'

$(BUILD)/%.o: %.S $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(ALL) -c -o $@ $<

$(BUILD)/llhttp/%.o: $(LLHTTP)/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(HARDEN) $(FORTIFY) $(LTO) $(SAN) -fPIE -DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp -c -o $@ $<

# A module is all the .c files of its folder and of the folders in it, and sees syncless.h only. modules/NAME/flags.mk may set MOD_C_NAME and MOD_L_NAME.
-include $(wildcard modules/*/flags.mk)
module_of = $(word 2,$(subst /, ,$(1)))
module = $(BUILD)/modules/$(1).so: $(patsubst %.c,$(BUILD)/%.o,$(wildcard modules/$(1)/*.c modules/$(1)/*/*.c))
$(foreach m,$(MODULES),$(eval $(call module,$m)))

$(BUILD)/modules/%.so:
	$(LINK) -shared -o $@ $^ $(MOD_L_$*)

$(BUILD)/modules/%.o: modules/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(ALL) $(LTO) -fPIC -fvisibility=hidden -Imodules/$(call module_of,$<) $(MOD_C_$(call module_of,$<)) -c -o $@ $<

# What needs packages first starts make again: what pkg-config knows is asked when the file is read.
run: deps
	@$(MAKE) --no-print-directory all
	$(BUILD)/syncless-server -c syncless.ini

test: test-deps
	@$(MAKE) --no-print-directory all units benchmark-programs
	SYNCLESS_BUILD=$(BUILD) tests/run

include tests/rules.mk benchmark/rules.mk

deps test-deps aarch64-deps valgrind-deps fuzz-deps lint-deps benchmark-deps:
	@tests/deps.sh $(or $(filter test aarch64 valgrind fuzz lint benchmark,$(@:%-deps=%)),build)

lint: lint-deps
	clang-format --dry-run -Werror $$(git ls-files -co --exclude-standard '*.c' '*.h')
	tests/include-order

# module_dirs.o has PREFIX in it, so it is compiled again.
install:
	@$(MAKE) --no-print-directory -W server/settings/module_dirs.c all
	install -d $(addprefix $(DESTDIR),$(PREFIX)/bin $(PREFIX)/sbin $(PREFIX)/include $(libdir)/python/syncless $(PREFIX)/lib/pkgconfig $(docdir) $(distdir) $(mandir)/man8)
	install $(BUILD)/syncless-server $(DESTDIR)$(PREFIX)/sbin
	install $(BUILD)/syncless-python $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(MODULES_S) $(DESTDIR)$(libdir)
	install -m 644 modules/wsgi/syncless/*.py modules/wsgi/syncless/py.typed $(DESTDIR)$(libdir)/python/syncless
	install -m 644 include/syncless.h $(DESTDIR)$(PREFIX)/include
	install -m 644 README.md syncless.ini docs/*.md $(DESTDIR)$(docdir)
	tar -c --exclude=__pycache__ examples | tar -x --no-same-owner -C $(DESTDIR)$(docdir)
	install -m 644 dist/* $(DESTDIR)$(distdir)
	install -m 644 docs/*.8 $(DESTDIR)$(mandir)/man8
	sed -i 's|@PREFIX@|$(PREFIX)|' $(DESTDIR)$(distdir)/*.service
	printf '%s\n' 'Name: syncless' 'Description: Modules for syncless-server' 'Version: $(VERSION)' \
	    'Cflags: -I$(PREFIX)/include' 'moduledir=$(libdir)' >$(DESTDIR)$(PREFIX)/lib/pkgconfig/syncless.pc

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-aarch64 $(BUILD)-valgrind $(BUILD)-fuzz

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all always run test lint install clean deps test-deps aarch64-deps valgrind-deps fuzz-deps lint-deps benchmark-deps
