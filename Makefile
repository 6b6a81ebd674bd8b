# make               build/syncless-server, build/syncless-ctl, build/syncless-python, build/libsyncless.so and
#                    build/modules/*.so
# make run           install what is missing (apt), build, serve syncless.ini on http://127.0.0.1:8080/; BIND=:8000
# make test          install what the tests need, build, run every test
# make ci            what CI runs: `make test` and the next six; or .ci/run PART...
# make lint          format, order of includes and calls, names, sizes of functions, long lines
# make types         mypy on the Python package
# make werror        build everything, with -Werror
# make test-asan     unit tests and most of tests/serve under AddressSanitizer and UBSan
# make test-aarch64  compile the server for aarch64, and run the tests of coroutines and logs under qemu
# make fuzz          90 seconds of libFuzzer: requests, PROXY headers, ini files, ranges, CGI output, replies of DNS
# make asan          `make test` under AddressSanitizer and UBSan
# make valgrind      look for memory leaks of each kind of request
# make test-platforms  `make run` and `make test` in a chroot of Debian 13; PLATFORMS="trixie sid" (as root, 12 minutes)
# make test-deb      Debian's packages: build, install, upgrade, purge on Debian 12 and 13 (as root, 15 minutes)
# make test-packaging  pip with the newest frameworks and build tools from the registry (10 minutes)
# make test-image    dist/Containerfile with buildah, and a container of it (as root, 5 minutes)
# make test-python   those of CPython's own tests that concern us, under syncless-python (15 minutes)
# make soak          everything at once for SOAK=300 seconds
# make steady        100,000 broken connections, after which nothing may be left
# make benchmark     compare with other servers (benchmark/README.md); ONLY=hello,floor,syncless ROUNDS=1 SECONDS=1
# make callgrind     instructions per request
# make install       PREFIX=/usr/local DESTDIR=
# make dist          syncless-VERSION.tar.gz
# PYTHONS="/usr/bin/python3 /opt/python3.13/bin/python3" builds the WSGI bridge for these; DEBUG=1 does not optimise.

BUILD  ?= build
PREFIX ?= /usr/local
VERSION = 0.1.0
PYTHONS ?= /usr/bin/python3
ifeq ($(origin PYTHON),command line)
$(error PYTHON is PYTHONS now, one interpreter or several: make PYTHONS="/usr/bin/python3 $(PYTHON)")
endif
CC     ?= cc

LIBDIR ?= $(PREFIX)/lib
SBINDIR ?= $(PREFIX)/sbin
libname   = $(LIBDIR:$(PREFIX)/%=%)
libdir    = $(LIBDIR)/syncless
docdir    = $(PREFIX)/share/doc/syncless
distdir   = $(PREFIX)/share/syncless
mandir    = $(PREFIX)/share/man
WARNINGS  = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter \
            -Werror=format-security $(WERROR)
CFLAGS   ?= $(if $(DEBUG),-O0 -g3,-O2 -g)
ALL       = -std=gnu11 $(WARNINGS) -fno-strict-aliasing $(CFLAGS) -Iinclude -D_GNU_SOURCE $(CPPFLAGS) $(HARDEN) \
            $(FORTIFY) $(SAN) -fPIC -MMD -MP
LINK      = $(CC) $(CFLAGS) $(HARDEN) $(LTO) $(SAN) $(LDFLAGS) -Wl,-z,relro,-z,now
SAN       =

# Debian's hardening (dpkg-buildflags), and -fno-plt: since all addresses are resolved at start, calls need no stubs,
# which makes up for half of the cost. server/libc defines read, __read_chk and the like, and needs plain declarations.
HARDEN    = -fstack-protector-strong -fstack-clash-protection -fno-plt
FORTIFY   = -U_FORTIFY_SOURCE $(if $(or $(DEBUG),$(SAN)),,-D_FORTIFY_SOURCE=2)
$(BUILD)/server/libc/%.o: FORTIFY = -U_FORTIFY_SOURCE

# Link-time optimisation, with gcc only. The objects have machine code too, which the tests link. Not in server/libc,
# whose functions look at their return address to find out who called them.
LTO       = $(if $(or $(DEBUG),$(SAN),$(findstring clang,$(CC))),,-flto=auto -ffat-lto-objects)
$(BUILD)/server/libc/%.o: LTO =

# AddressSanitizer itself has a key, and calls these before it has set itself up.
$(BUILD)/server/libc/tls/%.o: SAN =

