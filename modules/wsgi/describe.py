"""For rules.mk: print the version of this Python and the folder of its headers, or `error` and why it is not used."""
import os
import sys
import sysconfig


def refuse(version, include):
    if not (3, 10) <= sys.version_info < (3, 16):
        return "is CPython %s, and the bridge is for 3.10 to 3.15" % version
    if sys.implementation.name != "cpython":
        return "is no CPython"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "is a free-threaded build, and the bridge needs one with the GIL"
    if not os.path.exists(include + "/Python.h"):
        return "has no %s/Python.h: install its headers (python%s-dev in Debian)" % (include, version)


VERSION = "%d.%d" % sys.version_info[:2]
INCLUDE = sysconfig.get_path("include")
WHY = refuse(VERSION, INCLUDE)
print("error " + WHY if WHY else VERSION + " " + INCLUDE)
