# The programs of tests/unit, and the suites that take longer than `make test` or need a build of their own.

# ---- unit tests ----

CMOCKA    = -lcmocka
UNIT_L    = $(LIBRARIES:%=-Wl,--no-as-needed % -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..') $(DEPS_L)
EXPORT    = -Wl,--export-dynamic-symbol='sl_*',--export-dynamic-symbol='__cxa_get_globals*'
UNITS     = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c)) \
            $(BUILD)/tests/test_coro_ucontext $(BUILD)/tests/test_stack_ucontext

# The folders that need no library, and their tests.
CORE_O    = $(patsubst %.c,$(BUILD)/%.o,$(wildcard server/base/*.c server/log/*.c server/coro/*.c)) \
            $(SERVER_S:%.S=$(BUILD)/%.o)
CORE      = arena log sink coro stack cxx coro_ucontext stack_ucontext

# The tests' own code is not hardened: a test of read() must call read and not __read_chk, and -fstack-clash-protection,
# which may be in CFLAGS too, would touch pages of a stack that test_stack steps over.
$(BUILD)/tests/%: private HARDEN = -fno-stack-clash-protection
$(BUILD)/tests/%: private FORTIFY = -U_FORTIFY_SOURCE
$(BUILD)/tests/%: tests/unit/%.c $(LIB_O) $(LIBRARIES)
	@mkdir -p $(@D)
	$(CC) $(ALL) -Iserver -I. $(DEPS_C) -fno-lto $(LDFLAGS) $(EXPORT) -o $@ $(filter %.c %.o,$^) $(UNIT_L) $(CMOCKA)

$(BUILD)/tests/test_static: $(filter-out %/static.o,$(patsubst %.c,$(BUILD)/%.o,$(wildcard modules/static/*.c)))

$(BUILD)/tests/test_json: $(BUILD)/server/ctl/json.o

# The tests of coroutines again, with the portable switch in place of the assembly.
$(BUILD)/ucontext/switch_ucontext.o: server/coro/switch_ucontext.c
	@mkdir -p $(@D)
	$(CC) $(ALL) -DCORO_UCONTEXT -Iserver -c -o $@ $<

$(BUILD)/tests/test_%_ucontext: tests/unit/test_%.c $(BUILD)/ucontext/switch_ucontext.o $(LIB_O) $(LIBRARIES)
	@mkdir -p $(@D)
	$(CC) $(ALL) -DCORO_UCONTEXT -Iserver -I. -fno-lto $(LDFLAGS) $(EXPORT) -o $@ \
	    $(filter-out $(BUILD)/server/coro/switch_%.o,$(filter %.c %.o,$^)) $(UNIT_L) $(CMOCKA)

# C++ code that test_cxx loads.
$(BUILD)/tests/test_cxx $(BUILD)/tests/test_thread_exit: $(BUILD)/tests/throwing.so
$(BUILD)/tests/%.so: tests/unit/%.cc
	@mkdir -p $(@D)
	$(CXX) -Wall -Wextra $(CFLAGS) $(SAN) -fPIC -shared -o $@ $<

# A language runtime that test_libc_identity loads.
$(BUILD)/tests/test_libc_identity: $(BUILD)/tests/runtime.so
$(BUILD)/tests/%.so: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL) -fPIC -shared -o $@ $<

# Objects with thread-locals that test_libc_tls loads: of the dynamic models, of another module id, large, initial-exec.
TLS_OBJECTS = $(patsubst %,$(BUILD)/tests/tls_%.so,object again large initial)
$(BUILD)/tests/test_libc_tls: $(TLS_OBJECTS) $(BUILD)/tests/tls_cxx.so
$(BUILD)/tests/tls_large.so: TLS_FLAGS = -DSPACE=1000000
$(BUILD)/tests/tls_initial.so: TLS_FLAGS = -ftls-model=initial-exec -DALIGN=16
$(TLS_OBJECTS): tests/unit/tls_object.c
	@mkdir -p $(@D)
	$(CC) $(ALL) $(TLS_FLAGS) -fPIC -shared -o $@ $<

units: $(UNITS)

# For aarch64, all of the server is compiled, with this machine's headers of libuv and the other libraries. Linked and
# run, under qemu, are only the tests that need no library: tests/aarch64 has the part of cmocka that they use.
units-of-core: $(CORE:%=$(BUILD)/tests/test_%) $(SERVER_O)

test-aarch64: aarch64-deps
	@$(MAKE) --no-print-directory BUILD=$(BUILD)-aarch64 CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++ \
	    CPPFLAGS='-DCORO_QEMU -Itests/aarch64 -idirafter /usr/include' \
	    LIB_O='$$(CORE_O)' LIBRARIES= DEPS_L='-lpthread -ldl -lm' CMOCKA= LTO= units-of-core
	SYNCLESS_BUILD=$(BUILD)-aarch64 SYNCLESS_WRAPPER='qemu-aarch64 -L /usr/aarch64-linux-gnu' tests/run --units

# ---- long suites ----

test-python: test-deps
	@$(MAKE) --no-print-directory all
	SYNCLESS_BUILD=$(BUILD) tests/python/suite.py -j 2

# What needs a registry: the newest frameworks and build tools. `make test` has the rest.
test-packaging: test-deps
	@$(MAKE) --no-print-directory all
	SYNCLESS_BUILD=$(BUILD) tests/run tests/packaging/test_pip.py tests/packaging/registry.py

# On other releases of Debian, in chroots that debootstrap makes; see the head of tests/platforms.
PLATFORMS ?= trixie
test-platforms: platforms-deps
	tests/platforms $(PLATFORMS)

# Debian's packages, in chroots and machines of these releases; see the head of tests/packaging/deb.
DEBIANS ?= bookworm trixie
test-deb: platforms-deps
	tests/packaging/deb $(DEBIANS)

# The image of dist/Containerfile, on one of these releases; see the head of tests/packaging/image.
IMAGE ?= trixie
test-image: image-deps
	tests/packaging/image $(IMAGE)

# Everything at once for SOAK seconds: memory, descriptors and stacks must not grow.
soak: export SOAK ?= 300
soak: test-deps
	@$(MAKE) --no-print-directory all
	SYNCLESS_BUILD=$(BUILD) tests/run tests/clients/test_soak.py tests/threadlike/test_threadlike_soak.py -rP

# 100,000 broken connections; `make test` makes as many as fit into a few seconds.
steady: test-deps
	@$(MAKE) --no-print-directory all
	STEADY_CONNECTIONS=100000 SYNCLESS_BUILD=$(BUILD) tests/run tests/serve/test_steady.py -s

ASAN = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
asan test-asan: export ASAN_OPTIONS = \
    detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=0:verify_asan_link_order=0
asan test-asan: export LSAN_OPTIONS = suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0
asan test-asan: export UBSAN_OPTIONS = print_stacktrace=1
asan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)-asan SAN='$(ASAN)' CFLAGS='-O1 -g' test

# For CI: all unit tests (20 s), and of tests/serve (390 s) all but what spends its time on an installation, nginx and
# frameworks (95 s).
test-asan: test-deps
	@$(MAKE) --no-print-directory BUILD=$(BUILD)-asan SAN='$(ASAN)' CFLAGS='-O1 -g' all units
	SYNCLESS_BUILD=$(BUILD)-asan tests/run --units tests/serve \
	    $(patsubst %,--ignore=tests/serve/test_%.py,deploy examples django_views)

# Does any kind of request leak? (Undefined values are not checked: CPython's imports would take too long.)
valgrind: export SYNCLESS_WRAPPER = valgrind --undef-value-errors=no --trace-children=yes
valgrind: export SYNCLESS_BUILD = $(BUILD)-valgrind
valgrind: valgrind-deps
	@$(MAKE) --no-print-directory BUILD=$(SYNCLESS_BUILD) SAN=-DCORO_VALGRIND all
	tests/run tests/serve/leaks.py

# FUZZ_SECONDS of libFuzzer for each program. Inputs that crash are kept as $(BUILD)-fuzz/NAME-crash-*; new corpus files
# stay in $(BUILD)-fuzz too.
FUZZ = http proxy conf static cgi dns
FUZZ_SECONDS ?= 15
fuzz: fuzz-deps
	@$(MAKE) --no-print-directory BUILD=$(BUILD)-fuzz CC=clang CFLAGS='-O1 -g' \
	    SAN='$(ASAN) -fsanitize=fuzzer-no-link' fuzz-run

fuzz-run: $(FUZZ:%=$(BUILD)/fuzz_%)
	set -e; for name in $(FUZZ); do \
	    rm -rf $(BUILD)/$$name; cp -r tests/fuzz/$$name $(BUILD)/$$name; \
	    $(BUILD)/fuzz_$$name -max_total_time=$(FUZZ_SECONDS) -timeout=10 -max_len=2000 -print_final_stats=1 -verbosity=0 \
	        -dict=tests/fuzz/$$name.dict -artifact_prefix=$(BUILD)/$$name- $(BUILD)/$$name; \
	done

$(BUILD)/fuzz_static: $(filter-out %/static.o,$(patsubst %.c,$(BUILD)/%.o,$(wildcard modules/static/*.c)))
$(BUILD)/fuzz_cgi: $(BUILD)/modules/cgi/output_head.o

$(BUILD)/fuzz_%: tests/fuzz/fuzz_%.c $(LIB_O) $(LIBRARIES)
	$(CC) $(ALL) -Iserver -I. $(DEPS_C) -fsanitize=fuzzer $(LDFLAGS) -o $@ $(filter %.c %.o,$^) $(UNIT_L)

.PHONY: units units-of-core test-aarch64 test-packaging test-python test-platforms test-deb test-image soak steady \
    asan test-asan valgrind fuzz fuzz-run