PKGS      = libuv libcares inih
ifeq ($(shell pkg-config --exists libllhttp 2>/dev/null && echo yes),yes)
PKGS     += libllhttp
else # Debian 12 has only its C source, in node-llhttp
LLHTTP    = /usr/share/llhttp
LLHTTP_O  = $(patsubst $(LLHTTP)/%.c,$(BUILD)/llhttp/%.o,$(wildcard $(LLHTTP)/*.c))
endif
DEPS_C    = $(shell pkg-config --cflags $(PKGS)) $(if $(LLHTTP),-I/usr/share/include/llhttp)
DEPS_L    = -lresolv -lpthread -ldl -lm

SERVER_C  = $(wildcard server/*/*.c server/*/*/*.c conf/*.c)
SERVER_S  = $(wildcard server/coro/*.S)
SERVER_O  = $(SERVER_C:%.c=$(BUILD)/%.o) $(SERVER_S:%.S=$(BUILD)/%.o) $(PAGE_O)
PAGE_O    = $(BUILD)/server/page/page.o
MAIN_O    = $(BUILD)/server/main/server_program.o $(BUILD)/server/main/python_program.o $(CTL_O)
CTL_O     = $(patsubst %.c,$(BUILD)/%.o,$(wildcard server/ctl/*.c))
START_O   = $(BUILD)/server/main/libc_start.o
LIB_O     = $(filter-out $(MAIN_O) $(START_O),$(SERVER_O))
MODULES   = $(filter-out wsgi,$(sort $(patsubst modules/%/,%,$(dir $(wildcard modules/*/*.c)))))
MODULES_S = $(MODULES:%=$(BUILD)/modules/%.so)
FLAGS     = $(BUILD)/flags
PROGRAMS  = $(BUILD)/syncless-server $(BUILD)/syncless-python
PACKAGE   = $(BUILD)/modules/python
METADATA  = syncless-$(VERSION).dist-info/METADATA

all: bridges $(PROGRAMS) $(BUILD)/syncless-ctl $(MODULES_S) $(PACKAGE)/$(METADATA)

# When a flag changes, everything is rebuilt.
$(FLAGS): always
	@mkdir -p $(@D)
	@echo '$(VERSION) $(CC) $(WARNINGS) $(HARDEN) $(FORTIFY) $(CFLAGS) $(CPPFLAGS) $(SAN) $(LTO)' >$@.new
	@cmp -s $@.new $@ || cp $@.new $@

# The module wsgi looks for its Python package beside itself: with its types, and the metadata for importlib.metadata.
$(PACKAGE)/$(METADATA): modules/wsgi/METADATA.in
	rm -rf $(PACKAGE)
	mkdir -p $(@D)
	ln -s "$(CURDIR)"/modules/wsgi/syncless "$(CURDIR)"/modules/wsgi/_syncless.pyi $(PACKAGE)
	sed 's/@VERSION@/$(VERSION)/' $< >$@

# The libraries that the server uses, behind one name: server/base/library.h says why it is not linked to them.
LIBRARIES = $(BUILD)/libraries.so
$(LIBRARIES): $(LLHTTP_O) $(FLAGS)
	$(LINK) -shared -Wl,-soname,$(@F) -Wl,-Bsymbolic -Wl,-rpath,'$$ORIGIN' -Wl,--no-as-needed -o $@ $(LLHTTP_O) \
	    $(shell pkg-config --libs $(PKGS))

# All of the server. It exports its libc calls, so that libraries and modules find these before libc's: the names that
# server/libc and libc both define, and openat2, which later ones define. Besides these, the module API, and the
# programs in it. Its own calls are bound to its own functions (-Bsymbolic-functions). With a path of its own (-rpath),
# the one in the interpreter's executable does not count for the libraries that it needs.
LIBC_O    = $(filter $(BUILD)/server/libc/%,$(SERVER_O))
EXPORTS   = $(BUILD)/exports
$(EXPORTS): $(LIBC_O)
	nm -D --defined-only $$($(CC) -print-file-name=libc.so.6) | sed 's/.* //; s/@.*//' | sort -u >$@.libc
	nm -g --defined-only $^ | sed -n 's/.* [TW] //p' | sort -u >$@.ours
	(echo '{ global: sl_*; syncless_*; __cxa_get_globals*; __libc_start_main; openat2;'; \
	    echo '__tls_get_addr; __cxa_thread_atexit;'; comm -12 $@.ours $@.libc | sed 's/$$/;/'; \
	    echo 'local: *; };') >$@

$(BUILD)/libsyncless.so: $(LIB_O) $(START_O) $(EXPORTS) | $(LIBRARIES)
	$(LINK) -shared -Wl,-soname,libsyncless.so -Wl,-Bsymbolic-functions -Wl,--version-script=$(EXPORTS) \
	    -Wl,-rpath,'$$ORIGIN' -Wl,-z,nodelete $(if $(SAN),,-Wl,-z,defs) -o $@ $(filter %.o,$^) $(DEPS_L)

