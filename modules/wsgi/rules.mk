# The bridge, once for each CPython of PYTHONS: build/modules/wsgi-3.11.so. It is linked to no libpython, and finds
# CPython in the process that it is loaded into.

# What describe.py says of an interpreter.
python_info = $(or $(shell $(1) modules/wsgi/describe.py 2>/dev/null),error cannot be executed)

# $(call bridge,PYTHON,VERSION,HEADERS)
define bridge
BRIDGES += $(BUILD)/modules/wsgi-$(2).so
PYTHON_C ?= -I$(3)
$(BUILD)/modules/wsgi-$(2).so: $(patsubst modules/%.c,$(BUILD)/python$(2)/%.o,$(call module_sources,wsgi))
$(BUILD)/python$(2)/wsgi/%.o: modules/wsgi/%.c $(FLAGS) $(BUILD)/python$(2)/headers
	@mkdir -p $$(@D)
	$$(MODULE_C) -I$(3) -c -o $$@ $$<

# Headers of another build of the same version.
$(BUILD)/python$(2)/headers: always
	@mkdir -p $$(@D)
	@echo '$(3)' | cmp -s $$@ - || echo '$(3)' >$$@
endef

# $(call bad_python,PYTHON,WHY): a message when the bridges are built, not when packages are yet to be installed.
define bad_python
bridges: $(1)-is-wrong
$(1)-is-wrong:
	@echo 'PYTHONS: $(1) $(2)' >&2; exit 1
.PHONY: $(1)-is-wrong
endef

# Of several interpreters of one version, the headers of the first are used.
has_bridge = $(filter $(BUILD)/modules/wsgi-$(1).so,$(BRIDGES))
python_rules = $(if $(filter error,$(firstword $(2))),$(call bad_python,$(1),$(wordlist 2,99,$(2))),$(if $(call \
    has_bridge,$(firstword $(2))),,$(call bridge,$(1),$(firstword $(2)),$(word 2,$(2)))))
$(foreach python,$(PYTHONS),$(eval $(call python_rules,$(python),$(call python_info,$(python)))))

bridges: $(BRIDGES)
.PHONY: bridges

# syncless.__version__
VERSIONED = builtin finder
$(foreach name,$(VERSIONED),$(BRIDGES:$(BUILD)/modules/wsgi-%.so=$(BUILD)/python%/wsgi/package/$(name).o)): \
    ALL += -DVERSION='"$(VERSION)"'
