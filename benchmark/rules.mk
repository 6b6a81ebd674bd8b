# make benchmark and make callgrind, and the programs that they need.

BENCHMARK = $(addprefix $(BUILD)/benchmark/,floor plain.so mark.so)

$(BUILD)/benchmark/floor: benchmark/floor.c
	@mkdir -p $(@D)
	$(CC) $(ALL) $(LDFLAGS) -o $@ $<

$(BUILD)/benchmark/%.so: benchmark/apps/%.c include/syncless.h
	@mkdir -p $(@D)
	$(CC) $(ALL) -fvisibility=hidden $(LDFLAGS) -shared -o $@ $<

benchmark-programs: all $(BENCHMARK)

ROUNDS  ?= 5
SECONDS ?= 3
benchmark: benchmark-deps
	@$(MAKE) --no-print-directory benchmark-programs
	benchmark/run --build $(BUILD) --only '$(ONLY)' --rounds $(ROUNDS) --seconds $(SECONDS)

callgrind: benchmark-deps
	@$(MAKE) --no-print-directory benchmark-programs
	benchmark/callgrind --build $(BUILD)

.PHONY: benchmark benchmark-programs callgrind
