# The CPython to embed: the system's by pkg-config, another one (make PYTHON=...) by its own python3-config.
# WSGI_PYTHON: sys.executable where no virtualenv is set, the command of this libpython, whatever comes first on PATH.
comma := ,
wsgi_config = $(shell $(PYTHON) -c 'from sysconfig import get_config_var as v; print("$(1)" % ($(2)))')
ifeq ($(PYTHON),/usr/bin/python3)
MOD_C_wsgi := $(shell pkg-config --cflags python3-embed)
MOD_L_wsgi := $(shell pkg-config --libs python3-embed)
else
MOD_C_wsgi := $(shell $(PYTHON)-config --includes)
MOD_L_wsgi := $(shell $(PYTHON)-config --ldflags --embed) $(call wsgi_config,-Wl$(comma)-rpath$(comma)%s,v("LIBDIR"))
endif
MOD_C_wsgi += -DWSGI_PYTHON='"$(call wsgi_config,%s/python%s,v("BINDIR")$(comma) v("VERSION"))"'

# syncless.__version__
$(BUILD)/modules/wsgi/package/builtin.o: ALL += -DVERSION='"$(VERSION)"'