# A program is a main function, which calls that of libsyncless.so: beside it in a build tree, or where it is installed
# (without /proc mounted, by its absolute path).
# AddressSanitizer's library comes behind libsyncless.so, so that our functions are found before its own.
RPATH     = -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../$(libname)/syncless:$(libdir)'
$(BUILD)/syncless-server: $(BUILD)/server/main/server_program.o
$(BUILD)/syncless-python: $(BUILD)/server/main/python_program.o
$(PROGRAMS): $(BUILD)/libsyncless.so $(BUILD)/rpath
	$(CC) $(CFLAGS) $(HARDEN) $(LDFLAGS) -Wl,-z,relro,-z,now -pie $(RPATH) -o $@ $(filter %.o,$^) \
	    -Wl,--no-as-needed $(BUILD)/libsyncless.so $(if $(findstring address,$(SAN)),-lasan -lubsan)
$(BUILD)/syncless-ctl: $(CTL_O)
	$(CC) $(CFLAGS) $(SAN) $(HARDEN) $(LDFLAGS) -Wl,-z,relro,-z,now -pie -o $@ $^
$(BUILD)/rpath: always
	@echo "$(RPATH)" | cmp -s $@ - || echo "$(RPATH)" >$@
$(MAIN_O): private SAN =
$(MAIN_O): private LTO =

$(BUILD)/%.o: %.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(ALL) $(LTO) $(HIDDEN) -Iserver -I. $(DEPS_C) -c -o $@ $<
HIDDEN    = -fvisibility=hidden
$(LIBC_O): HIDDEN =
$(LIBC_O): ALL += -include server/libc/runtime/errno_here.h

# The flags are shown by -V, but for the name of the folder, or a package could not be reproduced.
$(BUILD)/server/master/overview.o: ALL += -DVERSION='"$(VERSION)"'
$(BUILD)/server/main/version.o: ALL += -DVERSION='"$(VERSION)"' \
    -DBUILD_FLAGS='"$(filter-out -ffile-prefix-map=%,$(CFLAGS))"'
$(BUILD)/server/otlp/export.o: ALL += -DVERSION='"$(VERSION)"'

$(BUILD)/%.o: %.S $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(ALL) -c -o $@ $<

# The page of [status]: one file, and a part of the library.
PAGE_JS   = $(patsubst %,server/page/%.js,dom chart figures requests page)
$(BUILD)/page.html: server/page/page.html server/page/page.css $(PAGE_JS)
	@mkdir -p $(@D)
	sed -e '/@STYLE@/{' -e 'r server/page/page.css' -e 'd' -e '}' \
	    -e '/@SCRIPT@/{' $(PAGE_JS:%=-e 'r %') -e 'd' -e '}' $< >$@.new
	mv $@.new $@
$(PAGE_O): $(BUILD)/page.html
$(PAGE_O): ALL += -DPAGE='"$(BUILD)/page.html"'

$(BUILD)/llhttp/%.o: $(LLHTTP)/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(HARDEN) $(FORTIFY) $(LTO) $(SAN) -fPIC -fno-semantic-interposition -DLLHTTP_STRICT_MODE=1 \
	    -I/usr/share/include/llhttp -c -o $@ $<

# A module is made of the .c files in its folder and the folders below, and includes nothing of the server but its API.
# MOD_C_NAME and MOD_L_NAME are its own flags.
module_sources = $(wildcard modules/$(1)/*.c modules/$(1)/*/*.c)
module = $(BUILD)/modules/$(1).so: $(patsubst %.c,$(BUILD)/%.o,$(call module_sources,$(1)))
$(foreach m,$(MODULES),$(eval $(call module,$m)))

$(BUILD)/modules/%.so:
	@mkdir -p $(@D)
	$(LINK) -shared -o $@ $^ $(MOD_L_$*)

module_of = $(word 2,$(subst /, ,$(1)))
MODULE_C  = $(CC) $(ALL) $(LTO) -fvisibility=hidden -Imodules/$(call module_of,$<)
$(BUILD)/modules/%.o: modules/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(MODULE_C) $(MOD_C_$(call module_of,$<)) -c -o $@ $<

include modules/wsgi/rules.mk

# Targets that install packages then start make again, since pkg-config is asked when this file is read. The first two
# then use all processors, unless make was told how many by -j.
PARALLEL  = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

run: deps
	@$(MAKE) --no-print-directory $(PARALLEL) all
	$(BUILD)/syncless-server -c syncless.ini $(BIND:%=-b %)

test:
	@echo 'make test installs with apt what is missing: compilers, pytest, Chromium, nginx, databases, Python frameworks'
	@echo '(tests/deps.sh; at most 380 packages, 420 MB to download, 1.9 GB on disk). Then it builds, and runs all tests.'
	@echo 'It takes 8 minutes on two cores, and 2 or 3 more if everything must be installed.'
	@tests/deps.sh test
	@$(MAKE) --no-print-directory $(PARALLEL) all units benchmark-programs
	SYNCLESS_BUILD=$(BUILD) tests/run

# Everything that CI checks; the parts are in the script.
ci:
	.ci/run

werror: test-deps
	@$(MAKE) --no-print-directory WERROR=-Werror all units benchmark-programs

types: types-deps
	/usr/bin/python3 -m mypy --config-file modules/wsgi/mypy.ini

include tests/rules.mk benchmark/rules.mk

deps:
	@tests/deps.sh build

%-deps:
	@tests/deps.sh $*

# By `make -k lint` all three are run even if one fails.
lint: lint-format lint-style lint-layers

lint-format: lint-deps
	find . '(' -path './build*' -o -path './.*' ')' -prune -o -name '*.[ch]' -print | xargs clang-format --dry-run -Werror

lint-style: lint-deps
	tests/style

lint-layers: lint-deps
	@$(MAKE) --no-print-directory $(SERVER_O)
	SYNCLESS_BUILD=$(BUILD) tests/layers

dist:
	git archive --prefix=syncless-$(VERSION)/ -o syncless-$(VERSION).tar.gz HEAD

# syncless.ini(5), from the tables of keys.
INI_PAGES = configuration databases static cgi wsgi inside
$(BUILD)/syncless.ini.5: docs/ini_man.py $(INI_PAGES:%=docs/%.md)
	@mkdir -p $(@D)
	$(firstword $(PYTHONS) python3) docs/ini_man.py >$@.new
	mv $@.new $@

# LIBDIR must be below PREFIX: programs find libsyncless.so by the way from their own folder, and that finds its
# modules. So an installation can be moved.
install: $(BUILD)/syncless.ini.5
	@$(MAKE) --no-print-directory all
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin include/syncless) \
	    $(addprefix $(DESTDIR),$(SBINDIR) $(LIBDIR)/pkgconfig $(libdir)/modules/python/syncless $(docdir) $(distdir) \
	        $(addprefix $(mandir)/man,1 5 8))
	install $(BUILD)/syncless-server $(BUILD)/syncless-ctl $(DESTDIR)$(SBINDIR)
	install $(BUILD)/syncless-python $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(BUILD)/libsyncless.so $(LIBRARIES) $(DESTDIR)$(libdir)
	install -m 644 $(MODULES_S) $(BRIDGES) $(DESTDIR)$(libdir)/modules
	install -m 644 modules/wsgi/syncless/*.py modules/wsgi/syncless/py.typed $(DESTDIR)$(libdir)/modules/python/syncless
	install -m 644 -D -t $(DESTDIR)$(libdir)/modules/python/syncless/migrate \
	    modules/wsgi/syncless/migrate/*.py modules/wsgi/syncless/migrate/peers.def
	install -m 644 modules/wsgi/_syncless.pyi $(DESTDIR)$(libdir)/modules/python
	rm -rf $(DESTDIR)$(libdir)/modules/python/syncless-*.dist-info
	install -D -m 644 $(PACKAGE)/$(METADATA) $(DESTDIR)$(libdir)/modules/python/$(METADATA)
	install -m 644 include/syncless.h $(DESTDIR)$(PREFIX)/include
	install -m 644 include/syncless/*.h $(DESTDIR)$(PREFIX)/include/syncless
	install -m 644 README.md CHANGELOG.md syncless.ini docs/*.md docs/*.png $(DESTDIR)$(docdir)
	tar -c --exclude=__pycache__ --exclude=.gitignore examples | tar -x --no-same-owner -C $(DESTDIR)$(docdir)
	install -m 644 $(filter-out %.whl %.gz %.bash,$(wildcard dist/*)) $(DESTDIR)$(distdir)
	install -D -m 644 dist/syncless-ctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/syncless-ctl
	install -m 644 docs/*.1 $(DESTDIR)$(mandir)/man1
	install -m 644 $(BUILD)/syncless.ini.5 $(DESTDIR)$(mandir)/man5
	install -m 644 docs/*.8 $(DESTDIR)$(mandir)/man8
	sed -i 's|@PREFIX@|$(PREFIX)|' $(DESTDIR)$(distdir)/*.service
	printf '%s\n' 'prefix=$${pcfiledir}/$(if $(findstring /,$(libname)),../)../..' 'Name: syncless' \
	    'Description: Modules for syncless-server' 'Version: $(VERSION)' 'Cflags: -I$${prefix}/include' \
	    'moduledir=$${prefix}/$(libname)/syncless/modules' >$(DESTDIR)$(LIBDIR)/pkgconfig/syncless.pc

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-aarch64 $(BUILD)-valgrind $(BUILD)-fuzz

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all always run test ci werror types lint lint-format lint-style lint-layers install dist clean deps
